/**
 * What must stand in the source before the slot is created (data-plane P1): a replica identity for every table, then the publication,
 * then the helpers; and the way back from all of it. Everything is idempotent by looking at the source.
 */
import { AppError } from '../../base/errors/app-error.ts';
import { sleep } from '../../base/runtime/sleep.ts';
import { displayName, type QualifiedName } from '../change/relation.ts';
import { readTables, type TableInfo } from '../pg/catalog/tables/tables.ts';
import { ident, qname } from '../pg/ident.ts';
import { SQLSTATE, sqlstateOf } from '../pg/pg-error.ts';
import type { Session } from '../pg/session.ts';
import { readSlot, readSlotUser } from '../pg/slot/health.ts';
import { aloneAtSource } from './alone.ts';
import { readHandedOver, type FormerIdentity } from './handed-over.ts';
import { isHelperTable } from './helpers/helper-tables.ts';
import { ensureHelpers, type HelperWishes } from './helpers/install.ts';
import { removeHelpers } from './helpers/remove.ts';
import {
  restoreIdentity,
  setReplicaIdentities,
  type IdentityWishes,
  type SetFull,
} from './replica-identity.ts';
import { withLockRetry } from './lock-retry.ts';
import { rightsMissing } from './rights-missing.ts';
import type { SourceNames } from './source-names.ts';

/** What the changes come through: a publication of ours, one that the user has made and keeps, or none. */
export type Through = 'ours' | 'theirs' | 'none';

export interface Publishing {
  readonly names: SourceNames;
  readonly through: Through;
  /** Tables to follow. */
  readonly tables: readonly TableInfo[];
  readonly identities: IdentityWishes;
  /** Writes down what a table had, before it is changed. */
  readonly remember: (former: FormerIdentity) => Promise<void>;
  readonly signal: AbortSignal;
}

/** Returns the tables that got FULL. Throws USAGE, TABLE_BUSY, RIGHTS_MISSING; helpers that cannot be had do not keep it. */
export async function prepareSource(
  source: Session,
  spec: Publishing & { readonly helpers: HelperWishes },
): Promise<SetFull[]> {
  return aloneAtSource(source, spec.signal, async () => {
    const tables = await asTheyAre(source, spec.tables);
    const changed = await setReplicaIdentities(source, tables, {
      ...spec.identities,
      remember: spec.remember,
    });
    // Helpers are told by the publication they are in.
    if (spec.through !== 'ours') return changed;
    await ensurePublication(source, spec.names.publication, tables);
    await ensureHelpers(source, spec.names, spec.helpers);
    return changed;
  });
}

/** Others that begin or end at this source wait for us meanwhile. */
const BUSY_MS = 5_000;

/**
 * The same for tables that come while the task runs: their changes are in the stream from the next transaction on. Throws TABLE_BUSY
 * soon where somebody holds one; may be repeated.
 */
export async function publishMore(source: Session, spec: Publishing): Promise<SetFull[]> {
  const { publication } = spec.names;
  return aloneAtSource(source, spec.signal, async () => {
    const tables = await asTheyAre(source, spec.tables);
    const { identities, remember } = spec;
    const changed = await setReplicaIdentities(source, tables, {
      ...identities,
      remember,
      patienceMs: BUSY_MS,
    });
    if (spec.through === 'none') return changed;
    for (const table of await notPublished(source, publication, tables)) {
      if (spec.through === 'theirs') throw notInTheirs(publication, table);
      const statement = `ALTER PUBLICATION ${ident(publication)} ADD TABLE ONLY ${qname(table)}`;
      await withLockRetry(source, table, statement, BUSY_MS).catch((thrown: unknown) => {
        throw rightsMissing(thrown, source, statement);
      });
    }
    return changed;
  });
}

function notInTheirs(publication: string, table: QualifiedName): AppError {
  return new AppError('USAGE', {
    problem: `Publication ${publication} does not have ${displayName(table)}.`,
    remedy: `Add it, as the owner of the publication: ALTER PUBLICATION ${ident(publication)} ADD TABLE ONLY ${qname(table)};`,
  });
}

/** Another task may have ended, and given an identity back, since they were read. */
async function asTheyAre(source: Session, tables: readonly TableInfo[]): Promise<TableInfo[]> {
  const now = new Map((await readTables(source, { sizes: false })).map((table) => [table.oid, table]));
  return tables.map((table) => now.get(table.oid) ?? table);
}

