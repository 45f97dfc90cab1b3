/**
 * A task comes to a halt: paused, stopped or failed. The target is told, and the store has the same mark: where that was restored from an
 * older day, in which the task ran, the marks differ, and it does not go on by itself over what may have been cut over since.
 */
import { randomUUID } from 'node:crypto';
import { AppError } from '../../base/errors/app-error.ts';
import { setHaltMark } from '../store/task/set-halt-mark.ts';
import { haltTask } from '../task/prepare-stage.ts';
import type { Owned } from './owner.ts';
import { patiently } from './patiently.ts';
import { reachEnds, savedEnds } from './task-ends.ts';

/** Whoever ran it before, and is gone or stands still, does not go on when it wakes either. Throws FENCED. */
export async function halt(owned: Owned): Promise<void> {
  const { parts, task } = owned;
  if (task.engineTaskId === null) return;
  const mark = randomUUID();
  // First here: who takes the task meanwhile knows the mark, should it come to the target only later.
  await knowHalt(owned, mark);
  try {
    const ends = await reachEnds(parts, await savedEnds(parts, task));
    await haltTask(ends, { taskId: task.engineTaskId, mark });
  } catch (thrown) {
    // A server that cannot be reached takes nothing from a former owner either.
    parts.log.failure(thrown, 'a former owner may not be ended', { task: task.id, level: 'warn' });
  }
}

/** The store has the mark from now on. Throws FENCED. */
export async function knowHalt({ parts, task, leaving }: Owned, mark: string): Promise<void> {
  const { id: taskId, fence } = task;
  if (!(await patiently(leaving, () => setHaltMark(parts.store, { taskId, fence, mark }))))
    throw new AppError('FENCED', { theirs: 'newer', ours: fence });
}
