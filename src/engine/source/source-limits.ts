/**
 * What a full copy may cost the source, and when that is too much. While the snapshot is held, VACUUM cannot remove what was deleted
 * since; while the slot stands, WAL cannot be removed. Pure: source-watch.ts asks the source.
 */
import { lossOf, type SlotRow } from '../pg/slot/health.ts';

/** Null: no limit. */
export interface SourceLimits {
  /** Transactions begun on the source since the snapshot was taken. */
  readonly snapshotAge: bigint | null;
  /** Bytes of WAL that the slot keeps. */
  readonly retainedWal: bigint | null;
}

export const NO_PROTECTION: SourceLimits = { snapshotAge: null, retainedWal: null };

/** A session that cannot go on before our lock on the table is gone. */
export interface LockWaiter {
  readonly pid: string;
  readonly table: string;
}

/** A transaction of the source, running or prepared, that has been open for long. */
export interface LongTransaction {
  /** `backend 12 (user …)`, never its statements. */
  readonly who: string;
  readonly seconds: number;
  /** It has written: what it wrote, and all WAL since, is kept for our slot until it ends. */
  readonly writes: boolean;
}

export interface SourceState {
  /** Of the oldest session of ours that sees by the snapshot; null when there is none. */
  readonly snapshotAge: bigint | null;
  /** `none`: the migration has none; `gone`: it should be there and is not. */
  readonly slot:
    | Pick<SlotRow, 'slot' | 'walStatus' | 'retainedBytes' | 'safeBytes' | 'invalidation'>
    | 'none'
    | 'gone';
  readonly waiters: readonly LockWaiter[];
  /** Empty where they are not asked for. */
  readonly longTransactions: readonly LongTransaction[];
}

/** Why the copy must end. */
export type Overrun =
  | { readonly kind: 'snapshot-age'; readonly age: bigint; readonly limit: bigint }
  | { readonly kind: 'retained-wal'; readonly bytes: bigint; readonly limit: bigint }
  /** Copying on would be in vain: the changes meanwhile cannot be had any more. */
  | { readonly kind: 'slot-lost'; readonly state: string };

export interface SourceWarning {
  /** Equal for what a person need not read twice. */
  readonly key: string;
  readonly message: string;
}

export type SourceVerdict =
  | { readonly kind: 'ok' }
  | { readonly kind: 'warn'; readonly warnings: readonly SourceWarning[] }
  | { readonly kind: 'abort'; readonly over: Overrun };

export function judgeSource(state: SourceState, limits: SourceLimits): SourceVerdict {
  const over = overrun(state, limits);
  if (over !== null) return { kind: 'abort', over };
  const warnings = [
    ...ageWarnings(state, limits),
    ...slotWarnings(state, limits),
    ...state.waiters.map(waiterWarning),
    ...state.longTransactions.map((one) => longWarning(one, state)),
  ];
  return warnings.length === 0 ? { kind: 'ok' } : { kind: 'warn', warnings };
}

/** What ends the slot goes first: it covers what an old snapshot asks for, not the other way round. */
function overrun({ slot, snapshotAge }: SourceState, limits: SourceLimits): Overrun | null {
  if (slot === 'gone') return { kind: 'slot-lost', state: 'gone' };
  if (slot !== 'none') {
    const loss = lossOf(slot);
    if (loss !== null) return { kind: 'slot-lost', state: loss };
    if (limits.retainedWal !== null && slot.retainedBytes > limits.retainedWal)
      return { kind: 'retained-wal', bytes: slot.retainedBytes, limit: limits.retainedWal };
  }
  if (limits.snapshotAge !== null && snapshotAge !== null && snapshotAge > limits.snapshotAge)
    return { kind: 'snapshot-age', age: snapshotAge, limit: limits.snapshotAge };
  return null;
}

/** Four fifths of a limit: time enough to raise it, or to look for what writes so much. */
function isNear(value: bigint, limit: bigint): boolean {
  return value * 5n >= limit * 4n;
}

function ageWarnings({ snapshotAge }: SourceState, { snapshotAge: limit }: SourceLimits): SourceWarning[] {
  if (limit === null || snapshotAge === null || !isNear(snapshotAge, limit)) return [];
  return [
    {
      key: 'snapshot-age',
      message: `The snapshot of the copy is ${snapshotAge} transactions old; beyond ${limit} the copy is ended (--max-snapshot-age).`,
    },
  ];
}

function slotWarnings({ slot }: SourceState, { retainedWal: limit }: SourceLimits): SourceWarning[] {
  if (slot === 'none' || slot === 'gone') return [];
  const { retainedBytes, safeBytes, walStatus } = slot;
  const keeps = `The source keeps ${gigabytes(retainedBytes)} of WAL for slot ${slot.slot}`;
  const warnings: SourceWarning[] = [];
  if (limit !== null && isNear(retainedBytes, limit))
    warnings.push({
      key: 'retained-wal',
      message: `${keeps}; beyond ${gigabytes(limit)} the copy is ended and the slot dropped (--max-retained-wal).`,
    });
  if (walStatus === 'extended')
    warnings.push({ key: 'extended', message: `${keeps}, more than its max_wal_size: watch its disk.` });
  const raise =
    'on the source: ALTER SYSTEM SET max_slot_wal_keep_size = -1; SELECT pg_reload_conf(); else the migration must begin anew';
  if (walStatus === 'unreserved')
    warnings.push({
      key: 'unreserved',
      message: `${keeps}, which is over its max_slot_wal_keep_size, and drops it at its next checkpoint. Raise the limit now, ${raise}.`,
    });
  else if (safeBytes !== null && isShort(safeBytes, retainedBytes))
    warnings.push({
      key: 'short',
      message: `${keeps} and will drop it after ${gigabytes(safeBytes > 0n ? safeBytes : 0n)} more (max_slot_wal_keep_size). Raise that limit, ${raise}.`,
    });
  return warnings;
}

const SHORT = 1_000_000_000n;

/** A fifth of the server's limit is left, or 1 GB where the limit is small; half of it is never short. */
function isShort(safe: bigint, retained: bigint): boolean {
  const limit = retained + safe;
  const least = limit / 5n;
  const half = limit / 2n;
  const absolute = SHORT < half ? SHORT : half;
  return safe < (absolute > least ? absolute : least);
}

function longWarning({ who, seconds, writes }: LongTransaction, { slot }: SourceState): SourceWarning {
  const kept = typeof slot === 'string' ? '' : `, now ${gigabytes(slot.retainedBytes)}`;
  const cost = writes
    ? `until it ends, the source keeps all WAL since it began${kept}, and its changes do not come`
    : 'until it ends, VACUUM cannot remove on the source what was deleted since it began';
  return {
    key: `long ${who}`,
    message: `A transaction of the source has been open for ${duration(seconds)}: ${who}. ${cost[0]?.toUpperCase()}${cost.slice(1)}.`,
  };
}

function duration(seconds: number): string {
  return seconds < 120 ? `${seconds} s` : `${Math.floor(seconds / 60)} min`;
}

function waiterWarning({ pid, table }: LockWaiter): SourceWarning {
  return {
    key: `waiter ${pid} ${table}`,
    message: `Backend ${pid} of the source (ALTER TABLE, TRUNCATE, VACUUM FULL or the like) waits for the copy of ${table}; later queries on that table wait behind it.`,
  };
}

/** `5.1 GB`, of 10^9 bytes. */
export function gigabytes(bytes: bigint): string {
  return `${(Number(bytes) / 1e9).toFixed(bytes < 100_000_000n ? 3 : 1)} GB`;
}
