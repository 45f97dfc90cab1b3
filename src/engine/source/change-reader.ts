/** Reads the slot's changes from a position on: finds the slot fit, opens the stream, hands its items out in order. */
import { AppError } from '../../base/errors/app-error.ts';
import { sleep } from '../../base/runtime/sleep.ts';
import type { Lsn } from '../change/lsn.ts';
import type { Session } from '../pg/session.ts';
import { assertSlotUsable, readSlot } from '../pg/slot/health.ts';
import { SlotStream, type StreamItem } from '../pg/slot/stream.ts';
import type { SourceNames } from './source-names.ts';

/** In commit order; what is read twice after a restart begins at a transaction's Begin. */
export interface ChangeReader extends AsyncDisposable {
  next(signal: AbortSignal): Promise<StreamItem>;
  takeQueued(): StreamItem | null;
  /** Only what is durable in the target (P9). */
  confirm(lsn: Lsn): void;
  askForPosition(): void;
}
export type { StreamItem };

export interface ReaderOptions {
  readonly control: Session;
  readonly openReplication: () => Promise<Session>;
  readonly names: SourceNames;
  /** What the target has recorded. */
  readonly from: Lsn;
  readonly signal: AbortSignal;
}

const FREE_ATTEMPTS = 100;

/** Throws SLOT_LOST, PROGRESS_AHEAD, or SLOT_IN_USE when somebody keeps the slot for 10 s although asked to end. */
export async function openChangeReader(options: ReaderOptions): Promise<ChangeReader> {
  const { control, names, from, signal } = options;
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    const row = await readSlot(control, names.slot);
    assertSlotUsable(row, names.slot, from);
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
  return SlotStream.start(session, { ...names, from, walSenderTimeoutMs: Number(timeout) });
}
