/** A wish for a table is done, or cannot be. */
import { z } from 'zod';
import type { Db } from '../../store.ts';
import type { StoredWish } from './list-wishes.ts';

/** Not one that was asked for since. */
export async function deleteWish(db: Db, taskId: string, { name, askedAt }: StoredWish): Promise<void> {
  await db.query(
    z.unknown(),
    'DELETE FROM opendts.task_table_wish WHERE task_id = $1 AND name = $2 AND asked_at = $3::timestamptz',
    [taskId, name, askedAt],
  );
}
