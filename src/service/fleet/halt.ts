/**
 * A task comes to a halt: paused, stopped or failed. The target is told, and the store has the same mark: where that was restored from an
 * older day, in which the task ran, the marks differ, and it does not go on by itself over what may have been cut over since.
 */
import { randomUUID } from 'node:crypto';
import { AppError } from '../../base/errors/app-error.ts';
import { setHaltMark } from '../store/task/set-halt-mark.ts';
import type { StoredTask } from '../store/task/task-row.ts';
import { haltTask } from '../task/prepare-stage.ts';
import type { Owned } from './owner.ts';
import { patiently } from './patiently.ts';
import { reachEnds, savedEnds } from './task-ends.ts';

/** Of those that nobody knows to be there: more than eight hours of recovery leave behind. */
const UNANSWERED = 20;

/** Those that the target may have: the last that came there, and what was sent since without an answer. */
export function marksOf({ haltMark }: StoredTask): string[] {
  return haltMark?.split(' ') ?? [];
}

/** Whoever ran it before, and is gone or stands still, does not go on when it wakes either. Throws FENCED. */
export async function halt(owned: Owned): Promise<void> {
  const { parts, task, leaving } = owned;
  if (task.engineTaskId === null) return;
  const mark = randomUUID();
  // First here: who takes the task meanwhile knows the mark, should it come to the target only later.
  const known = marksOf(task);
  await knowHalts(owned, [...known.slice(0, 1), ...known.slice(1).slice(-UNANSWERED), mark]);
  try {
    const ends = await patiently(leaving, async () => reachEnds(parts, await savedEnds(parts, task)));
    await haltTask(ends, { taskId: task.engineTaskId, mark });
  } catch (thrown) {
    // A server that cannot be reached takes nothing from a former owner either.
    return parts.log.failure(thrown, 'a former owner may not be ended', { task: task.id, level: 'warn' });
  }
  await knowHalts(owned, [mark]);
}

/** The store has these marks from now on. Throws FENCED. */
export async function knowHalts({ parts, task, leaving }: Owned, marks: readonly string[]): Promise<void> {
  const { id: taskId, fence } = task;
  const mark = marks.join(' ');
  if (!(await patiently(leaving, () => setHaltMark(parts.store, { taskId, fence, mark }))))
    throw new AppError('FENCED', { theirs: 'newer', ours: fence });
}
