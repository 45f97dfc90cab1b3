/** Schema steps that are done, recorded in the step's own transaction. */
import type { Session } from '../../pg/session.ts';
import { holdFence } from './task-row.ts';

export async function readDoneSteps(session: Session, taskId: string): Promise<Set<string>> {
  const rows = await session.query('SELECT step FROM _opendts.object WHERE task_id = $1', [taskId]);
  return new Set(rows.map((row) => row.step ?? ''));
}

export async function recordSteps(
  session: Session,
  task: { taskId: string; fence: bigint },
  steps: readonly string[],
): Promise<void> {
  await holdFence(session, task.taskId, task.fence);
  await session.query(
    'INSERT INTO _opendts.object (task_id, step) SELECT $1, s.value FROM pg_catalog.json_array_elements_text($2::json) s',
    [task.taskId, JSON.stringify(steps)],
  );
}

/** They are to be done again when they are met again. */
export async function forgetSteps(
  session: Session,
  task: { taskId: string; fence: bigint },
  steps: readonly string[],
): Promise<void> {
  await holdFence(session, task.taskId, task.fence);
  await session.query(
    'DELETE FROM _opendts.object WHERE task_id = $1 AND step IN (SELECT s.value FROM pg_catalog.json_array_elements_text($2::json) s)',
    [task.taskId, JSON.stringify(steps)],
  );
}
