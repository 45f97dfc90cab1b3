/** When a task is to be started by itself is said, or not to be any more; the timeline says so, and whoever listens is told. */
import { only } from '../columns.ts';
import type { Db } from '../store.ts';
import type { Doer } from './change-state.ts';
import { TASK_CHANNEL, TASK_COLUMNS, taskRow, type StoredTask } from './task-row.ts';

export interface StartWish {
  readonly id: string;
  /** Null: it is called off. */
  readonly startAt: string | null;
  readonly by: Doer;
}

export async function setStart(db: Db, { id, startAt, by }: StartWish): Promise<StoredTask | null> {
  const rows = await db.query(
    taskRow,
    `WITH changed AS (
       UPDATE opendts.task t SET start_at = $2::timestamptz, version = t.version + 1, updated_at = clock_timestamp()
        WHERE t.id = $1 RETURNING ${TASK_COLUMNS}
     ), noted AS (
       INSERT INTO opendts.task_event (task_id, kind, account_id, account_name, worker_id, facts)
       SELECT c.id, $3, $4::uuid, $5, $6::uuid, $7::jsonb FROM changed c
     )
     SELECT c.*, pg_catalog.pg_notify('${TASK_CHANNEL}', c.id::text) FROM changed c`,
    [
      id,
      startAt,
      startAt === null ? 'start-called-off' : 'start-planned',
      by.accountId,
      by.accountName,
      by.workerId,
      JSON.stringify(startAt === null ? {} : { at: startAt }),
    ],
  );
  return only(rows);
}
