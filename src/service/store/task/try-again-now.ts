/** A connection has been changed: tasks that are in trouble and use it are tried again at once. */
import { z } from 'zod';
import type { Db } from '../store.ts';
import { TASK_CHANNEL } from './task-row.ts';

/** Not those that a person has stopped. */
export async function tryAgainNow(db: Db, connectionId: string): Promise<void> {
  await db.query(
    z.unknown(),
    `WITH hurried AS (
       UPDATE opendts.task t SET next_attempt_at = now(), version = t.version + 1, updated_at = clock_timestamp()
        WHERE $1 IN (t.source_connection, t.target_connection)
          AND (t.state = 'retrying' OR (t.state = 'failed' AND t.stopped_by = 'failure'))
       RETURNING t.id
     )
     SELECT pg_catalog.pg_notify('${TASK_CHANNEL}', h.id::text) FROM hurried h`,
    [connectionId],
  );
}
