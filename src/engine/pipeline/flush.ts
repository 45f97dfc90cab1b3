/** Commits that did not wait for the target's disk (P9): what has committed is to be there before long, also where nothing more comes. */
import type { HandOver } from './hand-over.ts';
import type { StreamRun } from './stream-run.ts';

type Ends = Pick<StreamRun, 'applier' | 'reader'>;

/** Called now and then. Does nothing while the target is busy: what it is given may flush by itself. */
export function flushWhenDue(target: HandOver, ends: Ends): void {
  if (!target.isBusy && ends.applier.isFlushDue) void target.give(() => flush(ends));
}

/** Returns once everything committed is on disk, and confirmed to the source. */
export async function flush({ applier, reader }: Ends): Promise<void> {
  await applier.flush();
  reader.confirm(applier.durable);
}
