/**
 * Which tables of the source need REPLICA IDENTITY FULL while they are followed, and how it is set and taken back. What stood there is
 * handed to `remember` before it is changed, so that it can be restored exactly.
 */
import { AppError } from '../../base/errors/app-error.ts';
import type { ReplicaIdentityPolicy } from '../../contract/task-spec.ts';
import { displayName } from '../change/relation.ts';
import type { TableInfo } from '../pg/catalog/tables/tables.ts';
import { ident, qname } from '../pg/ident.ts';
import { SQLSTATE, sqlstateOf } from '../pg/pg-error.ts';
import type { Session } from '../pg/session.ts';
import { handOver, readOtherUser, type FormerIdentity } from './handed-over.ts';
import { withLockRetry } from './lock-retry.ts';
import { rightsMissing } from './rights-missing.ts';

export interface IdentityWishes {
  readonly policy: ReplicaIdentityPolicy;
  /** Of these the whole old row must be known, whatever their key: a filter, a transform or a mapping reads more of it. */
  readonly needsWholeRow: (table: TableInfo) => boolean;
}

export type WhyFull = 'no-key' | 'whole-row' | 'all';

export interface SetFull {
  readonly table: TableInfo;
  readonly why: WhyFull;
}

/**
 * Why the table must get FULL, or null. Without identity columns an UPDATE or DELETE could not be followed, and once published would even
 * fail for its user (55000). With a virtual generated column FULL makes them fail: where nothing else asks for it, it is left as it is.
 */
export function whyFull(table: TableInfo, { policy, needsWholeRow }: IdentityWishes): WhyFull | null {
  if (table.replicaIdentity === 'full' || policy === 'never') return null;
  if (table.identityColumns.length === 0) return 'no-key';
  if (needsWholeRow(table)) return 'whole-row';
  if (policy === 'all' && !table.columns.some(({ generated }) => generated === 'v')) return 'all';
  return null;
}

/**
 * Sets FULL where it must be; for tables that come later as well, before they are published. Each table is locked for a moment (see
 * lock-retry.ts). Throws USAGE where a table cannot be followed, TABLE_BUSY, RIGHTS_MISSING. Returns the tables changed.
 */
export async function setReplicaIdentities(
  source: Session,
  tables: readonly TableInfo[],
  wishes: IdentityWishes & {
    readonly remember: (former: FormerIdentity) => Promise<void>;
    /** For each table. */
    readonly patienceMs?: number;
  },
): Promise<SetFull[]> {
  const changed: SetFull[] = [];
  for (const table of tables) assertFollowable(table, wishes);
  for (const table of tables) {
    const why = whyFull(table, wishes);
    if (why === null) continue;
    const { oid, schema, name } = table;
    await wishes.remember({ oid, schema, name, identity: await readIdentity(source, table) });
    const statement = `ALTER TABLE ONLY ${qname(table)} REPLICA IDENTITY FULL`;
    try {
      await withLockRetry(source, table, statement, wishes.patienceMs);
    } catch (thrown) {
      throw rightsMissing(thrown, source, statement);
    }
    changed.push({ table, why });
  }
  return changed;
}

/**
 * Every identity column must be one that the stream carries. A key over a generated column would match the wrong row, because pgoutput
 * sends NULL for it; and a published table with FULL over a virtual generated column refuses its own users' UPDATE and DELETE, as one
 * without any identity does.
 */
function assertFollowable(table: TableInfo, wishes: IdentityWishes): void {
  const why = whyFull(table, wishes);
  const isFull = why !== null || table.replicaIdentity === 'full';
  const hasNoKey = table.identityColumns.length === 0;
  if (!isFull && (hasNoKey || wishes.needsWholeRow(table))) {
    const what = hasNoKey ? 'has no key that tells its rows apart' : 'must be known by whole rows';
    throw new AppError('USAGE', {
      problem: `${displayName(table)} ${what}, and replica identities are not to be changed.`,
      remedy: `Run ALTER TABLE ${qname(table)} REPLICA IDENTITY FULL; yourself, or leave it out with --exclude-table.`,
    });
  }
  const missing = table.columns.find(({ name, generated }) =>
    isFull ? generated === 'v' : generated !== '' && table.identityColumns.includes(name),
  );
  if (!missing) return;
  throw new AppError('USAGE', {
    problem: `The replica identity of ${displayName(table)} ${why === null ? 'contains' : 'would contain'} the generated column "${missing.name}", which the change stream does not carry.`,
    remedy:
      'Give the table a key of ordinary columns (a primary key, or REPLICA IDENTITY USING INDEX …), or leave it out with --exclude-table.',
  });
}

/** As it is now, in the words that set it. An index that was dropped has left the table with none. */
async function readIdentity(source: Session, table: TableInfo): Promise<string> {
  if (table.replicaIdentity !== 'index') return table.replicaIdentity.toUpperCase();
  const [index] = await source.query(
    `SELECT c.relname AS name FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
      WHERE i.indrelid = $1::pg_catalog.oid AND i.indisreplident`,
    [String(table.oid)],
  );
  return index?.name ? `USING INDEX ${ident(index.name)}` : 'NOTHING';
}

export function restoringStatement(former: FormerIdentity): string {
  return `ALTER TABLE ONLY ${qname(former)} REPLICA IDENTITY ${former.identity}`;
}

/**
 * Gives a table back what it had, under whatever name it has now. Null where nothing is to be restored: the table is gone, or somebody
 * has chosen another identity meanwhile. Else what was done. For who is alone at the source. Throws TABLE_BUSY, RIGHTS_MISSING.
 */
export async function restoreIdentity(
  source: Session,
  former: FormerIdentity,
  publication: string,
): Promise<string | null> {
  const [now] = await source.query(
    `SELECT n.nspname AS schema, c.relname AS name FROM pg_catalog.pg_class c
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE c.oid = $1::pg_catalog.oid AND c.relkind IN ('r', 'p') AND c.relreplident = 'f'`,
    [String(former.oid)],
  );
  if (!now) return null;
  const table = { ...former, schema: now.schema ?? '', name: now.name ?? '' };
  const what = `replica identity of ${displayName(table)}`;
  const user = await readOtherUser(source, former.oid, publication);
  if (user !== null) {
    return (await handOver(source, user, table))
      ? `${what} (left to ${user}, which follows the table too)`
      : `${what} (not set back, because ${user} follows the table too; at its end run: ${restoringStatement(table)};)`;
  }
  try {
    await withLockRetry(source, table, restoringStatement(table));
    return `${what} (set back)`;
  } catch (thrown) {
    const state = sqlstateOf(thrown);
    // Dropped at this moment: nothing to restore then.
    if (state === SQLSTATE.undefinedTable || state === SQLSTATE.invalidSchemaName) return null;
    if (state !== SQLSTATE.undefinedObject) throw rightsMissing(thrown, source, restoringStatement(table));
    // The index it used is gone.
    await withLockRetry(source, table, restoringStatement({ ...table, identity: 'DEFAULT' }));
    return `${what} (set back to DEFAULT, because its index is gone)`;
  }
}
