/** Where the owner of a task is, as a whole and table by table. */
import { z } from 'zod';
import type { StoredTableProgress, TaskProgress } from '../../../../contract/api/task-progress.ts';
import type { Db } from '../../store.ts';

export interface Written {
  readonly taskId: string;
  readonly fence: string;
  readonly progress: TaskProgress;
  /** Those that have changed since the last writing. */
  readonly tables: readonly StoredTableProgress[];
}

/** False when somebody else has the task by now: nothing is written then. */
export async function writeProgress(db: Db, { taskId, fence, progress, tables }: Written): Promise<boolean> {
  const rows = await db.query(
    z.unknown(),
    `WITH owned AS (
       SELECT t.id, t.fence FROM opendts.task t WHERE t.id = $1 AND t.fence = $2::bigint FOR SHARE
     ), each AS (
       INSERT INTO opendts.task_table (task_id, name, stage, body)
       SELECT o.id, one->>'table', one->>'stage', one
         FROM owned o, pg_catalog.jsonb_array_elements($5::jsonb) AS one
       ON CONFLICT (task_id, name)
       DO UPDATE SET stage = EXCLUDED.stage, body = EXCLUDED.body, updated_at = clock_timestamp()
     )
     INSERT INTO opendts.task_progress AS p (task_id, fence, body, delay_ms)
     SELECT o.id, o.fence, $3::jsonb, $4::bigint FROM owned o
     ON CONFLICT (task_id)
     DO UPDATE SET fence = EXCLUDED.fence, at = clock_timestamp(), body = EXCLUDED.body, delay_ms = EXCLUDED.delay_ms
     RETURNING p.task_id`,
    [
      taskId,
      fence,
      JSON.stringify(progress),
      progress.delayMs === null ? null : String(Math.round(progress.delayMs)),
      JSON.stringify(tables),
    ],
  );
  return rows.length > 0;
}