/**
 * Creates the publication over exactly these tables, helper tables apart; leaves one that already is so. Partitions are published under
 * their own names.
 */
async function ensurePublication(
  source: Session,
  publication: string,
  tables: readonly QualifiedName[],
): Promise<void> {
  const existing = await readPublished(source, publication);
  const [row] = await source.query('SELECT pubname FROM pg_catalog.pg_publication WHERE pubname = $1', [
    publication,
  ]);
  const wanted = new Set(tables.map(displayName));
  const found = existing.filter((table) => !isHelperTable(table));
  if (row && found.length === wanted.size && found.every((table) => wanted.has(displayName(table)))) return;
  if (row) await source.query(`DROP PUBLICATION ${ident(publication)}`);
  const operations =
    source.version >= 110_000 ? 'insert, update, delete, truncate' : 'insert, update, delete';
  // With FULL, 18 refuses the users' own UPDATE and DELETE where stored generated columns are not published.
  const generated = source.version >= 180_000 ? ', publish_generated_columns = stored' : '';
  await ordered(
    source,
    `CREATE PUBLICATION ${ident(publication)} WITH (publish = '${operations}'${generated})`,
  );
  await addToPublication(source, publication, tables);
}

const PUBLISH_BATCH = 500;

/** Nobody who reads or writes waits for it. */
async function addToPublication(
  source: Session,
  publication: string,
  tables: readonly QualifiedName[],
): Promise<void> {
  // Each table takes a lock until the statement's end, and a server has only so many.
  for (let from = 0; from < tables.length; from += PUBLISH_BATCH) {
    const list = tables.slice(from, from + PUBLISH_BATCH).map((table) => `ONLY ${qname(table)}`);
    await ordered(source, `ALTER PUBLICATION ${ident(publication)} ADD TABLE ${list.join(', ')}`);
  }
}

async function notPublished<T extends QualifiedName>(
  source: Session,
  publication: string,
  tables: readonly T[],
): Promise<T[]> {
  const published = new Set((await readPublished(source, publication)).map(displayName));
  return tables.filter((table) => !published.has(displayName(table)));
}

async function readPublished(source: Session, publication: string): Promise<QualifiedName[]> {
  const rows = await source.query(
    'SELECT schemaname, tablename FROM pg_catalog.pg_publication_tables WHERE pubname = $1',
    [publication],
  );
  return rows.map((row) => ({ schema: row.schemaname ?? '', name: row.tablename ?? '' }));
}

async function ordered(source: Session, statement: string): Promise<void> {
  try {
    await source.query(statement);
  } catch (thrown) {
    throw rightsMissing(thrown, source, statement);
  }
}

/**
 * Removes what a task made in the source; each part that is gone already is passed over, and may be repeated. Returns a line per thing.
 * Throws TABLE_BUSY, RIGHTS_MISSING.
 */
export async function releaseSource(
  source: Session,
  names: SourceNames,
  identities: readonly FormerIdentity[],
): Promise<string[]> {
  const lines: string[] = [];
  if (await dropSlot(source, names.slot)) lines.push(`replication slot ${names.slot}`);
  return aloneAtSource(source, new AbortController().signal, async () => {
    const { publication } = names;
    const [exists] = await source.query('SELECT pubname FROM pg_catalog.pg_publication WHERE pubname = $1', [
      publication,
    ]);
    const left = await readHandedOver(source, publication);
    // Its comment must outlive what it speaks of; who updates a table that loses its identity meanwhile must not be refused.
    if (exists && left.length > 0)
      await source.query(`ALTER PUBLICATION ${ident(publication)} SET (publish = 'insert')`);
    else if (exists) await source.query(`DROP PUBLICATION ${ident(publication)}`);
    for (const former of [...identities, ...left]) {
      const line = await restoreIdentity(source, former, publication);
      if (line !== null) lines.push(line);
    }
    if (exists && left.length > 0) await source.query(`DROP PUBLICATION ${ident(publication)}`);
    if (exists) lines.push(`publication ${publication}`);
    // Last: whether another task still uses them is told by its publication.
    return [...lines, ...(await removeHelpers(source, names))];
  });
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
