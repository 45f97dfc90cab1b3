/** Where a task was when its owner wrote it last. */
import { z } from 'zod';
import { taskProgress, type TaskProgress } from '../../../../contract/api/task-progress.ts';
import { json, only, time } from '../../columns.ts';
import type { Db } from '../../store.ts';

const progressRow = z.object({ at: time, body: json(taskProgress) });

/** Null until an owner has written. */
export async function readProgress(
  db: Db,
  taskId: string,
): Promise<{ at: string; body: TaskProgress } | null> {
  return only(
    await db.query(progressRow, 'SELECT p.at, p.body FROM opendts.task_progress p WHERE p.task_id = $1', [
      taskId,
    ]),
  );
}
