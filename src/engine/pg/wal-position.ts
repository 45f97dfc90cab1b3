/** Where the source's WAL ends right now, as a position that a stream can be seen to reach. */
import { sleep } from '../../base/runtime/sleep.ts';
import { parseLsn, type Lsn } from '../change/lsn.ts';
import type { Session } from './session.ts';

const PAGE = 8192n;
const SHORT_HEADER = 24n;
const LONG_HEADER = 40n;

/**
 * Everything inserted before the call lies before the result, asynchronous commits included; it may not be flushed yet. The insert
 * position itself would not do: on a fresh page it points behind a header that no record fills, and an idle stream never gets there.
 */
export async function insertedWal(session: Session): Promise<Lsn> {
  const { inserted } = await session.one('SELECT pg_catalog.pg_current_wal_insert_lsn()::text AS inserted');
  return lastRecordEnd(parseLsn(inserted ?? ''), await segmentBytes(session));
}

const segments = new WeakMap<Session, bigint>();

/** Fixed when a cluster is made. The view of all settings takes a server a millisecond. */
export async function segmentBytes(session: Session): Promise<bigint> {
  const known = segments.get(session);
  if (known !== undefined) return known;
  const { segment } = await session.one(
    `SELECT CASE unit WHEN 'B' THEN setting::bigint ELSE setting::bigint * 8192 END::text AS segment FROM pg_catalog.pg_settings WHERE name = 'wal_segment_size'`,
  );
  const bytes = BigInt(segment ?? '16777216');
  segments.set(session, bytes);
  return bytes;
}

/** The same, flushed, so that a stream gets there. For a session outside a transaction. */
export async function endOfWal(session: Session): Promise<Lsn> {
  const wanted = await insertedWal(session);
  for (let attempt = 1; ; attempt++) {
    const { flushed } = await session.one('SELECT pg_catalog.pg_current_wal_flush_lsn()::text AS flushed');
    if (parseLsn(flushed ?? '') >= wanted) return wanted;
    // What reading has written (pruned pages) nobody flushes for up to 15 s; the end of a transaction with an xid makes the server do it.
    if (attempt === 1) await session.query('SELECT pg_catalog.txid_current()');
    await sleep(20);
  }
}

/** The insert position without the page or segment header that may stand before it. */
export function lastRecordEnd(inserted: Lsn, segment: bigint): Lsn {
  if (inserted % segment === LONG_HEADER) return (inserted - LONG_HEADER) as Lsn;
  if (inserted % PAGE === SHORT_HEADER) return (inserted - SHORT_HEADER) as Lsn;
  return inserted;
}
