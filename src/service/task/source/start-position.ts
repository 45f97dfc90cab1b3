/** The beginning of a migration of changes alone at a slot of the user's (A5): nothing is made on the source, the position is written down. */
import { AppError } from '../../../base/errors/app-error.ts';
import { formatTime } from '../../../engine/change/commit-time.ts';
import { formatLsn } from '../../../engine/change/lsn.ts';
import { endOfWal } from '../../../engine/pg/wal-position.ts';
import { openChangeReader } from '../../../engine/source/change-reader.ts';
import {
  findStart,
  notHeld,
  readUserSlot,
  startUnusable,
  type FoundStart,
  type StartPosition,
  type UserSlot,
} from '../../../engine/source/start-position.ts';
import { recordSlot } from '../../../engine/target/books/recorded-slot.ts';
import { enter, type MigrationRequest, type TaskRun } from '../task-run.ts';

/** Throws USAGE for a start that means nothing with the rest of the request. */
export function assertStartFits({ types, start }: Pick<MigrationRequest, 'types' | 'start'>): void {
  if (!start) return;
  const refuse = (problem: string, remedy: string) => new AppError('USAGE', { problem, remedy });
  if (types.has('full') || !types.has('incremental'))
    throw refuse(
      'A position to begin at goes with changes alone: a full copy is of the moment of its own slot, and the changes follow from there.',
      'Add --types incremental, or leave --slot, --start-lsn and --start-time out.',
    );
  if (start.lsn !== null && start.time !== null)
    throw refuse('An LSN and a time are two positions.', 'Give --start-lsn or --start-time.');
}

/** As the options give it, in one form. */
export function startText({ slot, lsn, time }: StartPosition): Readonly<Record<string, string>> {
  return {
    slot,
    ...(lsn === null ? {} : { lsn: formatLsn(lsn) }),
    ...(time === null ? {} : { time: formatTime(time) }),
  };
}

/** Passes the task on to its next phase. Throws START_UNUSABLE. */
export async function beginAtSlot(run: TaskRun, start: StartPosition): Promise<void> {
  enter(run, 'prepare', `looking for the position to begin at in replication slot ${start.slot}`);
  const slot = await usableSlot(run, start);
  const found = await locate(run, start, slot);
  const held = { lsn: found.lsn, snapshot: '', timeline: await timelineOf(run), decoder: slot.decoder };
  await recordSlot(await run.ends.target(), run, held, found.skipped);
  run.task = { ...run.task, phase: 'copy', slot: held };
  const what = start.time === null ? '' : `, the first commit that is not before ${formatTime(start.time)}`;
  const behind =
    found.transactions > 0 ? ` (${found.transactions} earlier transactions are not applied)` : '';
  enter(run, 'prepare', `changes are followed from ${formatLsn(found.lsn)} on${what}${behind}`);
}

async function usableSlot(run: TaskRun, start: StartPosition): Promise<UserSlot> {
  const slot = await readUserSlot(await run.ends.source(), start.slot);
  const problem = !slot
    ? 'it does not exist'
    : (slot.unfit ?? (start.lsn === null ? null : notHeld(slot, start.lsn)));
  if (slot && problem === null) return slot;
  throw startUnusable(
    start.slot,
    problem ?? '',
    'Name a slot that holds the position; pg_replication_slots lists them.',
  );
}

async function locate(
  run: TaskRun,
  { slot, lsn, time }: StartPosition,
  { held, decoder }: UserSlot,
): Promise<FoundStart> {
  if (time === null) return { lsn: lsn ?? held, transactions: 0, skipped: new Map() };
  const { signal } = run.hooks;
  const source = await run.ends.source();
  const until = await endOfWal(source);
  await using reader = await openChangeReader({
    control: source,
    openReplication: () => run.ends.openReplication('stream'),
    names: run.names,
    decoder,
    tables: run.followed,
    positions: [],
    from: held,
    safe: held,
    recorded: null,
    onTimeline: async () => {},
    signal,
  });
  return await findStart(reader, { slot, time, until, signal });
}

async function timelineOf(run: TaskRun): Promise<number> {
  await using session = await run.ends.openReplication('holder');
  const { timeline } = await session.one('IDENTIFY_SYSTEM');
  return Number(timeline);
}
