/**
 * What must stand in the source before the slot is created (data-plane P1): a replica identity for every table, then the publication.
 * Both are idempotent by looking at the source. What is changed is handed to `remember` first, with the statement that undoes it.
 */
import { AppError } from '../../base/errors/app-error.ts';
import { sleep } from '../../base/runtime/sleep.ts';
import { displayName } from '../change/relation.ts';
import type { TableInfo } from '../pg/catalog/tables.ts';
import { ident, qname } from '../pg/ident.ts';
import { SQLSTATE, sqlstateOf } from '../pg/pg-error.ts';
import type { Session } from '../pg/session.ts';
import { readSlot, readSlotUser } from '../pg/slot/health.ts';

export interface SourceChange {
  readonly id: string;
  readonly undo: string;
}
export type Remember = (change: SourceChange) => Promise<void>;

/** Without identity columns an UPDATE or DELETE could not be followed, and once published would even fail for its user (55000). */
function needsFull(table: TableInfo): boolean {
  return table.replicaIdentity !== 'full' && table.identityColumns.length === 0;
}

function undoIdentity(table: TableInfo): string {
  return `ALTER TABLE ONLY ${qname(table)} REPLICA IDENTITY ${table.replicaIdentity === 'nothing' ? 'NOTHING' : 'DEFAULT'}`;
}

const LOCK_TIMEOUT_MS = 1_000;
const LOCK_ATTEMPTS = 30;

/** Sets FULL where no other identity serves. Returns the tables changed. */
export async function setReplicaIdentities(
  source: Session,
  tables: readonly TableInfo[],
  remember: Remember,
): Promise<string[]> {
  const changed: string[] = [];
  for (const table of tables) assertIdentityIsSent(table);
  for (const table of tables.filter(needsFull)) {
    await remember({ id: `replica identity of ${displayName(table)}`, undo: undoIdentity(table) });
    await withLockRetry(source, `ALTER TABLE ONLY ${qname(table)} REPLICA IDENTITY FULL`);
    changed.push(displayName(table));
  }
  return changed;
}

/**
 * Every identity column must be one that the stream carries. A key over a generated column would match the wrong row, because pgoutput
 * sends NULL for it; and a published table with FULL over a virtual generated column refuses its own users' UPDATE and DELETE.
 */
function assertIdentityIsSent(table: TableInfo): void {
  const isFull = needsFull(table) || table.replicaIdentity === 'full';
  const missing = table.columns.find(({ name, generated }) =>
    isFull ? generated === 'v' : generated !== '' && table.identityColumns.includes(name),
  );
  if (!missing) return;
  throw new AppError('USAGE', {
    problem: `The replica identity of ${displayName(table)} ${isFull ? 'would contain' : 'contains'} the generated column "${missing.name}", which the change stream does not carry.`,
    remedy:
      'Give the table a key of ordinary columns (a primary key, or REPLICA IDENTITY USING INDEX …), or leave it out with --exclude-table.',
  });
}

/** Tries the lock for a moment at a time, so that nobody queues behind us and no deadlock can arise. */
async function withLockRetry(source: Session, statement: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await source.query(`BEGIN; SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}; ${statement}; COMMIT`);
      return;
    } catch (thrown) {
      await source.query('ROLLBACK').catch(() => {});
      const state = sqlstateOf(thrown);
      if (attempt >= LOCK_ATTEMPTS || (state !== SQLSTATE.lockNotAvailable && state !== SQLSTATE.deadlock))
        throw rights(thrown, source, statement);
      await sleep(200 * Math.min(attempt, 5));
    }
  }
}

function rights(thrown: unknown, source: Session, statement: string): unknown {
  if (sqlstateOf(thrown) !== SQLSTATE.insufficientPrivilege) return thrown;
  return new AppError(
    'RIGHTS_MISSING',
    {
      user: source.user,
      action: `run "${statement}"`,
      side: 'source',
      remedy: `As the owner of the table run: ${statement};`,
    },
    thrown,
  );
}

