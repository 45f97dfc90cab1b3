/** Tables with rows of their own (plain tables, partitions) and their columns, as copy, stream and schema need them. */
import type { QualifiedName, ReplicaIdentity } from '../../../change/relation.ts';
import type { Row, Session } from '../../session.ts';
import { listOf, memoized, NONE, sharedLists, sharedTexts } from '../shared.ts';

export interface ColumnInfo {
  readonly attnum: number;
  readonly name: string;
  readonly typeOid: number;
  /** Length or precision as the catalog has it; -1: none. */
  readonly typmod: number;
  /** With length or precision, schema-qualified where needed: `character varying(40)`, `shop.mood`. */
  readonly type: string;
  /** The same without length or precision: `character varying`, `"bit"`. Safe in casts. */
  readonly bareType: string;
  /** b base, c composite, d domain, e enum, p pseudo, r range, m multirange. */
  readonly typeKind: string;
  readonly isArray: boolean;
  readonly isBuiltinType: boolean;
  readonly notNull: boolean;
  /** '' ordinary, 's' stored, 'v' virtual. */
  readonly generated: '' | 's' | 'v';
  /** '' none, 'a' always, 'd' by default. */
  readonly identity: '' | 'a' | 'd';
  /** False for collations under which unequal texts are equal. */
  readonly deterministic: boolean;
}

export interface TableInfo extends QualifiedName {
  readonly oid: number;
  /** 'r' plain table or partition, 'p' partitioned table (no rows of its own). */
  readonly kind: 'r' | 'p';
  readonly isPartition: boolean;
  /** For a partition the partitioned table at the top, else null. */
  readonly rootOid: number | null;
  readonly persistence: 'permanent' | 'unlogged';
  readonly replicaIdentity: ReplicaIdentity;
  /** Columns of the effective replica identity; empty for FULL, NOTHING, and DEFAULT without a primary key. */
  readonly identityColumns: readonly string[];
  /** `pg_class.reltuples`; negative when never analyzed. */
  readonly estimatedRows: number;
  /** Heap and TOAST, without indexes. */
  readonly bytes: bigint;
  readonly columns: readonly ColumnInfo[];
}

/** Schemas of the server and of ourselves: never migrated, never compared. */
export const USER_RELATION = `n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.nspname <> '_opendts'
  AND NOT (n.nspname = 'public' AND c.relname = ANY (ARRAY['dts_pg_class','dts_pg_attribute','dts_pg_type','dts_pg_enum',
    'dts_postgres_heartbeat','dts_ddl_command','dts_args_session','aliyun_dts_instance']))
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend x WHERE x.classid = 'pg_catalog.pg_class'::regclass AND x.objid = c.oid AND x.deptype = 'e')`;

const TABLES = (version: number, sizes: boolean) => `
  SELECT c.oid::text, n.nspname AS schema, c.relname AS name, c.relkind::text AS kind,
         ${version >= 100_000 ? 'c.relispartition::text' : "'false'"} AS is_partition, c.relpersistence::text AS persistence,
         (SELECT h.inhparent::text FROM pg_catalog.pg_inherits h WHERE h.inhrelid = c.oid ${version >= 100_000 ? 'AND c.relispartition' : 'AND false'}) AS parent,
         CASE c.relreplident WHEN 'd' THEN 'default' WHEN 'n' THEN 'nothing' WHEN 'f' THEN 'full' ELSE 'index' END AS replica_identity,
         (SELECT pg_catalog.array_to_json(ARRAY(
            SELECT a.attname FROM pg_catalog.unnest(i.indkey) WITH ORDINALITY k(attnum, pos)
              JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
             WHERE k.pos <= ${version >= 110_000 ? 'i.indnkeyatts' : 'i.indnatts'} ORDER BY k.pos))::text
            FROM pg_catalog.pg_index i
           WHERE i.indrelid = c.oid AND i.indisvalid AND
                 CASE c.relreplident WHEN 'd' THEN i.indisprimary AND i.indimmediate WHEN 'i' THEN i.indisreplident ELSE false END) AS identity_columns,
         c.reltuples::text AS estimated_rows,
         ${sizes ? "CASE WHEN c.relkind = 'r' THEN pg_catalog.pg_table_size(c.oid) ELSE 0 END::text" : "'0'"} AS bytes
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND ${USER_RELATION}
   ORDER BY n.nspname, c.relname`;

