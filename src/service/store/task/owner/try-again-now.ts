/** A connection has been changed: tasks that are in trouble and use it are tried again at once. */
import { z } from 'zod';
import type { Db } from '../../store.ts';
import { TASK_CHANNEL } from '../task-row.ts';

/**
 * Not those that a person has stopped, nor those that need a person to say whether they may go on at all. What was wrong until now says
 * nothing of the other connection: they are tried as those that were well.
 */
export async function tryAgainNow(db: Db, connectionId: string): Promise<void> {
  await db.query(
    z.unknown(),
    `WITH hurried AS (
       UPDATE opendts.task t
          SET next_attempt_at = now(), failed_since = NULL, attempts = 0, adjustments = '{}',
              version = t.version + 1, updated_at = clock_timestamp()
        WHERE $1 IN (t.source_connection, t.target_connection)
          AND (t.state = 'retrying' OR (t.state = 'failed' AND t.stopped_by = 'failure'))
          AND coalesce(t.failure->>'code', '') NOT IN ('TASK_HALTED', 'TASK_BOOKS_GONE')
       RETURNING t.id
     )
     SELECT pg_catalog.pg_notify('${TASK_CHANNEL}', h.id::text) FROM hurried h`,
    [connectionId],
  );
}
