/**
 * Who holds the snapshot that copies read under. S1 comes with the slot (P2); a later one (I2), and the only one of a migration without
 * incremental, from an ordinary connection. Either is accepted only once it is safe to read user tables under it (P3).
 */
import { AppError } from '../../base/errors/app-error.ts';
import { sleep } from '../../base/runtime/sleep.ts';
import type { Lsn } from '../change/lsn.ts';
import { coversAllOf, parseSnapshot, type Snapshot } from '../change/snapshot.ts';
import { otherServer, readServerFacts, relationOf, type ServerFacts } from '../pg/server-facts.ts';
import type { Session } from '../pg/session.ts';
import { createSlot, currentSnapshot, type NewSlot, type SlotWait } from '../pg/slot/create.ts';
import { insertedWal } from '../pg/wal-position.ts';

export interface HeldSnapshot extends AsyncDisposable {
  readonly text: string;
  readonly snapshot: Snapshot;
  /** For `SET TRANSACTION SNAPSHOT` on other sessions of the same database, while the holder lives. */
  readonly exportedId: string;
  /** R of I1: commits up to here are judged by visibility, later ones all apply. */
  readonly readUntil: Lsn;
  /** Where it is held. */
  readonly server: ServerFacts;
  /** Aborts when the holder's session ends by itself; not when it is closed by us. */
  readonly lost: AbortSignal;
  /** Asks the holder whether it still lives; one that does not answer soon counts as gone. */
  isHeld(): Promise<boolean>;
}

export interface SlotSnapshot extends HeldSnapshot {
  readonly consistentPoint: Lsn;
}

const POLL_MS = 20;
const COVER_TIMEOUT_MS = 600_000;

/**
 * Creates the slot and holds its snapshot on `holder`, a replication session that belongs to the result. Throws OTHER_SERVER when that
 * has reached another server than the control session: the publication would be on one, the slot on the other; and what createSlot throws.
 */
export async function holdSlotSnapshot(
  holder: Session,
  slot: NewSlot,
  wait: SlotWait,
): Promise<SlotSnapshot> {
  const { control } = wait;
  const server = await readServerFacts(holder);
  const here = await readServerFacts(control);
  if (relationOf(server, here) !== 'same') throw otherServer('source', here, server);
  const created = await createSlot(holder, slot, wait);
  await waitUntilCovered(control, created.snapshot);
  return {
    text: created.snapshotText,
    snapshot: created.snapshot,
    exportedId: created.exportedId,
    readUntil: created.consistentPoint,
    consistentPoint: created.consistentPoint,
    server,
    ...holding(holder),
  };
}

const ANSWER_MS = 5_000;

function holding(holder: Session): Pick<HeldSnapshot, 'lost' | 'isHeld' | typeof Symbol.asyncDispose> {
  const lost = holder.whenLost();
  return {
    lost,
    isHeld: async () => {
      const answered = new AbortController();
      const answer = holder.query('SELECT 1').then(
        () => true,
        () => false,
      );
      const isHeld = await Promise.race([answer, sleep(ANSWER_MS, answered.signal).then(() => false)]);
      answered.abort();
      return isHeld;
    },
    [Symbol.asyncDispose]: () => holder.end(),
  };
}

/**
 * P3: a transaction can be in the WAL, and so in S1, before other snapshots see it (it may wait for a synchronous standby). Reading it
 * in that state could lose it for good, so wait until a fresh snapshot sees all that S1 sees.
 */
async function waitUntilCovered(control: Session, s1: Snapshot): Promise<void> {
  const deadline = Date.now() + COVER_TIMEOUT_MS;
  for (;;) {
    const { fresh } = await control.one(`SELECT ${currentSnapshot(control.version)}::text AS fresh`);
    if (coversAllOf(parseSnapshot(fresh ?? ''), s1)) return;
    if (Date.now() > deadline) {
      throw neverCovered();
    }
    await sleep(POLL_MS);
  }
}

/** What a later snapshot must see (I2), else another is taken. */
export interface Needed {
  /** Every transaction that this one sees: the slot's S1, where nothing has been streamed yet. */
  readonly covers: Snapshot | null;
  /** Every transaction with a smaller xid: taken from `nextXid` after the stream was stopped, all that it has brought are among them. */
  readonly settled: bigint | null;
  /** What a stream that runs meanwhile has brought. */
  readonly received?: (snapshot: Snapshot) => boolean;
}

/** An xid that no transaction of the source's change stream so far has reached. */
export async function nextXid(source: Session): Promise<bigint> {
  const { xid } = await source.one('SELECT pg_catalog.txid_current()::text AS xid');
  return BigInt(xid ?? '');
}

/** Holds a fresh snapshot on an ordinary session that belongs to the result. */
export async function holdFreshSnapshot(open: () => Promise<Session>, needed: Needed): Promise<HeldSnapshot> {
  const deadline = Date.now() + COVER_TIMEOUT_MS;
  for (;;) {
    const held = await tryFreshSnapshot(open, needed);
    if (held !== null) return held;
    if (Date.now() > deadline) throw neverCovered();
    await sleep(POLL_MS);
  }
}

/** One attempt; null where the snapshot does not see all that it must: a commit may still wait for a standby. */
export async function tryFreshSnapshot(
  open: () => Promise<Session>,
  needed: Needed,
): Promise<HeldSnapshot | null> {
  const holder = await open();
  try {
    const taken = await takeSnapshot(holder);
    if (isEnough(taken.snapshot, needed)) return { ...taken, ...holding(holder) };
  } catch (thrown) {
    holder.destroy();
    throw thrown;
  }
  await holder.end();
  return null;
}

function isEnough(snapshot: Snapshot, { covers, settled, received }: Needed): boolean {
  return (
    (covers === null || coversAllOf(snapshot, covers)) &&
    (settled === null || snapshot.xmin >= settled) &&
    (received?.(snapshot) ?? true)
  );
}

async function takeSnapshot(holder: Session) {
  const server = await readServerFacts(holder);
  await holder.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  const row = await holder.one(
    `SELECT ${currentSnapshot(holder.version)}::text AS snapshot, pg_catalog.pg_export_snapshot() AS exported`,
  );
  // R is read after the snapshot stands: what committed in between is judged by visibility, what commits later cannot be in it.
  const readUntil = await insertedWal(holder);
  const text = row.snapshot ?? '';
  return {
    text,
    snapshot: parseSnapshot(text),
    exportedId: row.exported ?? '',
    readUntil,
    server,
  };
}

function neverCovered(): AppError {
  return new AppError('TIMED_OUT', {
    what: 'A snapshot that is safe to read',
    seconds: COVER_TIMEOUT_MS / 1000,
    remedy: 'A commit on the source waits, perhaps for a synchronous standby. Let it finish and run again.',
  });
}
