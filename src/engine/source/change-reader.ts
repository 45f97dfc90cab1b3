/** Reads the slot's changes from a position on: finds the slot fit, opens the stream, hands its items out in order. */
import { AppError } from '../../base/errors/app-error.ts';
import { sleep } from '../../base/runtime/sleep.ts';
import { formatLsn, parseLsn, type Lsn } from '../change/lsn.ts';
import type { Session } from '../pg/session.ts';
import { assertSlotUsable, readSlot } from '../pg/slot/health.ts';
import { SlotStream, type StreamItem } from '../pg/slot/stream.ts';
import type { SourceNames } from './source-names.ts';

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
export type { StreamItem };

export interface ReaderOptions {
  readonly control: Session;
  readonly openReplication: () => Promise<Session>;
  readonly names: SourceNames;
  /** Where to begin: nothing before it is needed. */
  readonly from: Lsn;
  /** Everything before it is durable in the target: what may be reported. Not above `from`. */
  readonly safe: Lsn;
  /** The newest position the target has recorded, and the timeline it was recorded on. */
  readonly recorded: Lsn;
  readonly timeline: number;
  readonly signal: AbortSignal;
}

const FREE_ATTEMPTS = 100;

/** Throws SLOT_LOST, PROGRESS_AHEAD, or SLOT_IN_USE when somebody keeps the slot for 10 s although asked to end. */
export async function openChangeReader(options: ReaderOptions): Promise<ChangeReader> {
  const { control, names, from, safe, signal } = options;
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    const row = await readSlot(control, names.slot);
    assertSlotUsable(row, names.slot, safe);
    if (row.activePid === null) break;
    if (attempt === 1)
      await control
        .query('SELECT pg_catalog.pg_terminate_backend($1::int)', [String(row.activePid)])
        .catch(() => {});
    if (attempt >= FREE_ATTEMPTS) throw new AppError('SLOT_IN_USE', { slot: names.slot, pid: row.activePid });
    await sleep(100, signal);
  }
  const { timeout } = await control.one(
    "SELECT (setting::bigint)::text AS timeout FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'",
  );
  const session = await options.openReplication();
  try {
    await assertSameHistory(session, options);
  } catch (thrown) {
    session.destroy();
    throw thrown;
  }
  return SlotStream.start(session, { ...names, from, safe, walSenderTimeoutMs: Number(timeout) });
}

/**
 * P10: after a failover the new primary's history may have branched off before the recorded position. What was applied from the old
 * branch behind that point does not exist on the source any more, and what the new branch wrote there would be skipped.
 */
async function assertSameHistory(session: Session, { recorded, timeline }: ReaderOptions): Promise<void> {
  const { timeline: current } = await session.one('IDENTIFY_SYSTEM');
  if (Number(current) === timeline) return;
  const { content } = await session.one(`TIMELINE_HISTORY ${Number(current)}`);
  const left = branchPoint(content ?? '', timeline);
  if (left === null || recorded > left) {
    throw new AppError('TIMELINE_LEFT', {
      from: timeline,
      to: current ?? '?',
      recorded: formatLsn(recorded),
      left: left === null ? 'an unknown position' : formatLsn(left),
    });
  }
}

/** Where a history file says that a timeline was left: lines of `timeline<TAB>LSN<TAB>reason`. Null when it is not an ancestor. */
export function branchPoint(history: string, timeline: number): Lsn | null {
  // Some servers send the file as bytea.
  const text = history.startsWith('\\x') ? Buffer.from(history.slice(2), 'hex').toString('utf8') : history;
  for (const line of text.split('\n')) {
    const match = /^\s*(\d+)\s+([0-9A-F]+\/[0-9A-F]+)/i.exec(line);
    if (match && Number(match[1]) === timeline) return parseLsn(match[2] ?? '');
  }
  return null;
}
