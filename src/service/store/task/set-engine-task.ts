/** The id under which the books on the target have the task. */
import { z } from 'zod';
import { AppError } from '../../../base/errors/app-error.ts';
import type { Db } from '../store.ts';

/** Throws FENCED under an old fence. */
export async function setEngineTask(
  db: Db,
  { taskId, fence, engineTaskId }: { taskId: string; fence: string; engineTaskId: string },
): Promise<void> {
  const [row] = await db.query(
    z.object({ id: z.string() }),
    'UPDATE opendts.task SET engine_task_id = $3 WHERE id = $1 AND fence = $2::bigint RETURNING id',
    [taskId, fence, engineTaskId],
  );
  if (row === undefined) throw new AppError('FENCED', { theirs: 'newer', ours: fence });
}
