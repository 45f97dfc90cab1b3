/** The id under which the books on the target have the task. */
import { z } from 'zod';
import type { Db } from '../store.ts';

export async function setEngineTask(
  db: Db,
  { taskId, fence, engineTaskId }: { taskId: string; fence: string; engineTaskId: string },
): Promise<void> {
  await db.query(
    z.unknown(),
    'UPDATE opendts.task SET engine_task_id = $3 WHERE id = $1 AND fence = $2::bigint AND engine_task_id IS DISTINCT FROM $3',
    [taskId, fence, engineTaskId],
  );
}
