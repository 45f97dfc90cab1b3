/** What the latest precheck of a task has found. */
import { z } from 'zod';
import type { TaskPrecheck } from '../../../contract/api/task-precheck.ts';
import type { Db } from '../store.ts';

export interface NewPrecheck {
  readonly taskId: string;
  readonly fence: string;
  readonly precheck: TaskPrecheck;
}

/** Nothing is written where somebody else has the task by now. */
export async function putPrecheck(db: Db, { taskId, fence, precheck }: NewPrecheck): Promise<void> {
  await db.query(
    z.unknown(),
    `INSERT INTO opendts.task_precheck AS p (task_id, body)
     SELECT t.id, $3::jsonb FROM opendts.task t WHERE t.id = $1 AND t.fence = $2::bigint
     ON CONFLICT (task_id) DO UPDATE SET at = clock_timestamp(), body = EXCLUDED.body`,
    [taskId, fence, JSON.stringify(precheck)],
  );
}
