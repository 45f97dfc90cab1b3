/** Reads the slot's changes from a position on: finds the slot fit, opens the stream, hands its items out in order. */
import { AppError } from '../../base/errors/app-error.ts';
import { sleep } from '../../base/runtime/sleep.ts';
import type { Lsn } from '../change/lsn.ts';
import type { Relation } from '../change/relation.ts';
import { answersWithin } from '../pg/answers-within.ts';
import { sqlstateOf } from '../pg/pg-error.ts';
import type { Session } from '../pg/session.ts';
import type { Decoder } from '../pg/slot/decoder.ts';
import { assertSlotUsable, readSlot, readSlotUser, slotLost } from '../pg/slot/health.ts';
import { SlotStream, type StreamItem as SlotItem } from '../pg/slot/stream.ts';
import { pgoutputDecoder } from '../pg/pgoutput/decoder.ts';
import { TestDecoder } from '../pg/test-decoding/decode.ts';
import { describeTables, type WantedTable } from '../pg/test-decoding/described-table.ts';
import { findMarks, type Marks } from '../pg/test-decoding/marks.ts';
import { textDecoder, type TextMessage } from '../pg/test-decoding/text-message.ts';
import { TextReader } from '../pg/test-decoding/text-reader.ts';
import type { SourceNames } from './source-names.ts';
import { explainGoneSlot, followTimeline, type Recorded } from './timeline.ts';

/** `filtered`: a change of that table that the task does not follow. `unjudged`: one of which that could not be found out. */
export type StreamItem =
  | SlotItem
  | { readonly kind: 'filtered'; readonly relation: Relation }
  | { readonly kind: 'unjudged'; readonly relation: Relation; readonly error: AppError };

/** In commit order; what is read twice after a restart begins at a transaction's Begin. */
export interface ChangeReader extends AsyncDisposable {
  /** The next item if one is here already. */
  takeQueued(): StreamItem | null;
  /** Resolves once something may be taken; throws when nothing more will come, or AbortError. */
  ready(signal: AbortSignal): Promise<void>;
  /** Only what is durable in the target (P9). */
  confirm(lsn: Lsn): void;
  askForPosition(): void;
}

export interface ReaderOptions {
  readonly control: Session;
  readonly openReplication: () => Promise<Session>;
  readonly names: SourceNames;
  /** The slot's. */
  readonly decoder: Decoder;
  /** Those whose changes are wanted; of others the reader may say no more than their names. */
  readonly tables: readonly WantedTable[];
  /** Where to begin: nothing before it is needed. */
  readonly from: Lsn;
  /** Where tables stand that are further. */
  readonly positions: readonly Lsn[];
  /** Everything before it is durable in the target: what may be reported. Not above `from`. */
  readonly safe: Lsn;
  /** Null where nothing is recorded yet. */
  readonly recorded: Recorded | null;
  /** Records the timeline that the source is on since a failover; called before anything is read from it. */
  readonly onTimeline: (timeline: number) => Promise<void>;
  readonly signal: AbortSignal;
}

const FREE_ATTEMPTS = 100;
const ANSWER_MS = 30_000;

/**
 * Throws SLOT_LOST, PROGRESS_AHEAD, TIMELINE_LEFT when a person must act; SOURCE_IS_STANDBY, SOURCE_FORMER, or SLOT_IN_USE when somebody
 * keeps the slot for 10 s, when it may pass.
 */
export async function openChangeReader(options: ReaderOptions): Promise<ChangeReader> {
  const { control, names, from, safe } = options;
  await freeSlot(options);
  const { timeout } = await control.one(
    "SELECT (setting::bigint)::text AS timeout FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'",
  );
  const common = { slot: names.slot, from, safe, walSenderTimeoutMs: Number(timeout) };
  if (options.decoder === 'pgoutput') {
    const decoder = pgoutputDecoder(names.publication);
    return SlotStream.start(await openSession(options), { ...common, decoder });
  }
  const { tables } = options;
  const start = async () => SlotStream.start(await openSession(options), { ...common, decoder: textDecoder });
  const marks = await marksOf(options, start);
  // After the marks: what was read for them may have taken long.
  const decoder = new TestDecoder(await describeTables(control, tables), marks);
  await freeSlot(options);
  return new TextReader({ stream: await start(), decoder, control, tables });
}

async function marksOf(
  { from, positions, signal }: ReaderOptions,
  start: () => Promise<SlotStream<TextMessage>>,
): Promise<Marks> {
  const further = positions.filter((position) => position > from);
  if (further.length === 0) return { first: from, after: new Map() };
  await using stream = await start();
  return await findMarks(stream, from, further, signal);
}

/** A replication session of a server that has what is recorded in its history. */
async function openSession({ openReplication, recorded, onTimeline }: ReaderOptions): Promise<Session> {
  const session = await openReplication();
  if (recorded === null) return session;
  try {
    const timeline = await answersWithin(session, ANSWER_MS, () => followTimeline(session, recorded));
    if (timeline !== recorded.timeline) await onTimeline(timeline);
    return session;
  } catch (thrown) {
    session.destroy();
    throw thrown;
  }
}

/** Returns once the slot is fit and nobody reads it. A former session of ours is asked to end; somebody else's is theirs to end. */
async function freeSlot({ control, names, safe, recorded, signal }: ReaderOptions): Promise<void> {
  const { slot } = names;
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    const row = await readSlot(control, slot);
    if (row === null)
      throw slotLost(
        slot,
        'gone',
        safe,
        recorded === null ? '' : await explainGoneSlot(control, recorded.timeline),
      );
    assertSlotUsable(row, slot, safe);
    if (row.activePid === null) return;
    const user = await readSlotUser(control, row.activePid);
    if (user.isOurs && attempt === 1) {
      await control
        .query('SELECT pg_catalog.pg_terminate_backend($1::int)', [String(user.pid)])
        // Where it belongs to another role: it ends by itself, or is named below.
        .catch((thrown: unknown) => {
          if (sqlstateOf(thrown) === undefined) throw thrown;
        });
    }
    if (attempt >= FREE_ATTEMPTS)
      throw new AppError('SLOT_IN_USE', { slot, user: user.shown, pid: user.pid });
    await sleep(100, signal);
  }
}