const COLUMNS = (version: number) => `
  SELECT a.attrelid::text AS table_oid, a.attnum::text, a.attname AS name, a.atttypid::text AS type_oid, a.atttypmod::text AS typmod,
         pg_catalog.format_type(a.atttypid, a.atttypmod) AS type, pg_catalog.format_type(a.atttypid, -1) AS bare_type,
         t.typtype::text AS type_kind, (t.typelem <> 0 AND t.typlen = -1)::text AS is_array, (t.oid < 16384)::text AS is_builtin,
         a.attnotnull::text AS not_null, ${version >= 120_000 ? 'a.attgenerated::text' : "''"} AS generated,
         ${version >= 100_000 ? 'a.attidentity::text' : "''"} AS identity,
         ${version >= 120_000 ? 'coalesce((SELECT l.collisdeterministic FROM pg_catalog.pg_collation l WHERE l.oid = a.attcollation), true)::text' : "'true'"} AS deterministic
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
   WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND a.attnum > 0 AND NOT a.attisdropped AND ${USER_RELATION}
   ORDER BY a.attrelid, a.attnum`;

/**
 * All user tables, two statements whatever their number. Sizes take a lock on each table for a moment; without them `bytes` is 0, and
 * nobody is waited for.
 */
export async function readTables(
  session: Session,
  { sizes = true, text = sharedTexts() } = {},
): Promise<TableInfo[]> {
  const tables = await session.query(TABLES(session.version, sizes));
  const column = sharedColumns();
  const shared = sharedLists<ColumnInfo>();
  const columns = new Map<number, ColumnInfo[]>(tables.map(({ oid }) => [Number(oid), []]));
  await session.each(
    COLUMNS(session.version),
    ({ table_oid, ...row }) => columns.get(Number(table_oid))?.push(column(row)),
    { text },
  );
  const identity = memoized((json: string | null) => listOf<string>(json));
  const parents = new Map(
    tables.flatMap((row) => (row.parent ? [[Number(row.oid), Number(row.parent)] as const] : [])),
  );
  return tables.map((row) => ({
    oid: Number(row.oid),
    schema: text(row.schema ?? ''),
    name: text(row.name ?? ''),
    kind: row.kind === 'p' ? 'p' : 'r',
    isPartition: row.is_partition === 'true',
    rootOid: topOf(parents, Number(row.oid)),
    persistence: row.persistence === 'u' ? 'unlogged' : 'permanent',
    replicaIdentity: row.replica_identity as ReplicaIdentity,
    identityColumns: identity(row.identity_columns ?? null),
    estimatedRows: Number(row.estimated_rows),
    bytes: BigInt(row.bytes ?? '0'),
    columns: shared(columns.get(Number(row.oid)) ?? NONE),
  }));
}

/** Tables of large schemas are much alike, as those of tenants or partitions are: equal columns are one object. */
function sharedColumns(): (row: Row) => ColumnInfo {
  const known = new Map<string, ColumnInfo>();
  return (row) => {
    const key = Object.values(row).join('\0');
    const column = known.get(key) ?? columnInfo(row);
    known.set(key, column);
    return column;
  };
}

function columnInfo(row: Row): ColumnInfo {
  return {
    attnum: Number(row.attnum),
    name: row.name ?? '',
    typeOid: Number(row.type_oid),
    typmod: Number(row.typmod),
    type: row.type ?? '',
    bareType: row.bare_type ?? '',
    typeKind: row.type_kind ?? '',
    isArray: row.is_array === 'true',
    isBuiltinType: row.is_builtin === 'true',
    notNull: row.not_null === 'true',
    generated: row.generated as ColumnInfo['generated'],
    identity: row.identity as ColumnInfo['identity'],
    deterministic: row.deterministic === 'true',
  };
}

function topOf(parents: ReadonlyMap<number, number>, oid: number): number | null {
  let top = parents.get(oid) ?? null;
  for (
    let above = top === null ? undefined : parents.get(top);
    above !== undefined;
    above = parents.get(above)
  )
    top = above;
  return top;
}
