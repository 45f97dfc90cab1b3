/** How long a task is tried again: of all that share a database with it, the latest setting counts. */
import { z } from 'zod';
import { int, only, time } from '../../columns.ts';
import type { Db } from '../../store.ts';

const retryRow = z
  .object({ id: z.string(), name: z.string(), connect_minutes: int, other_minutes: int, set_at: time })
  .transform((row) => ({
    /** Whose setting it is. */
    taskId: row.id,
    taskName: row.name,
    connectMinutes: row.connect_minutes,
    otherMinutes: row.other_minutes,
    setAt: row.set_at,
  }));
export type EffectiveRetry = z.infer<typeof retryRow>;

/** Null when there is no such task. */
export async function effectiveRetry(db: Db, taskId: string): Promise<EffectiveRetry | null> {
  const rows = await db.query(
    retryRow,
    `SELECT o.id, o.name, o.retry_connect_minutes AS connect_minutes, o.retry_other_minutes AS other_minutes,
            o.retry_set_at AS set_at
       FROM opendts.task t JOIN opendts.task o
         ON o.id = t.id
            OR ((o.source_connection IN (t.source_connection, t.target_connection)
                 OR o.target_connection IN (t.source_connection, t.target_connection)) AND o.state <> 'released')
      WHERE t.id = $1 ORDER BY o.retry_set_at DESC, o.id LIMIT 1`,
    [taskId],
  );
  return only(rows);
}
