/** A new task. */
import type { BlackoutWindow } from '../../../contract/blackout.ts';
import type { TaskState } from '../../../contract/api/task-states.ts';
import type { TaskSettings } from '../../../contract/task-spec.ts';
import type { Db } from '../store.ts';
import type { Doer } from './change-state.ts';
import { TASK_CHANNEL, TASK_COLUMNS, taskRow, type StoredTask } from './task-row.ts';

export interface TaskFields {
  readonly name: string;
  readonly taskGroup: string | null;
  readonly sourceConnection: string | null;
  readonly targetConnection: string | null;
  readonly spec: TaskSettings;
  readonly class: string;
  readonly environment: string | null;
  readonly cluster: string | null;
  readonly blackout: readonly BlackoutWindow[];
  readonly retryConnectMinutes: number;
  readonly retryOtherMinutes: number;
}

/** In the order of their columns wherever they are written. */
export function fieldValues(task: TaskFields): (string | null)[] {
  return [
    task.name,
    task.taskGroup,
    task.sourceConnection,
    task.targetConnection,
    JSON.stringify(task.spec),
    task.class,
    task.environment,
    task.cluster,
    String(task.retryConnectMinutes),
    String(task.retryOtherMinutes),
  ];
}

export interface NewTask extends TaskFields {
  readonly id: string;
  readonly groupId: string;
  readonly state: Extract<TaskState, 'not-configured' | 'not-started'>;
  readonly by: Doer;
  /** For the timeline. */
  readonly facts: Readonly<Record<string, unknown>>;
}

export async function insertTask(db: Db, task: NewTask): Promise<StoredTask> {
  const [made] = await db.query(
    taskRow,
    `WITH made AS (
       INSERT INTO opendts.task AS t (id, group_id, name, task_group, source_connection, target_connection, spec, class,
                                      environment, cluster, retry_connect_minutes, retry_other_minutes, desired, state,
                                      created_by, blackout)
       VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb, $8, $9, $10, $11, $12, 'idle', $13, $14, $17::jsonb) RETURNING ${TASK_COLUMNS}
     ), noted AS (
       INSERT INTO opendts.task_event (task_id, kind, to_state, account_id, account_name, facts)
       SELECT m.id, 'created', m.state, $15::uuid, $14, $16::jsonb FROM made m
     )
     SELECT m.*, pg_catalog.pg_notify('${TASK_CHANNEL}', m.id::text) FROM made m`,
    [
      task.id,
      task.groupId,
      ...fieldValues(task),
      task.state,
      task.by.accountName,
      task.by.accountId,
      JSON.stringify(task.facts),
      JSON.stringify(task.blackout),
    ],
  );
  if (made === undefined) throw new Error('an INSERT gave no row');
  return made;
}
