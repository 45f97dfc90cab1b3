/** What lists and events say of a task: a small row. */
import { z } from 'zod';
import { TASK_STATES } from '../../../contract/api/task-states.ts';
import { taskProgress } from '../../../contract/api/task-progress.ts';
import { migrationType } from '../../../contract/task-spec.ts';
import { int, json, time } from '../columns.ts';

/** With TASK_LINE_TABLES. */
export const TASK_LINE_COLUMNS = `t.id, t.group_id, t.name, t.task_group, t.state, t.state_since, t.start_at, s.name AS source_name, g.name AS target_name,
  t.spec->'types' AS types, t.environment, t.failure->>'code' AS failure_code, w.name AS worker_name, t.version,
  t.created_at, p.body->>'phase' AS phase, p.body->'copy'->>'share' AS share, p.delay_ms,
  t.created_at::text || ' ' || t.id::text AS place`;
export const TASK_LINE_TABLES = `opendts.task t
  LEFT JOIN opendts.connection s ON s.id = t.source_connection
  LEFT JOIN opendts.connection g ON g.id = t.target_connection
  LEFT JOIN opendts.task_progress p ON p.task_id = t.id
  LEFT JOIN opendts.worker w ON w.id = t.worker_id`;

export const taskLineRow = z
  .object({
    id: z.string(),
    group_id: z.string(),
    name: z.string(),
    task_group: z.string().nullable(),
    state: z.enum(TASK_STATES),
    state_since: time,
    start_at: time.nullable(),
    source_name: z.string().nullable(),
    target_name: z.string().nullable(),
    types: json(z.array(migrationType)),
    environment: z.string().nullable(),
    failure_code: z.string().nullable(),
    worker_name: z.string().nullable(),
    version: int,
    created_at: time,
    phase: taskProgress.shape.phase.nullable(),
    share: z.string().nullable(),
    delay_ms: z.string().nullable(),
    /** Of its place in the list: the time is finer than `created_at` shows. */
    place: z.string(),
  })
  .transform((found) => ({
    id: found.id,
    groupId: found.group_id,
    name: found.name,
    taskGroup: found.task_group,
    state: found.state,
    stateSince: found.state_since,
    startAt: found.start_at,
    source: found.source_name,
    target: found.target_name,
    types: found.types,
    environment: found.environment,
    failureCode: found.failure_code,
    worker: found.worker_name,
    version: found.version,
    createdAt: found.created_at,
    phase: found.phase,
    copied: found.share === null ? null : Number(found.share),
    delayMs: found.delay_ms === null ? null : Number(found.delay_ms),
    place: found.place,
  }));
export type TaskLine = z.infer<typeof taskLineRow>;
