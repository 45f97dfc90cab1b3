/**
 * The heartbeat: one row per slot in a table of the source, written every few seconds while the task runs. Its commits come through the
 * stream like any other, so that the delay is known, and the slot moves on, where nobody else writes. The row also tells the people at
 * the source how far the task is.
 */
import type { RowChange } from '../../change/change.ts';
import { readable, UNCHANGED } from '../../change/change.ts';
import { formatLsn, type Lsn } from '../../change/lsn.ts';
import { nameKey } from '../../change/relation.ts';
import { literal, qname } from '../../pg/ident.ts';
import type { Session } from '../../pg/session.ts';
import type { SourceNames } from '../source-names.ts';
import { ensureHelper, HEARTBEAT, type HelperState } from './helper-tables.ts';

/** How far the task is, for the row. */
export interface HeartbeatPosition {
  /** Commit time of the newest applied transaction by the source's clock, in ms since 1970; null when none is known. */
  readonly commitMs: number | null;
  /** Where the source's log ended when it was last asked; null before. */
  readonly endOfLog: Lsn | null;
  /** What the target has recorded. */
  readonly recorded: Lsn;
}

const COLUMNS = `slot_name varchar(64) PRIMARY KEY, revice_time bigint, revice_lsn varchar(64), flushed_lsn varchar(64),
  update_time timestamptz, dts_service_time bigint`;

export function ensureHeartbeat(source: Session, { slot, publication }: SourceNames): Promise<HelperState> {
  return ensureHelper(source, publication, {
    name: HEARTBEAT,
    columns: COLUMNS,
    complete: async (session) => {
      await session.query(
        `INSERT INTO ${qname(HEARTBEAT)} (slot_name, update_time) VALUES (${literal(slot)}, pg_catalog.clock_timestamp()) ON CONFLICT DO NOTHING`,
      );
    },
  });
}

/** One beat. The session should have synchronous_commit = local: no standby of the source is to be waited for. */
export async function beat(source: Session, slot: string, position: HeartbeatPosition): Promise<void> {
  await source.query(
    `INSERT INTO ${qname(HEARTBEAT)} AS h (slot_name, revice_time, revice_lsn, flushed_lsn, update_time, dts_service_time)
     VALUES ($1, $2, $3, $4, pg_catalog.clock_timestamp(), $5)
     ON CONFLICT (slot_name) DO UPDATE SET revice_time = EXCLUDED.revice_time, revice_lsn = EXCLUDED.revice_lsn,
       flushed_lsn = EXCLUDED.flushed_lsn, update_time = EXCLUDED.update_time, dts_service_time = EXCLUDED.dts_service_time`,
    [
      slot,
      position.commitMs === null ? null : String(Math.round(position.commitMs)),
      position.endOfLog === null ? null : formatLsn(position.endOfLog),
      formatLsn(position.recorded),
      String(Date.now()),
    ],
  );
}

export interface Heartbeat {
  readonly slot: string;
  /** By the source's clock, in ms since 1970. */
  readonly timeMs: number;
}

/** The heartbeat that a change of the stream brings, of whichever task; null for any other change. */
export function heartbeatOf(change: RowChange): Heartbeat | null {
  if (change.kind === 'delete' || nameKey(change.relation) !== nameKey(HEARTBEAT)) return null;
  const text = (column: string): string | null => {
    const cell = change.new[change.relation.columns.findIndex(({ name }) => name === column)];
    return cell == null || cell === UNCHANGED ? null : readable(cell);
  };
  const slot = text('slot_name');
  // `2024-05-01 12:00:00.123456+00`: our sessions run in UTC.
  const timeMs = Date.parse((text('update_time') ?? '').replace(' ', 'T').replace(/\+00$/, 'Z'));
  return slot === null || Number.isNaN(timeMs) ? null : { slot, timeMs };
}