/** Creates the publication over exactly these tables; leaves one that already is so. Partitions are published under their own names. */
export async function ensurePublication(
  source: Session,
  publication: string,
  tables: readonly TableInfo[],
): Promise<void> {
  const existing = await source.query(
    'SELECT schemaname, tablename FROM pg_catalog.pg_publication_tables WHERE pubname = $1',
    [publication],
  );
  const [row] = await source.query('SELECT pubname FROM pg_catalog.pg_publication WHERE pubname = $1', [
    publication,
  ]);
  const wanted = new Set(tables.map(displayName));
  const same =
    row &&
    existing.length === wanted.size &&
    existing.every((t) => wanted.has(`${t.schemaname}.${t.tablename}`));
  if (same) return;
  if (row) await source.query(`DROP PUBLICATION ${ident(publication)}`);
  const operations =
    source.version >= 110_000 ? 'insert, update, delete, truncate' : 'insert, update, delete';
  // With FULL, 18 refuses the users' own UPDATE and DELETE where stored generated columns are not published.
  const generated = source.version >= 180_000 ? ', publish_generated_columns = stored' : '';
  const statements = [
    `CREATE PUBLICATION ${ident(publication)} WITH (publish = '${operations}'${generated})`,
  ];
  // Each table takes a lock until the statement's end, and a server has only so many.
  for (let from = 0; from < tables.length; from += PUBLISH_BATCH) {
    const list = tables.slice(from, from + PUBLISH_BATCH).map((table) => `ONLY ${qname(table)}`);
    statements.push(`ALTER PUBLICATION ${ident(publication)} ADD TABLE ${list.join(', ')}`);
  }
  for (const statement of statements) {
    try {
      await source.query(statement);
    } catch (thrown) {
      throw rights(thrown, source, statement.length > 300 ? `${statement.slice(0, 300)} …` : statement);
    }
  }
}

const PUBLISH_BATCH = 500;

/** Adds tables to the publication that are not in it yet. */
export async function addToPublication(
  source: Session,
  publication: string,
  tables: readonly TableInfo[],
): Promise<void> {
  const there = await source.query(
    'SELECT schemaname, tablename FROM pg_catalog.pg_publication_tables WHERE pubname = $1',
    [publication],
  );
  const known = new Set(there.map((row) => `${row.schemaname}.${row.tablename}`));
  for (const table of tables.filter((one) => !known.has(displayName(one)))) {
    const statement = `ALTER PUBLICATION ${ident(publication)} ADD TABLE ONLY ${qname(table)}`;
    await withLockRetry(source, statement);
  }
}

/** Removes what P1 and P2 made; each part that is gone already is passed over. Returns a line per removed thing. */
export async function releaseSource(
  source: Session,
  names: { slot: string; publication: string },
  undo: readonly SourceChange[],
): Promise<string[]> {
  const removed: string[] = [];
  if (await dropSlot(source, names.slot)) removed.push(`replication slot ${names.slot}`);
  const [publication] = await source.query(
    'SELECT pubname FROM pg_catalog.pg_publication WHERE pubname = $1',
    [names.publication],
  );
  if (publication) {
    await source.query(`DROP PUBLICATION ${ident(names.publication)}`);
    removed.push(`publication ${names.publication}`);
  }
  for (const change of undo) {
    try {
      await withLockRetry(source, change.undo);
      removed.push(`${change.id} (set back)`);
    } catch (thrown) {
      // The table may have been dropped meanwhile: nothing to restore then.
      const state = sqlstateOf(thrown);
      if (state !== SQLSTATE.undefinedTable && state !== SQLSTATE.invalidSchemaName) throw thrown;
    }
  }
  return removed;
}

const DROP_ATTEMPTS = 50;

async function slotInUse(source: Session, slot: string, cause: unknown): Promise<unknown> {
  const row = await readSlot(source, slot);
  if (!row?.activePid) return cause;
  const user = await readSlotUser(source, row.activePid);
  return new AppError('SLOT_IN_USE', { slot, user: user.shown, pid: user.pid }, cause);
}

/** Drops the slot, ending its reader first; false when there was none. Throws SLOT_IN_USE when he does not end. */
export async function dropSlot(source: Session, slot: string): Promise<boolean> {
  for (let attempt = 1; ; attempt++) {
    const [row] = await source.query(
      'SELECT active_pid FROM pg_catalog.pg_replication_slots WHERE slot_name = $1',
      [slot],
    );
    if (!row) return attempt > 1;
    if (row.active_pid) {
      // Where it may not be ended it is named below.
      await source
        .query('SELECT pg_catalog.pg_terminate_backend($1::int)', [row.active_pid])
        .catch((thrown: unknown) => {
          if (sqlstateOf(thrown) !== SQLSTATE.insufficientPrivilege) throw thrown;
        });
    }
    try {
      await source.query('SELECT pg_catalog.pg_drop_replication_slot($1)', [slot]);
      return true;
    } catch (thrown) {
      const state = sqlstateOf(thrown);
      if (state === SQLSTATE.undefinedObject) return true;
      if (state !== SQLSTATE.objectInUse) throw thrown;
      if (attempt >= DROP_ATTEMPTS) throw await slotInUse(source, slot, thrown);
      await sleep(100);
    }
  }
}
