/** The tasks of a group, the newest first, page by page: small rows. */
import { z } from 'zod';
import { TASK_STATES, type TaskState } from '../../../contract/api/task-states.ts';
import { taskProgress } from '../../../contract/api/task-progress.ts';
import { migrationType } from '../../../contract/task-spec.ts';
import { int, json, time } from '../columns.ts';
import type { Page } from '../page.ts';
import type { Db } from '../store.ts';

const row = z
  .object({
    id: z.string(),
    name: z.string(),
    task_group: z.string().nullable(),
    state: z.enum(TASK_STATES),
    state_since: time,
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
    name: found.name,
    taskGroup: found.task_group,
    state: found.state,
    stateSince: found.state_since,
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
export type TaskLine = z.infer<typeof row>;

export interface WantedTasks extends Page {
  readonly groupId: string;
  readonly state: TaskState | null;
  readonly taskGroup: string | null;
  /** Part of a name. */
  readonly name: string | null;
}

/** The place of a row is its time and id: a cursor stays right while tasks come and go. */
export async function listTasks(
  db: Db,
  { groupId, state, taskGroup, name, after, limit }: WantedTasks,
): Promise<TaskLine[]> {
  return db.query(
    row,
    `SELECT t.id, t.name, t.task_group, t.state, t.state_since, s.name AS source_name, g.name AS target_name,
            t.spec->'types' AS types, t.environment, t.failure->>'code' AS failure_code, w.name AS worker_name, t.version,
            t.created_at, p.body->>'phase' AS phase, p.body->'copy'->>'share' AS share, p.delay_ms,
            t.created_at::text || ' ' || t.id::text AS place
       FROM opendts.task t
       LEFT JOIN opendts.connection s ON s.id = t.source_connection
       LEFT JOIN opendts.connection g ON g.id = t.target_connection
       LEFT JOIN opendts.task_progress p ON p.task_id = t.id
       LEFT JOIN opendts.worker w ON w.id = t.worker_id
      WHERE t.group_id = $1 AND ($2::text IS NULL OR t.state = $2) AND ($3::text IS NULL OR t.task_group = $3)
        AND ($4::text IS NULL OR pg_catalog.strpos(pg_catalog.lower(t.name), pg_catalog.lower($4)) > 0)
        AND ($5::text IS NULL
             OR (t.created_at, t.id) < (pg_catalog.left($5, -37)::timestamptz, pg_catalog.right($5, 36)::uuid))
      ORDER BY t.created_at DESC, t.id DESC LIMIT $6`,
    [groupId, state, taskGroup, name, after, String(limit)],
  );
}
