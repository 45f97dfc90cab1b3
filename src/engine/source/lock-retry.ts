/**
 * Locks of ours on tables of the user's: tried for a moment at a time and given up again, so that who comes after us waits no longer
 * than that moment. A transaction takes one such lock and no other: no deadlock can arise.
 */
import { AppError } from '../../base/errors/app-error.ts';
import { sleep } from '../../base/runtime/sleep.ts';
import { displayName, type QualifiedName } from '../change/relation.ts';
import { qname } from '../pg/ident.ts';
import { SQLSTATE, sqlstateOf } from '../pg/pg-error.ts';
import type { Session } from '../pg/session.ts';

/** Shorter than deadlock_timeout, by default a second. */
const MOMENT_MS = 200;
const PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 1_000;
const PATIENCE_MS = 60_000;

/**
 * Runs `sql`, which locks `table`, in a transaction of its own, sent as one message: the lock is held for no round trip. Throws
 * TABLE_BUSY, naming who holds the table, after a minute of trying.
 */
export async function withLockRetry(
  session: Session,
  table: QualifiedName,
  sql: string,
  patienceMs = PATIENCE_MS,
): Promise<void> {
  const started = performance.now();
  for (let attempt = 1; ; attempt++) {
    try {
      await session.query(`BEGIN; SET LOCAL lock_timeout = ${MOMENT_MS}; ${sql}; COMMIT`);
      return;
    } catch (thrown) {
      await session.query('ROLLBACK').catch(() => {});
      const state = sqlstateOf(thrown);
      if (state !== SQLSTATE.lockNotAvailable && state !== SQLSTATE.deadlock) throw thrown;
      const waited = performance.now() - started;
      if (waited > patienceMs) {
        const holders = await readHolders(session, table);
        const seconds = Math.round(waited / 1000);
        throw new AppError('TABLE_BUSY', { table: displayName(table), seconds, holders }, thrown);
      }
      await sleep(Math.min(PAUSE_MS * attempt, LONGEST_PAUSE_MS));
    }
  }
}

/** Sessions and prepared transactions with a lock on the table, without their statements. */
async function readHolders(session: Session, table: QualifiedName): Promise<string> {
  const rows = await session.query(
    `SELECT DISTINCT coalesce('backend ' || l.pid || ' (user ' || coalesce(a.usename, '?') || ', application ' ||
            coalesce(nullif(a.application_name, ''), 'unknown') || ')', 'a prepared transaction') AS who
       FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
      WHERE l.locktype = 'relation' AND l.granted AND l.relation = pg_catalog.to_regclass($1)
        AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
      ORDER BY 1 LIMIT 5`,
    [qname(table)],
  );
  return rows.map(({ who }) => who).join(', ') || 'transactions that have ended meanwhile';
}
