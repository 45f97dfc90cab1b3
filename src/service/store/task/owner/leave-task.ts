/** The owner of a task gives it back: what is asked of it now needs no answer of a worker, or another one. */
import { z } from 'zod';
import type { Db } from '../../store.ts';
import { TASK_CHANNEL } from '../task-row.ts';

/** False when somebody else has it by now. */
export async function leaveTask(db: Db, id: string, fence: string): Promise<boolean> {
  const rows = await db.query(
    z.unknown(),
    `WITH given AS (
       UPDATE opendts.task t SET worker_id = NULL, version = t.version + 1, updated_at = clock_timestamp()
        WHERE t.id = $1 AND t.fence = $2 RETURNING t.id
     )
     SELECT pg_catalog.pg_notify('${TASK_CHANNEL}', g.id::text) FROM given g`,
    [id, fence],
  );
  return rows.length > 0;
}
