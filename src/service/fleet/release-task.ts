/** What a task has made besides the migrated data is taken back, on both ends. */
import { toAppError } from '../../base/errors/app-error.ts';
import { currentSpan } from '../../base/tracing/span.ts';
import { releaseChoice } from '../store/task/release-choice.ts';
import { inThread } from './in-thread.ts';
import { isFenced, type Owned } from './owner.ts';
import { patiently } from './patiently.ts';
import { failureOf, reachEnds, savedEnds } from './task-ends.ts';

export async function releaseTask(owned: Owned): Promise<void> {
  const { parts, task } = owned;
  try {
    const lines = await release(owned);
    if (lines === null) return;
    await owned.go('released', { facts: lines, set: { failure: null } });
  } catch (thrown) {
    if (isFenced(thrown)) throw thrown;
    const error = toAppError(thrown);
    currentSpan().fail(error.code);
    parts.log.failure(error, 'task not released', { task: task.id, level: 'warn' });
    await owned.go('release-failed', { facts: { code: error.code }, set: { failure: failureOf(error) } });
  }
}

/** What was removed and what stays; null where the worker is to end before. */
async function release(
  owned: Owned,
): Promise<{ removed: readonly string[]; kept: readonly string[] } | null> {
  const { parts, task, leaving } = owned;
  // It never came so far as to make anything.
  if (task.engineTaskId === null) return { removed: [], kept: [] };
  const ends = await patiently(leaving, async () => reachEnds(parts, await savedEnds(parts, task)));
  const { dropDeadLetters } = await patiently(leaving, () => releaseChoice(parts.store, task.id));
  const request = { ...ends, dryRun: false, taskId: task.engineTaskId, dropLetters: dropDeadLetters };
  const outcome = await inThread(
    owned,
    { kind: 'release', request },
    { onEvent: () => {}, onProgress: () => {} },
  );
  return outcome?.kind === 'release' ? { removed: outcome.removed, kept: outcome.kept } : null;
}
