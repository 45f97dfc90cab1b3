/** What persons want for tables of a task and its owner has not done yet, the oldest first. */
import { z } from 'zod';
import { TABLE_WISHES } from '../../../../contract/api/task-tables.ts';
import { time } from '../../columns.ts';
import type { Db } from '../../store.ts';

const wishRow = z
  .object({ name: z.string(), wish: z.enum(TABLE_WISHES), asked_at: time })
  .transform((row) => ({ name: row.name, wish: row.wish, askedAt: row.asked_at }));
export type StoredWish = z.infer<typeof wishRow>;

export async function listWishes(db: Db, taskId: string): Promise<StoredWish[]> {
  return db.query(
    wishRow,
    'SELECT w.name, w.wish, w.asked_at FROM opendts.task_table_wish w WHERE w.task_id = $1 ORDER BY w.asked_at',
    [taskId],
  );
}
