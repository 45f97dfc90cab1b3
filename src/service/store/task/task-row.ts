/** A task as the store has it. */
import { z } from 'zod';
import { blackoutWindow } from '../../../contract/blackout.ts';
import { DESIRES, TASK_STATES } from '../../../contract/api/task-states.ts';
import { taskSettings } from '../../../contract/task-spec.ts';
import { int, json, time } from '../columns.ts';

const list = [
  't.id, t.group_id, t.name, t.task_group, t.source_connection, t.target_connection, t.spec, t.class, t.environment',
  't.cluster, t.desired, t.state, t.state_since, t.engine_task_id, t.fence, t.worker_id, t.stopped_by, t.failure',
  't.failed_since, t.attempts, t.next_attempt_at, t.retry_connect_minutes, t.retry_other_minutes, t.retry_set_at',
  't.adjustments, t.halt_mark, t.blackout, t.start_at, t.started_at, t.ended_at, t.version, t.created_by, t.created_at, t.updated_at',
  '(SELECT name FROM opendts.connection WHERE id = t.source_connection) AS source_name',
  '(SELECT name FROM opendts.connection WHERE id = t.target_connection) AS target_name',
];
/** Of `opendts.task t`. */
export const TASK_COLUMNS = list.join(', ');

/** The last failure, in the words of the error table. */
export const taskFailure = z.object({
  code: z.string(),
  message: z.string(),
  remedy: z.string(),
  facts: z.record(z.string(), z.unknown()).default({}),
});
export type TaskFailure = z.infer<typeof taskFailure>;

export const taskRow = z
  .object({
    id: z.string(),
    group_id: z.string(),
    name: z.string(),
    task_group: z.string().nullable(),
    source_connection: z.string().nullable(),
    target_connection: z.string().nullable(),
    source_name: z.string().nullable(),
    target_name: z.string().nullable(),
    spec: json(taskSettings),
    class: z.string(),
    environment: z.string().nullable(),
    cluster: z.string().nullable(),
    desired: z.enum(DESIRES),
    state: z.enum(TASK_STATES),
    state_since: time,
    engine_task_id: z.string().nullable(),
    fence: z.string(),
    worker_id: z.string().nullable(),
    stopped_by: z.enum(['person', 'failure']).nullable(),
    failure: json(taskFailure).nullable(),
    failed_since: time.nullable(),
    attempts: int,
    next_attempt_at: time.nullable(),
    retry_connect_minutes: int,
    retry_other_minutes: int,
    retry_set_at: time,
    adjustments: json(z.record(z.string(), z.unknown())),
    halt_mark: z.string().nullable(),
    blackout: json(z.array(blackoutWindow)),
    start_at: time.nullable(),
    started_at: time.nullable(),
    ended_at: time.nullable(),
    version: int,
    created_by: z.string().nullable(),
    created_at: time,
    updated_at: time,
  })
  .transform((row) => ({
    id: row.id,
    groupId: row.group_id,
    name: row.name,
    taskGroup: row.task_group,
    sourceConnection: row.source_connection,
    targetConnection: row.target_connection,
    sourceName: row.source_name,
    targetName: row.target_name,
    spec: row.spec,
    class: row.class,
    environment: row.environment,
    cluster: row.cluster,
    desired: row.desired,
    state: row.state,
    stateSince: row.state_since,
    engineTaskId: row.engine_task_id,
    /** Compared for equality only. */
    fence: row.fence,
    workerId: row.worker_id,
    stoppedBy: row.stopped_by,
    failure: row.failure,
    failedSince: row.failed_since,
    attempts: row.attempts,
    nextAttemptAt: row.next_attempt_at,
    retryConnectMinutes: row.retry_connect_minutes,
    retryOtherMinutes: row.retry_other_minutes,
    retrySetAt: row.retry_set_at,
    adjustments: row.adjustments,
    /** What the books on the target say since it last came to a halt. */
    haltMark: row.halt_mark,
    blackout: row.blackout,
    /** When it is to be started by itself. */
    startAt: row.start_at,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    version: row.version,
    createdBy: row.created_by,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }));
export type StoredTask = z.infer<typeof taskRow>;

/** Channel on which every change of a task is told; the payload is its id. */
export const TASK_CHANNEL = 'opendts_task';
