/** Follows the source across a failover (P10): before anything is read from a new primary, all that is recorded must lie in its history. */
import type { Lsn } from '../../../engine/change/lsn.ts';
import { answersWithin } from '../../../engine/pg/answers-within.ts';
import { assertSlotUsable, readSlot, slotLost } from '../../../engine/pg/slot/health.ts';
import { explainGoneSlot, followTimeline } from '../../../engine/source/timeline.ts';
import { recordedHistory, recordTimeline } from '../../../engine/target/books/recorded-history.ts';
import { recordedEnd } from '../../../engine/target/books/task-row.ts';
import { warn, type TaskRun } from '../task-run.ts';

const ANSWER_MS = 30_000;

/** Records the timeline that the source is on now, and says so. */
export async function recordFailover(run: TaskRun, timeline: number): Promise<void> {
  await recordTimeline(await run.ends.target(), run, timeline);
  warn(run, `the source has failed over and is on timeline ${timeline} now: it has all that was recorded`);
}

/**
 * For a copy that goes on: the slot must still have the changes since, and the server must have in its history all that was copied.
 * Returns how far the stream has been applied. Throws SLOT_LOST, PROGRESS_AHEAD, TIMELINE_LEFT; SOURCE_IS_STANDBY and SOURCE_FORMER,
 * which may pass.
 */
export async function followSource(run: TaskRun): Promise<Lsn> {
  const { ends, names, taskId } = run;
  const [source, target] = [await ends.source(), await ends.target()];
  // In this order: what the stream applies meanwhile is recorded before it is confirmed.
  const slot = await readSlot(source, names.slot);
  const recorded = await recordedEnd(target, taskId);
  const history = await recordedHistory(target, taskId);
  if (slot === null)
    throw slotLost(names.slot, 'gone', recorded, await explainGoneSlot(source, history.timeline));
  assertSlotUsable(slot, names.slot, recorded);
  await using replication = await ends.openReplication('history');
  const timeline = await answersWithin(replication, ANSWER_MS, () => followTimeline(replication, history));
  if (timeline !== history.timeline) await recordFailover(run, timeline);
  return recorded;
}
