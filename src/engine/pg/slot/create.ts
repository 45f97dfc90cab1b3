/**
 * Creates the slot together with its snapshot S1 (data-plane P2): inside one read-only transaction of a walsender connection, which
 * afterwards exports that snapshot as often as needed. The connection is the snapshot holder: S1 lives as long as it does.
 * https://www.postgresql.org/docs/current/protocol-replication.html#PROTOCOL-REPLICATION-CREATE-REPLICATION-SLOT
 */
import { AppError } from '../../../base/errors/app-error.ts';
import { sleep } from '../../../base/runtime/sleep.ts';
import { parseLsn, type Lsn } from '../../change/lsn.ts';
import { parseSnapshot, type Snapshot } from '../../change/snapshot.ts';
import { ident } from '../ident.ts';
import { SQLSTATE, sqlstateOf } from '../pg-error.ts';
import type { Row, Session } from '../session.ts';

export interface NewSlot {
  readonly name: string;
  readonly plugin: string;
}

export interface CreatedSlot {
  /** Every transaction that S1 does not see will be streamed from here on. */
  readonly consistentPoint: Lsn;
  readonly snapshot: Snapshot;
  readonly snapshotText: string;
  /** For `SET TRANSACTION SNAPSHOT`, valid while the holder lives. */
  readonly exportedId: string;
}

export interface SlotWait {
  /** An ordinary session of the same server. */
  readonly control: Session;
  /** For the whole creation. */
  readonly waitMs: number;
  readonly signal?: AbortSignal;
  /** Who holds it up, without their statements; called again when that changes. */
  readonly onWaiting?: (blockers: string) => void;
}

/**
 * `holder` is a replication session and stays in its transaction. Throws SLOT_BLOCKED after `waitMs`, and what the signal says when it
 * aborts; neither leaves a slot behind, nor a server process that goes on waiting.
 */
export async function createSlot(holder: Session, slot: NewSlot, wait: SlotWait): Promise<CreatedSlot> {
  // For the case that we are killed while it waits: the server would not notice before this is over. statement_timeout does not bind it.
  await holder.query(`SET lock_timeout = ${wait.waitMs}`);
  await holder.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  const failover = holder.version >= 170_000 ? ', FAILOVER true' : '';
  const options = holder.version >= 150_000 ? `(SNAPSHOT 'use'${failover})` : 'USE_SNAPSHOT';
  const command = `CREATE_REPLICATION_SLOT ${ident(slot.name)} LOGICAL ${ident(slot.plugin)} ${options}`;
  const row = await waitFor(holder.one(command), holder, wait);
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

/** The first look waits a moment: most creations are done by then. */
const LOOK_MS = 1_000;
/** After so long a server that was told to end the creation, and has not, is not waited for. */
const CANCEL_MS = 5_000;

/** The limit is ours: lock_timeout counts for each transaction that is waited for, and not at all while the server waits for WAL. */
async function waitFor(creating: Promise<Row>, holder: Session, wait: SlotWait): Promise<Row> {
  const { control, waitMs, signal, onWaiting } = wait;
  const settled = new AbortController();
  const outcome = creating.finally(() => settled.abort());
  outcome.catch(() => {});
  const deadline = performance.now() + waitMs;
  let known = '';
  try {
    while (!settled.signal.aborted && signal?.aborted !== true && performance.now() < deadline) {
      const pause = Math.max(1, Math.min(LOOK_MS, deadline - performance.now()));
      await sleep(pause, AbortSignal.any([settled.signal, ...(signal ? [signal] : [])]));
      if (settled.signal.aborted) break;
      const found = await Promise.race([
        readBlockers(control).catch(() => null),
        sleep(CANCEL_MS, settled.signal).then(() => null),
      ]);
      if (found === null || found === known || settled.signal.aborted) continue;
      known = found;
      onWaiting?.(found);
    }
    if (!settled.signal.aborted) await giveUp(outcome, holder, control);
    return await outcome;
  } catch (thrown) {
    signal?.throwIfAborted();
    const state = sqlstateOf(thrown);
    const isLate = state === SQLSTATE.lockNotAvailable || performance.now() >= deadline;
    if (!isLate) throw thrown;
    const seconds = Math.round(waitMs / 1000);
    throw new AppError('SLOT_BLOCKED', { seconds, blockers: known || NOBODY }, thrown);
  }
}

const NOBODY = 'transactions that have ended meanwhile';

/** Returns when the creation has ended, one way or the other. */
async function giveUp(outcome: Promise<Row>, holder: Session, control: Session): Promise<void> {
  const late = setTimeout(() => {
    holder.cut('the creation of the slot did not end');
  }, CANCEL_MS);
  const end = (how: string) =>
    control.query(`SELECT pg_catalog.${how}($1::pg_catalog.int4)`, [String(holder.pid)]).catch(() => {});
  void end('pg_cancel_backend');
  await outcome.then(
    () => {},
    () => {},
  );
  clearTimeout(late);
  if (holder.isEnded) void end('pg_terminate_backend');
}

/** The function of this version that returns the current snapshot with 64-bit xids. */
export function currentSnapshot(version: number): string {
  return version >= 130_000 ? 'pg_catalog.pg_current_snapshot()' : 'pg_catalog.txid_current_snapshot()';
}

const BLOCKERS = 5;

/** Who holds up slot creation, oldest first: transactions of all databases that are not over in a moment. Null when there is nobody. */
async function readBlockers(control: Session): Promise<string | null> {
  const rows = await control.query(`
    SELECT who FROM (
      SELECT xact_start AS since, 'backend ' || pid || ' (user ' || coalesce(usename, '?') || ', application ' ||
             coalesce(nullif(application_name, ''), 'unknown') || ', database ' || coalesce(datname, '?') ||
             coalesce(', since ' || pg_catalog.to_char(xact_start, 'YYYY-MM-DD HH24:MI:SS UTC'), '') || ')' AS who
        FROM pg_catalog.pg_stat_activity
       WHERE backend_xid IS NOT NULL AND pid <> pg_catalog.pg_backend_pid()
         AND coalesce(xact_start < pg_catalog.clock_timestamp() - interval '1 second', true)
      UNION ALL
      SELECT prepared, 'prepared transaction ' || pg_catalog.quote_literal(gid) || ' (user ' || owner || ', database ' || database ||
             ', since ' || pg_catalog.to_char(prepared, 'YYYY-MM-DD HH24:MI:SS UTC') || ')' FROM pg_catalog.pg_prepared_xacts) all_
     ORDER BY since NULLS FIRST`);
  if (rows.length === 0) return null;
  const more = rows.length - BLOCKERS;
  return [...rows.slice(0, BLOCKERS).map(({ who }) => who ?? ''), ...(more > 0 ? [`${more} more`] : [])].join(
    ', ',
  );
}
