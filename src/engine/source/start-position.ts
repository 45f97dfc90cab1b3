/**
 * Where changes are followed from when the user says so (A5): a slot that the user made, read from what it still holds, from an LSN, or
 * from a time. A time is a position too: that of the first commit, in the order of commits, that is not before it, as in point-in-time
 * recovery. So a clock that went back does not leave out single transactions behind it.
 */
import { AppError } from '../../base/errors/app-error.ts';
import { formatTime } from '../change/commit-time.ts';
import { displayName } from '../change/relation.ts';
import { formatLsn, parseLsn, type Lsn } from '../change/lsn.ts';
import type { Session } from '../pg/session.ts';
import type { Decoder } from '../pg/slot/decoder.ts';
import { insertedWal } from '../pg/wal-position.ts';
import type { ChangeReader, StreamItem } from './change-reader.ts';
import { encodingProblem } from './decoder-choice.ts';

export interface StartPosition {
  /** A logical slot of the user's, which stays. */
  readonly slot: string;
  readonly lsn: Lsn | null;
  /** Microseconds since 2000-01-01, as the stream gives commit times. */
  readonly time: bigint | null;
}

export interface UserSlot {
  /** Of use only where it is not unfit. */
  readonly decoder: Decoder;
  /** Commits from here on can be read. */
  readonly held: Lsn;
  readonly walEnd: Lsn;
  /** Who reads it now, in words. */
  readonly reader: string | null;
  readonly catalogXmin: string;
  /** Why it cannot serve, whatever the position. */
  readonly unfit: string | null;
}

/** Null when the source has no slot of that name. */
export async function readUserSlot(source: Session, slot: string): Promise<UserSlot | null> {
  const from = (version: number, column: string, otherwise: string) =>
    source.version >= version ? column : `${otherwise} AS ${column.replace(/^s\./, '')}`;
  const [row] = await source.query(
    `SELECT s.slot_type, s.plugin, s.database, (s.database = pg_catalog.current_database())::text AS here, s.temporary::text AS temporary,
            s.confirmed_flush_lsn::text AS held, s.catalog_xmin::text AS catalog_xmin, s.active_pid::text AS pid, a.application_name AS application,
            ${from(130_000, 's.wal_status', "''")}, ${from(140_000, 's.two_phase', "'f'")}
       FROM pg_catalog.pg_replication_slots s LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = s.active_pid
      WHERE s.slot_name = $1`,
    [slot],
  );
  if (!row) return null;
  return {
    decoder: row.plugin === 'test_decoding' ? 'test_decoding' : 'pgoutput',
    held: parseLsn(row.held ?? '0/0'),
    walEnd: await insertedWal(source),
    reader: row.pid ? `backend ${row.pid} (${row.application || 'without a name'})` : null,
    catalogXmin: row.catalog_xmin ?? '0',
    unfit: unfit(row) ?? (row.plugin === 'test_decoding' ? await encodingProblem(source) : null),
  };
}

function unfit(row: Readonly<Record<string, string | null>>): string | null {
  if (row.slot_type !== 'logical') return 'it is a physical slot';
  if (row.here !== 'true') return `it belongs to database "${row.database}"`;
  if (row.temporary === 'true') return 'it is temporary, and ends with the session that made it';
  if (row.wal_status === 'lost') return 'the source has removed WAL that it needs';
  if (row.two_phase === 't') return 'it sends prepared transactions before they commit (two_phase)';
  if (row.plugin !== 'pgoutput' && row.plugin !== 'test_decoding')
    return `its output plugin is "${row.plugin}", and only pgoutput and test_decoding are understood`;
  return null;
}

/** Whether the slot holds everything from the wanted LSN on; the sentence that says why not, else null. */
export function notHeld(slot: UserSlot, lsn: Lsn): string | null {
  if (lsn < slot.held)
    return `it holds changes from ${formatLsn(slot.held)} on, and ${formatLsn(lsn)} lies before that`;
  if (lsn > slot.walEnd)
    return `${formatLsn(lsn)} has not been written yet: the source's WAL ends at ${formatLsn(slot.walEnd)}`;
  return null;
}

export function startUnusable(slot: string, problem: string, remedy: string): AppError {
  return new AppError('START_UNUSABLE', { slot, problem, remedy });
}

export interface FoundStart {
  readonly lsn: Lsn;
  /** Commits before it, and their changes by table: read, and not to be applied. */
  readonly transactions: number;
  readonly skipped: ReadonlyMap<string, number>;
}

export interface TimeSearch {
  readonly slot: string;
  readonly time: bigint;
  /** Nothing before it is overlooked: where the source's WAL ended when the search began. */
  readonly until: Lsn;
  readonly signal: AbortSignal;
}

const NUDGE_MS = 250;

/**
 * Reads on until the first commit that is not before the time, or until the end. Nothing is confirmed. Throws START_UNUSABLE unless
 * an earlier commit was seen first: without one, others may have been read from the slot and be gone.
 */
export async function findStart(reader: ChangeReader, search: TimeSearch): Promise<FoundStart> {
  const { slot, time, until, signal } = search;
  const nudge = setInterval(() => reader.askForPosition(), NUDGE_MS);
  const skipped = new Map<string, number>();
  let transactions = 0;
  let begun: Lsn | null = null;
  let open = new Map<string, number>();
  try {
    for (;;) {
      const item = await next(reader, signal);
      switch (item.kind) {
        case 'begin':
          begun = item.finalLsn;
          open = new Map();
          break;
        case 'insert':
        case 'update':
        case 'delete':
          add(open, displayName(item.relation), 1);
          break;
        case 'truncate':
          for (const relation of item.relations) add(open, displayName(relation), 1);
          break;
        case 'commit':
          if (item.commitTime >= time) {
            if (transactions === 0) throw doesNotReachBack(slot, time, item.commitTime);
            return { lsn: begun ?? item.commitLsn, transactions, skipped };
          }
          transactions++;
          begun = null;
          for (const [table, count] of open) add(skipped, table, count);
          break;
        case 'keepalive':
          if (begun !== null || item.walEnd < until) break;
          if (transactions === 0) throw doesNotReachBack(slot, time, null);
          return { lsn: item.walEnd, transactions, skipped };
        case 'filtered':
        case 'unjudged':
          add(open, displayName(item.relation), 1);
          break;
        case 'relation':
        case 'other':
          break;
      }
    }
  } finally {
    clearInterval(nudge);
  }
}

async function next(reader: ChangeReader, signal: AbortSignal): Promise<StreamItem> {
  for (;;) {
    const item = reader.takeQueued();
    if (item !== null) return item;
    await reader.ready(signal);
  }
}

function add(counts: Map<string, number>, table: string, count: number): void {
  counts.set(table, (counts.get(table) ?? 0) + count);
}

function doesNotReachBack(slot: string, time: bigint, first: bigint | null): AppError {
  const [holds, otherwise] =
    first === null
      ? ['it holds no commit', 'Leave']
      : [`its first commit is of ${formatTime(first)}`, `Give a time after ${formatTime(first)}, or leave`];
  return startUnusable(
    slot,
    `${holds}, so that what was committed between ${formatTime(time)} and then may have been read from it already`,
    `${otherwise} the time out, to begin with the first change that the slot holds.`,
  );
}
