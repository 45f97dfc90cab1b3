/** A task goes from one state to another; the timeline says so, and whoever listens is told: all in one statement. */
import { only } from '../columns.ts';
import type { Desired, TaskState } from '../../../contract/api/task-states.ts';
import type { Db } from '../store.ts';
import { TASK_CHANNEL, TASK_COLUMNS, taskRow, type StoredTask, type TaskFailure } from './task-row.ts';

export interface StateChange {
  readonly id: string;
  readonly from: TaskState;
  readonly to: TaskState;
  readonly desired: Desired;
  /** Null for a person, whom no fence holds. */
  readonly fence: string | null;
  readonly kind: string;
  readonly by: Doer;
  /** For the timeline: never values of rows, never secrets. */
  readonly facts: Readonly<Record<string, unknown>>;
  readonly set: TaskChange;
}

/** Who did it; all null: the service itself. */
export interface Doer {
  readonly accountId: string | null;
  readonly accountName: string | null;
  readonly workerId: string | null;
}

/** What else changes; what is not named stays. */
export interface TaskChange {
  readonly engineTaskId?: string;
  readonly workerId?: string | null;
  readonly stoppedBy?: 'person' | 'failure' | null;
  readonly failure?: TaskFailure | null;
  readonly failedSince?: string | null;
  readonly attempts?: number;
  readonly nextAttemptAt?: string | null;
  readonly adjustments?: Readonly<Record<string, unknown>>;
  readonly startAt?: null;
  readonly startedAt?: string | null;
  readonly endedAt?: string | null;
}

const COLUMNS: Readonly<Record<keyof TaskChange, string>> = {
  engineTaskId: 'engine_task_id',
  workerId: 'worker_id',
  stoppedBy: 'stopped_by',
  failure: 'failure',
  failedSince: 'failed_since',
  attempts: 'attempts',
  nextAttemptAt: 'next_attempt_at',
  adjustments: 'adjustments',
  startAt: 'start_at',
  startedAt: 'started_at',
  endedAt: 'ended_at',
};

/** Null when it is in another state by now, or somebody else has taken it over. */
export async function changeState(db: Db, change: StateChange): Promise<StoredTask | null> {
  const { set, by } = change;
  const named = (Object.keys(COLUMNS) as (keyof TaskChange)[]).filter((key) => set[key] !== undefined);
  const sets = named.map((key, at) => `, ${COLUMNS[key]} = $${at + 11}`).join('');
  const rows = await db.query(
    taskRow,
    `WITH changed AS (
       UPDATE opendts.task t
          SET state = $3, desired = $4, version = t.version + 1, updated_at = clock_timestamp(),
              state_since = CASE WHEN t.state = $3 THEN t.state_since ELSE clock_timestamp() END${sets}
        WHERE t.id = $1 AND t.state = $2 AND ($5::bigint IS NULL OR t.fence = $5::bigint)
       RETURNING ${TASK_COLUMNS}
     ), noted AS (
       INSERT INTO opendts.task_event (task_id, kind, from_state, to_state, account_id, account_name, worker_id, facts)
       SELECT c.id, $6, $2, $3, $7::uuid, $8, $9::uuid, $10::jsonb FROM changed c
     )
     SELECT c.*, pg_catalog.pg_notify('${TASK_CHANNEL}', c.id::text) FROM changed c`,
    [
      change.id,
      change.from,
      change.to,
      change.desired,
      change.fence,
      change.kind,
      by.accountId,
      by.accountName,
      by.workerId,
      JSON.stringify(change.facts),
      ...named.map((key) => text(set[key])),
    ],
  );
  return only(rows);
}

function text(value: TaskChange[keyof TaskChange]): string | null {
  if (value === null || value === undefined) return null;
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
