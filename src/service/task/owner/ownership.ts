/**
 * Is the task still ours? Another run may have taken it over while this one stood still (I7). On the target the fence keeps a former
 * owner out; what it does on the source is kept in bounds here.
 *
 *   O1. A run that fails after it was taken over says so, whatever its failure looked like: the remedy for a lost connection, or for a
 *       slot that has moved on, would be to disturb the new owner.
 *   O2. A former owner drops no slot: it holds the fence, with a session on the source that it opened before, and whoever raises the
 *       fence ends all sessions there before that commits (prepare-stage.ts). So either the fence is seen, or the session is gone.
 */
import { AppError } from '../../../base/errors/app-error.ts';
import { answersWithin } from '../../../engine/pg/answers-within.ts';
import { dropSlot } from '../../../engine/source/prepare.ts';
import { isSlotRecorded } from '../../../engine/target/books/recorded-slot.ts';
import { holdFence } from '../../../engine/target/books/task-row.ts';
import type { TaskRun } from '../task-run.ts';

type Owner = Pick<TaskRun, 'ends' | 'taskId' | 'fence' | 'names'>;

const ANSWER_MS = 10_000;

/** What a run that fails with `error` reports: FENCED where another has taken over (O1). */
export async function failureOf(run: Owner, error: AppError): Promise<AppError> {
  try {
    await using target = await run.ends.openWatch('target');
    await answersWithin(target, ANSWER_MS, () => holdFence(target, run.taskId, run.fence));
    return error;
  } catch (thrown) {
    const isFenced = thrown instanceof AppError && thrown.code === 'FENCED';
    return isFenced ? new AppError('FENCED', thrown.facts, error) : error;
  }
}

/** Drops the task's slot; `orphan`: only where no row speaks of it, as after a death before it was written down. Throws FENCED (O2). */
export async function dropTaskSlot(run: Owner, which: 'any' | 'orphan' = 'any'): Promise<void> {
  const [source, target] = [await run.ends.source(), await run.ends.target()];
  await target.transaction(async () => {
    await holdFence(target, run.taskId, run.fence);
    // A commit of ours whose answer was lost may have written it down after all.
    if (which === 'any' || !(await isSlotRecorded(target, run.taskId)))
      await dropSlot(source, run.names.slot);
  });
}
