/** A task has been well for a while: the trouble that it was in is over, and what was changed for its recovery as well. */
import { z } from 'zod';
import type { Db } from '../../store.ts';
import { TASK_CHANNEL } from '../task-row.ts';

export async function forgetTrouble(db: Db, taskId: string, fence: string): Promise<void> {
  await db.query(
    z.unknown(),
    `WITH well AS (
       UPDATE opendts.task t
          SET attempts = 0, failed_since = NULL, next_attempt_at = NULL, failure = NULL, adjustments = '{}',
              version = t.version + 1, updated_at = clock_timestamp()
        WHERE t.id = $1 AND t.fence = $2::bigint RETURNING t.id
     )
     SELECT pg_catalog.pg_notify('${TASK_CHANNEL}', w.id::text) FROM well w`,
    [taskId, fence],
  );
}
