/** What a task has made besides the migrated data is taken back, on both ends. */
import { toAppError } from '../../base/errors/app-error.ts';
import { currentSpan } from '../../base/tracing/span.ts';
import { parseConninfo } from '../../engine/pg/conninfo/parse.ts';
import { releaseChoice } from '../store/task/event/release-choice.ts';
import { inThread } from './in-thread.ts';
import type { CleanupRequest } from '../task/release/cleanup.ts';
import { saysGone } from '../task/release/release-target.ts';
import { isFenced, type Owned } from './owner.ts';
import { patiently } from './patiently.ts';
import { failureOf, reachEnd, reachEnds, savedEnds, type Reach, type SavedEnds } from './task-ends.ts';

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
  const { dropDeadLetters: dropLetters, sourceGone } = await patiently(leaving, () =>
    releaseChoice(parts.store, task.id),
  );
  const ends = await patiently(leaving, async () => reach(parts, await savedEnds(parts, task), sourceGone));
  const request = { ...ends, dryRun: false, taskId: task.engineTaskId, dropLetters };
  const outcome = await inThread(
    owned,
    { kind: 'release', request },
    { onEvent: () => {}, onProgress: () => {} },
  );
  return outcome?.kind === 'release' ? { removed: outcome.removed, kept: outcome.kept } : null;
}

/** A source that is gone for good may have no address any more either. */
async function reach(
  parts: Reach,
  saved: SavedEnds,
  sourceGone: boolean,
): Promise<Pick<CleanupRequest, 'source' | 'target' | 'sourceGone'>> {
  if (!sourceGone) return reachEnds(parts, saved);
  const target = await reachEnd(parts, saved, 'target');
  try {
    return { source: await reachEnd(parts, saved, 'source'), target, sourceGone: 'if-unreachable' };
  } catch (thrown) {
    if (!saysGone(thrown)) throw thrown;
    return { source: parseConninfo(saved.source.conninfo, 'source'), target, sourceGone: 'unreachable' };
  }
}
