/**
 * Our own tables in the source, in its schema public, where the product page has them: one of each however many tasks follow the
 * database. A task uses one iff its publication contains it; who finds no other such publication at its end removes the table. What bears
 * these names without our comment is somebody else's and is left alone. Nothing here may keep a migration from running.
 */
import { isConnectionLoss, PgError } from '../../pg/pg-error.ts';
import { displayName, nameKey, type QualifiedName } from '../../change/relation.ts';
import { ident, literal, qname } from '../../pg/ident.ts';
import type { Session } from '../../pg/session.ts';

export const HEARTBEAT: QualifiedName = { schema: 'public', name: 'dts_postgres_heartbeat' };
export const DDL_COMMAND: QualifiedName = { schema: 'public', name: 'dts_ddl_command' };

const NAMES = new Set([HEARTBEAT, DDL_COMMAND].map(nameKey));

export function isHelperTable(table: QualifiedName): boolean {
  return NAMES.has(nameKey(table));
}

export const OUR_COMMENT = 'opendts: in use while a migration follows this database; removed by its cleanup';
/** Condition: the object `oid` of `catalog` bears our comment. */
export function isOurs(oid: string, catalog: string): string {
  return `coalesce(pg_catalog.obj_description(${oid}, '${catalog}') LIKE 'opendts:%', false)`;
}

/** Statement: who makes or removes helper objects does it alone. Held until the end of the transaction. */
export const ALONE = "pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('opendts helper tables'))";

/** Condition: a publication of a task contains the table. */
export function isInUse(table: QualifiedName): string {
  return `EXISTS (SELECT FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid
    WHERE p.pubname LIKE 'dts\\_sync\\_%' AND r.prrelid = pg_catalog.to_regclass(${literal(qname(table))}))`;
}

/** `off`: what is missing, and what would help, for a person. */
export type HelperState = { readonly kind: 'on' } | { readonly kind: 'off'; readonly why: string };

export interface HelperTable {
  readonly name: QualifiedName;
  /** What stands between the parentheses of CREATE TABLE. */
  readonly columns: string;
  /** Makes what else is missing, in the same transaction. Throws NotPossible. */
  readonly complete: (source: Session) => Promise<void>;
}

export class NotPossible extends Error {
  override readonly name = 'NotPossible';
}

/** Waiting for another task that does the same. */
const ALONE_MS = 5_000;

/** Makes what is missing of a helper and publishes it; may be repeated, and by several tasks at once. Throws on a lost connection only. */
export async function ensureHelper(
  source: Session,
  publication: string,
  helper: HelperTable,
): Promise<HelperState> {
  try {
    await source.transaction(async () => {
      await source.query(`SET LOCAL lock_timeout = ${ALONE_MS}`);
      await source.query(`SELECT ${ALONE}`);
      const obstacle = await readObstacle(source, helper.name);
      if (obstacle !== null)
        throw new NotPossible(obstacle.fix === null ? obstacle.what : `${obstacle.what} (${obstacle.fix})`);
      await createAndPublish(source, publication, helper);
    });
    return { kind: 'on' };
  } catch (thrown) {
    if (thrown instanceof NotPossible) return { kind: 'off', why: thrown.message };
    if (!(thrown instanceof PgError) || isConnectionLoss(thrown)) throw thrown;
    const why = `user "${source.user}" could not make it on the source: ${thrown.shown}`;
    return { kind: 'off', why };
  }
}

async function createAndPublish(
  source: Session,
  publication: string,
  { name, columns, complete }: HelperTable,
): Promise<void> {
  const table = qname(name);
  const { exists } = await source.one('SELECT (pg_catalog.to_regclass($1) IS NOT NULL)::text AS exists', [
    table,
  ]);
  if (exists !== 'true') {
    await source.query(`CREATE TABLE ${table} (${columns})`);
    await source.query(`COMMENT ON TABLE ${table} IS ${literal(OUR_COMMENT)}`);
  }
  await complete(source);
  const [published] = await source.query(
    'SELECT tablename FROM pg_catalog.pg_publication_tables WHERE pubname = $1 AND schemaname = $2 AND tablename = $3',
    [publication, name.schema, name.name],
  );
  if (!published) await source.query(`ALTER PUBLICATION ${ident(publication)} ADD TABLE ONLY ${table}`);
}

/** Why this table cannot be ours in this database, and the statement that helps, if one does; or null. Reads only. */
export async function readObstacle(
  source: Session,
  table: QualifiedName,
): Promise<{ readonly what: string; readonly fix: string | null } | null> {
  const row = await source.one(
    `SELECT (SELECT pg_catalog.has_schema_privilege(n.oid, 'CREATE')::text FROM pg_catalog.pg_namespace n WHERE n.nspname = 'public') AS may,
            c.oid::text AS oid, ${isOurs('c.oid', 'pg_class')}::text AS ours, pg_catalog.pg_has_role(c.relowner, 'USAGE')::text AS owned,
            pg_catalog.pg_get_userbyid(c.relowner) AS owner
       FROM (SELECT 1) one LEFT JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass($1)`,
    [qname(table)],
  );
  const user = ident(source.user);
  const name = displayName(table);
  const obstacle = (what: string, fix: string | null = null) => ({ what, fix });
  if (row.oid != null && row.ours !== 'true') return obstacle(`${name} of the source is not ours`);
  if (row.oid != null && row.owned !== 'true')
    return obstacle(
      `${name} of the source belongs to user "${row.owner}", who made it for another task`,
      `GRANT ${ident(row.owner ?? '')} TO ${user};`,
    );
  if (row.oid == null && row.may == null) return obstacle('the source has no schema public');
  if (row.oid == null && row.may !== 'true')
    return obstacle(
      `user "${source.user}" may not create tables in schema public of the source`,
      `GRANT CREATE ON SCHEMA public TO ${user};`,
    );
  const [whole] = await readWholePublications(source);
  return whole === undefined
    ? null
    : obstacle(
        `publication "${whole}" of the source sends every table of schema public to subscribers, who have no ${name} and would stop`,
      );
}

/** Publications that would carry a table of ours to somebody else. */
async function readWholePublications(source: Session): Promise<string[]> {
  const bySchema = `OR EXISTS (SELECT FROM pg_catalog.pg_publication_namespace s JOIN pg_catalog.pg_namespace n ON n.oid = s.pnnspid
                      WHERE s.pnpubid = p.oid AND n.nspname = 'public')`;
  const rows = await source.query(
    `SELECT p.pubname AS name FROM pg_catalog.pg_publication p WHERE p.puballtables ${source.version >= 150_000 ? bySchema : ''} ORDER BY 1`,
  );
  return rows.map(({ name }) => name ?? '');
}
