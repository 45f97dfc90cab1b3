/** The position of the source at which a run ends; null while it is not known, or is none. */
import type { Lsn } from '../../engine/change/lsn.ts';
import { endOfWal } from '../../engine/pg/wal-position.ts';
import type { TaskRun, Until } from './task-run.ts';

/** For "caught-up" the source's position is read once, now that all tables are in step. */
export async function goalOf(run: TaskRun, until: Until): Promise<() => Lsn | null> {
  if (until.kind === 'signal') return () => null;
  let goal: Lsn | null = null;
  if (until.kind === 'caught-up') goal = await endOfWal(await run.ends.source());
  else void Promise.resolve(until.lsn).then((lsn) => (goal = lsn));
  return () => goal;
}
