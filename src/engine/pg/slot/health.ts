/** What the source says of our slot, and whether it can still give us what we need. The judgement is pure. */
import { AppError } from '../../../base/errors/app-error.ts';
import { formatLsn, parseLsn, type Lsn } from '../../change/lsn.ts';
import type { Session } from '../session.ts';

export interface SlotRow {
  readonly slot: string;
  readonly activePid: number | null;
  readonly confirmed: Lsn;
  /** reserved, extended, unreserved or lost (13+). */
  readonly walStatus: string | null;
  readonly retainedBytes: bigint;
  /** How much more may be written before the slot is in danger (13+); null without a limit of the server's own. */
  readonly safeBytes: bigint | null;
}

/** Null when there is no slot of that name in the session's database. */
export async function readSlot(session: Session, slot: string): Promise<SlotRow | null> {
  const status =
    session.version >= 130_000
      ? 'wal_status, safe_wal_size'
      : 'NULL::text AS wal_status, NULL::text AS safe_wal_size';
  const [row] = await session.query(
    `SELECT slot_name, active_pid, confirmed_flush_lsn, ${status},
            pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), restart_lsn)::bigint AS retained
       FROM pg_catalog.pg_replication_slots
      WHERE slot_name = $1 AND database = pg_catalog.current_database()`,
    [slot],
  );
  if (!row) return null;
  return {
    slot,
    activePid: row.active_pid ? Number(row.active_pid) : null,
    confirmed: parseLsn(row.confirmed_flush_lsn ?? '0/0'),
    walStatus: row.wal_status ?? null,
    retainedBytes: BigInt(row.retained ?? '0'),
    safeBytes: row.safe_wal_size == null ? null : BigInt(row.safe_wal_size),
  };
}

/** Throws SLOT_LOST or PROGRESS_AHEAD when changes after `recorded` cannot all be had from this slot any more (P9, P10). */
export function assertSlotUsable(row: SlotRow | null, slot: string, recorded: Lsn): asserts row is SlotRow {
  if (!row) throw new AppError('SLOT_LOST', { slot, state: 'gone', lsn: formatLsn(recorded) });
  if (row.walStatus === 'lost')
    throw new AppError('SLOT_LOST', { slot, state: 'lost (its WAL was removed)', lsn: formatLsn(recorded) });
  if (row.confirmed > recorded) {
    throw new AppError('PROGRESS_AHEAD', {
      slot,
      confirmed: formatLsn(row.confirmed),
      recorded: formatLsn(recorded),
    });
  }
}
