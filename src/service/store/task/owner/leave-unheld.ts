/** Tasks that are a worker's in the store, and that it knows nothing of: from before the store was restored, or not given back while it was away. */
import { z } from 'zod';
import type { Db } from '../../store.ts';
import { TASK_CHANNEL } from '../task-row.ts';

export async function leaveUnheld(db: Db, workerId: string, held: readonly string[]): Promise<void> {
  await db.query(
    z.unknown(),
    `WITH given AS (
       UPDATE opendts.task t SET worker_id = NULL, version = t.version + 1, updated_at = clock_timestamp()
        WHERE t.worker_id = $1
          AND t.id NOT IN (SELECT one::uuid FROM pg_catalog.jsonb_array_elements_text($2::jsonb) one) RETURNING t.id
     )
     SELECT pg_catalog.pg_notify('${TASK_CHANNEL}', g.id::text) FROM given g`,
    [workerId, JSON.stringify(held)],
  );
}
