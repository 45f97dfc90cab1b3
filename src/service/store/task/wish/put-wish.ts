/** A person wants something for tables of a task; the owner is told. */
import { z } from 'zod';
import type { TableWish } from '../../../../contract/api/task-tables.ts';
import type { Db } from '../../store.ts';
import { TASK_CHANNEL } from '../task-row.ts';

export interface Wish {
  readonly taskId: string;
  readonly names: readonly string[];
  readonly wish: TableWish;
}

/** For those of the names that are tables of the task; the latest wish for a table is the one that counts. Gives their names. */
export async function putWish(db: Db, { taskId, names, wish }: Wish): Promise<string[]> {
  const rows = await db.query(
    z.object({ name: z.string() }),
    `WITH wanted AS (
       INSERT INTO opendts.task_table_wish AS w (task_id, name, wish)
       SELECT b.task_id, b.name, $3 FROM opendts.task_table b
        WHERE b.task_id = $1 AND b.name IN (SELECT pg_catalog.jsonb_array_elements_text($2::jsonb))
       ON CONFLICT (task_id, name) DO UPDATE SET wish = EXCLUDED.wish, asked_at = clock_timestamp()
       RETURNING w.task_id, w.name
     )
     SELECT n.name, pg_catalog.pg_notify('${TASK_CHANNEL}', n.task_id::text) FROM wanted n ORDER BY n.name`,
    [taskId, JSON.stringify(names), wish],
  );
  return rows.map(({ name }) => name);
}
