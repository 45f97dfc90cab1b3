/** What the latest precheck of a task has found; null before the first. */
import { z } from 'zod';
import { taskPrecheck, type TaskPrecheck } from '../../../contract/api/task-precheck.ts';
import { json, only, time } from '../columns.ts';
import type { Db } from '../store.ts';

const row = z.object({ at: time, body: json(taskPrecheck) });

export async function findPrecheck(
  db: Db,
  taskId: string,
): Promise<{ at: string; body: TaskPrecheck } | null> {
  return only(
    await db.query(row, 'SELECT p.at, p.body FROM opendts.task_precheck p WHERE p.task_id = $1', [taskId]),
  );
}
