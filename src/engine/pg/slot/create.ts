/**
 * Creates the slot together with its snapshot S1 (data-plane P2): inside one read-only transaction of a walsender connection, which
 * afterwards exports that snapshot as often as needed. The connection is the snapshot holder: S1 lives as long as it does.
 * https://www.postgresql.org/docs/current/protocol-replication.html#PROTOCOL-REPLICATION-CREATE-REPLICATION-SLOT
 */
import { AppError } from '../../../base/errors/app-error.ts';
import { parseLsn, type Lsn } from '../../change/lsn.ts';
import { parseSnapshot, type Snapshot } from '../../change/snapshot.ts';
import { ident } from '../ident.ts';
import { SQLSTATE, sqlstateOf } from '../pg-error.ts';
import type { Row, Session } from '../session.ts';

export interface CreatedSlot {
  /** Every transaction that S1 does not see will be streamed from here on. */
  readonly consistentPoint: Lsn;
  readonly snapshot: Snapshot;
  readonly snapshotText: string;
  /** For `SET TRANSACTION SNAPSHOT`, valid while the holder lives. */
  readonly exportedId: string;
}

/** `holder` is a replication session and stays in its transaction. Throws SLOT_BLOCKED (nobody's slot is left behind) after `waitMs`. */
export async function createSlot(
  holder: Session,
  slot: string,
  control: Session,
  waitMs: number,
): Promise<CreatedSlot> {
  // Set before the command: creation waits for running transactions under this limit, and statement_timeout does not bind it.
  await holder.query(`SET lock_timeout = ${waitMs}`);
  await holder.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  const failover = holder.version >= 170_000 ? ', FAILOVER true' : '';
  const options = holder.version >= 150_000 ? `(SNAPSHOT 'use'${failover})` : 'USE_SNAPSHOT';
  let row: Row;
  try {
    row = await holder.one(`CREATE_REPLICATION_SLOT ${ident(slot)} LOGICAL pgoutput ${options}`);
  } catch (thrown) {
    if (sqlstateOf(thrown) !== SQLSTATE.lockNotAvailable) throw thrown;
    throw new AppError(
      'SLOT_BLOCKED',
      { seconds: Math.round(waitMs / 1000), blockers: await blockers(control) },
      thrown,
    );
  }
  const { snapshot, exported } = await holder.one(
    `SELECT ${currentSnapshot(holder.version)}::text AS snapshot, pg_catalog.pg_export_snapshot() AS exported`,
  );
  return {
    consistentPoint: parseLsn(row.consistent_point ?? ''),
    snapshot: parseSnapshot(snapshot ?? ''),
    snapshotText: snapshot ?? '',
    exportedId: exported ?? '',
  };
}

/** The function of this version that returns the current snapshot with 64-bit xids. */
export function currentSnapshot(version: number): string {
  return version >= 130_000 ? 'pg_catalog.pg_current_snapshot()' : 'pg_catalog.txid_current_snapshot()';
}

/** Who holds up slot creation: running and prepared transactions, without their statements. */
async function blockers(control: Session): Promise<string> {
  const rows = await control.query(`
    SELECT 'backend ' || pid || ' of ' || coalesce(usename, '?') || ' (' || coalesce(application_name, '') || ', ' ||
           pg_catalog.date_trunc('second', pg_catalog.now() - xact_start) || ')' AS who
      FROM pg_catalog.pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_catalog.pg_backend_pid()
    UNION ALL
    SELECT 'prepared transaction ' || gid || ' of ' || owner FROM pg_catalog.pg_prepared_xacts
     LIMIT 5`);
  return rows.map((row) => row.who).join(', ') || 'a transaction that has ended meanwhile';
}
