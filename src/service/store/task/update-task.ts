/** What a task is to do becomes something else; the timeline says so, and whoever listens is told. */
import type { Desired, TaskState } from '../../../contract/api/task-states.ts';
import { only } from '../columns.ts';
import type { Db } from '../store.ts';
import type { Doer } from './change-state.ts';
import { fieldValues, type TaskFields } from './insert-task.ts';
import { TASK_CHANNEL, TASK_COLUMNS, taskRow, type StoredTask } from './task-row.ts';

export interface TaskUpdate extends TaskFields {
  readonly id: string;
  readonly version: number;
  readonly state: TaskState;
  readonly desired: Desired;
  /** The retry times were set, to whatever: they are the latest now. */
  readonly setsRetry: boolean;
  readonly kind: string;
  readonly by: Doer;
  /** For the timeline. */
  readonly facts: Readonly<Record<string, unknown>>;
}

/** Null when it has changed since that version. */
export async function updateTask(db: Db, task: TaskUpdate): Promise<StoredTask | null> {
  const rows = await db.query(
    taskRow,
    `WITH before AS (SELECT b.id, b.state FROM opendts.task b WHERE b.id = $1),
     changed AS (
       UPDATE opendts.task t
          SET name = $3, task_group = $4, source_connection = $5, target_connection = $6, spec = $7::jsonb, class = $8,
              environment = $9, cluster = $10, retry_connect_minutes = $11, retry_other_minutes = $12,
              retry_set_at = CASE WHEN $13::boolean THEN clock_timestamp() ELSE t.retry_set_at END,
              blackout = $20::jsonb, state = $14, desired = $15, version = t.version + 1, updated_at = clock_timestamp(),
              state_since = CASE WHEN t.state = $14 THEN t.state_since ELSE clock_timestamp() END
        WHERE t.id = $1 AND t.version = $2
       RETURNING ${TASK_COLUMNS}
     ), noted AS (
       INSERT INTO opendts.task_event (task_id, kind, from_state, to_state, account_id, account_name, facts)
       SELECT c.id, $16, b.state, c.state, $17::uuid, $18, $19::jsonb FROM changed c JOIN before b ON b.id = c.id
     )
     SELECT c.*, pg_catalog.pg_notify('${TASK_CHANNEL}', c.id::text) FROM changed c`,
    [
      task.id,
      String(task.version),
      ...fieldValues(task),
      String(task.setsRetry),
      task.state,
      task.desired,
      task.kind,
      task.by.accountId,
      task.by.accountName,
      JSON.stringify(task.facts),
      JSON.stringify(task.blackout),
    ],
  );
  return only(rows);
}
