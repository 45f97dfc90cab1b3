/** A connection was changed: its tasks that have begun and not ended read it again. */
import { z } from 'zod';
import type { Db } from '../store.ts';
import type { Doer } from './change-state.ts';
import { TASK_CHANNEL } from './task-row.ts';

export async function tellUsersOfConnection(
  db: Db,
  { id, name }: { readonly id: string; readonly name: string },
  by: Doer,
): Promise<void> {
  await db.query(
    z.unknown(),
    `WITH changed AS (
       UPDATE opendts.task t SET version = t.version + 1, updated_at = clock_timestamp()
        WHERE (t.source_connection = $1 OR t.target_connection = $1)
          AND t.state NOT IN ('not-configured', 'not-started', 'completed', 'released')
       RETURNING t.id
     ), noted AS (
       INSERT INTO opendts.task_event (task_id, kind, account_id, account_name, facts)
       SELECT c.id, 'connection-changed', $2::uuid, $3, pg_catalog.jsonb_build_object('connection', $4::text) FROM changed c
     )
     SELECT pg_catalog.pg_notify('${TASK_CHANNEL}', c.id::text) FROM changed c`,
    [id, by.accountId, by.accountName, name],
  );
}
