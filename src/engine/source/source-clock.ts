/** What time it is on the source, whose clock may be minutes from ours, and how far it has come by then: in one question, since it is asked all the time. */
import { parseLsn, type Lsn } from '../change/lsn.ts';
import { parseSnapshot, type Snapshot } from '../change/snapshot.ts';
import type { Session } from '../pg/session.ts';
import { currentSnapshot } from '../pg/slot/create.ts';
import { endOfWal, lastRecordEnd, segmentBytes } from '../pg/wal-position.ts';
import type { ClockReading } from './delay-meter.ts';

interface SourceNow {
  readonly clock: ClockReading;
  /** Of its WAL, as `endOfWal` tells it. */
  readonly end: Lsn;
  readonly snapshot: Snapshot;
}

export async function readSourceNow(source: Session): Promise<SourceNow> {
  const segment = await segmentBytes(source);
  const askedMs = Date.now();
  const { now, inserted, flushed, snapshot } = await source.one(
    `SELECT (pg_catalog.date_part($$epoch$$, pg_catalog.clock_timestamp()) * 1000)::text AS now,
            pg_catalog.pg_current_wal_insert_lsn()::text AS inserted, pg_catalog.pg_current_wal_flush_lsn()::text AS flushed,
            ${currentSnapshot(source.version)}::text AS snapshot`,
  );
  const clock = { askedMs, answeredMs: Date.now(), sourceMs: Number(now) };
  const end = lastRecordEnd(parseLsn(inserted ?? ''), segment);
  const isFlushed = parseLsn(flushed ?? '') >= end;
  return {
    clock,
    end: isFlushed ? end : await endOfWal(source),
    snapshot: parseSnapshot(snapshot ?? ''),
  };
}
