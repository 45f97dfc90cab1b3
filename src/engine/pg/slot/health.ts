/** What the source says of our slot, and whether it can still give us what we need. The judgement is pure. */
import { AppError } from '../../../base/errors/app-error.ts';
import { formatLsn, parseLsn, type Lsn } from '../../change/lsn.ts';
import type { Row, Session } from '../session.ts';

export interface SlotRow {
  readonly slot: string;
  readonly activePid: number | null;
  readonly confirmed: Lsn;
  /** reserved, extended, unreserved or lost (13+). */
  readonly walStatus: string | null;
  readonly retainedBytes: bigint;
  /** How much more may be written before the slot is in danger (13+); null without a limit of the server's own. */
  readonly safeBytes: bigint | null;
  /** Why the server has given it up for good, in its words (16+); null while it has not. */
  readonly invalidation: string | null;
}

/** What pg_replication_slots says of a slot's fate in this version, as text; of what it does not know, NULL. `s` is the view. */
export function slotFate(version: number): string {
  const since = (first: number, expression: string, name: string) =>
    `${version >= first ? expression : 'NULL'}::pg_catalog.text AS ${name}`;
  return [
    since(130_000, 's.wal_status', 'wal_status'),
    since(130_000, 's.safe_wal_size', 'safe_wal_size'),
    // A slot that was given up before 17 says no more than that.
    version >= 170_000
      ? 's.invalidation_reason::pg_catalog.text AS invalidation'
      : since(160_000, "CASE WHEN s.conflicting THEN 'conflict with recovery' END", 'invalidation'),
    since(170_000, 's.synced', 'synced'),
    since(170_000, "pg_catalog.to_char(s.inactive_since, 'YYYY-MM-DD HH24:MI:SS UTC')", 'inactive_since'),
  ].join(', ');
}

/** Null when there is no slot of that name in the session's database. Throws SOURCE_IS_STANDBY where slots are only copies. */
export async function readSlot(session: Session, slot: string): Promise<SlotRow | null> {
  const row = await session.one(
    `SELECT pg_catalog.pg_is_in_recovery()::pg_catalog.text AS standby, s.slot_name, s.active_pid, s.confirmed_flush_lsn,
            s.temporary::pg_catalog.text AS temporary, ${slotFate(session.version)},
            CASE WHEN NOT pg_catalog.pg_is_in_recovery()
                 THEN pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), s.restart_lsn)::pg_catalog.int8 END AS retained
       FROM (SELECT 1) one LEFT JOIN pg_catalog.pg_replication_slots s
         ON s.slot_name = $1 AND s.database = pg_catalog.current_database()`,
    [slot],
  );
  if (row.standby === 'true')
    throw new AppError('SOURCE_IS_STANDBY', { slot, state: describeCopy(row, session.version) });
  if (row.slot_name == null) return null;
  return {
    slot,
    activePid: row.active_pid ? Number(row.active_pid) : null,
    confirmed: parseLsn(row.confirmed_flush_lsn ?? '0/0'),
    walStatus: row.wal_status ?? null,
    retainedBytes: BigInt(row.retained ?? '0'),
    safeBytes: row.safe_wal_size == null ? null : BigInt(row.safe_wal_size),
    invalidation: row.invalidation ?? null,
  };
}

/** What a standby has of the slot, for who waits for its promotion. */
function describeCopy(row: Row, version: number): string {
  if (row.slot_name == null)
    return version >= 170_000
      ? 'is not there (sync_replication_slots)'
      : 'is not there: before PostgreSQL 17 slots do not follow';
  if (row.invalidation != null) return `was given up there (${row.invalidation})`;
  if (row.synced !== 'true') return 'is there, but not as a copy of the one on the primary';
  return row.temporary === 'true' ? 'is there, but not ready yet' : 'is there and ready';
}

/** What makes the slot useless, or null. */
export function lossOf({
  walStatus,
  invalidation,
}: Pick<SlotRow, 'walStatus' | 'invalidation'>): string | null {
  if (invalidation !== null) return `invalidated by the server (${invalidation})`;
  return walStatus === 'lost' ? 'lost (its WAL was removed)' : null;
}

/** SLOT_LOST with what it means for this state; `recorded` is how far the target is. */
export function slotLost(slot: string, state: string, recorded: Lsn, failover = ''): AppError {
  const why =
    failover ||
    (state === 'gone'
      ? 'Somebody dropped it, or the source was restored or replaced without it. '
      : 'Look at max_slot_wal_keep_size and idle_replication_slot_timeout of the source before the next attempt. ');
  return new AppError('SLOT_LOST', { slot, state, lsn: formatLsn(recorded), why });
}

/** Throws SLOT_LOST or PROGRESS_AHEAD when changes after `recorded` cannot all be had from this slot any more (P9, P10). */
export function assertSlotUsable(row: SlotRow | null, slot: string, recorded: Lsn): asserts row is SlotRow {
  if (!row) throw slotLost(slot, 'gone', recorded);
  const loss = lossOf(row);
  if (loss !== null) throw slotLost(slot, loss, recorded);
  if (row.confirmed > recorded) {
    throw new AppError('PROGRESS_AHEAD', {
      slot,
      confirmed: formatLsn(row.confirmed),
      recorded: formatLsn(recorded),
    });
  }
}

/** Who holds a slot, as far as our account may see. */
export interface SlotUser {
  readonly pid: number;
  /** A session of ours, this run's or a former one's. */
  readonly isOurs: boolean;
  readonly shown: string;
}

export async function readSlotUser(session: Session, pid: number): Promise<SlotUser> {
  const [row] = await session.query(
    `SELECT usename, application_name, pg_catalog.host(client_addr) AS address, (client_port = -1)::pg_catalog.text AS local
       FROM pg_catalog.pg_stat_activity WHERE pid = $1::pg_catalog.int4`,
    [String(pid)],
  );
  const address = row?.address ?? (row?.local === 'true' ? "the server's own machine" : 'an unknown address');
  const application = row?.application_name ?? '';
  return {
    pid,
    isOurs: application.startsWith('opendts:'),
    shown: `backend ${pid} (user ${row?.usename ?? 'unknown'}, application ${application || 'unknown'}, from ${address})`,
  };
}
