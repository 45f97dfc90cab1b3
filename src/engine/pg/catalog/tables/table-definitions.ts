/** What CREATE TABLE needs beyond tables.ts: partitioning, inheritance, options, and of columns the defaults and settings. */
import type { Session } from '../../session.ts';
import { USER_RELATION } from './tables.ts';
import { listOf, sharedTexts } from '../shared.ts';
import { collationName, columnCompression, columnStorage, type ObjectKey } from '../user-object.ts';

/** A NOT NULL constraint with a name of its own, since PostgreSQL 18. */
export interface NamedNotNull {
  readonly key: ObjectKey;
  readonly name: string;
  readonly validated: boolean;
  readonly noInherit: boolean;
  readonly isInherited: boolean;
}

export interface ColumnDefinition {
  readonly name: string;
  readonly attnum: number;
  /** False when the column exists only because a parent has it. */
  readonly isLocal: boolean;
  /** Default or generation expression, everything qualified. */
  readonly expression: string | null;
  readonly expressionKey: ObjectKey | null;
  readonly collation: string | null;
  /** PLAIN, EXTERNAL, EXTENDED or MAIN when it is not the type's own. */
  readonly storage: string | null;
  readonly compression: 'pglz' | 'lz4' | null;
  readonly statistics: string | null;
  readonly options: readonly string[];
  readonly notNullConstraint: NamedNotNull | null;
}

export interface TableDefinition {
  readonly key: ObjectKey;
  /** `RANGE (created_at)` of a partitioned table. */
  readonly partitionKey: string | null;
  /** `FOR VALUES …` or `DEFAULT` of a partition. */
  readonly partitionBound: string | null;
  /** Inheritance parents in their order; of a partition the one it is attached to. */
  readonly parents: readonly ObjectKey[];
  readonly options: readonly string[];
  readonly toastOptions: readonly string[];
  /** Null for heap. */
  readonly accessMethod: string | null;
  /** The composite type of a typed table. */
  readonly ofType: string | null;
  /** WITH OIDS, before PostgreSQL 12. */
  readonly hasOids: boolean;
  readonly rowSecurity: boolean;
  /** Its policies hold for the owner too. */
  readonly forcedRowSecurity: boolean;
  readonly columns: readonly ColumnDefinition[];
}

const TABLES = (version: number) => `
  SELECT 'pg_class:' || c.oid AS key,
         CASE WHEN c.relkind = 'p' THEN pg_catalog.pg_get_partkeydef(c.oid) END AS partition_key,
         CASE WHEN c.relispartition THEN pg_catalog.pg_get_expr(c.relpartbound, c.oid) END AS partition_bound,
         pg_catalog.array_to_json(ARRAY(SELECT 'pg_class:' || i.inhparent FROM pg_catalog.pg_inherits i
                                         WHERE i.inhrelid = c.oid ORDER BY i.inhseqno))::text AS parents,
         pg_catalog.array_to_json(c.reloptions)::text AS options,
         (SELECT pg_catalog.array_to_json(tc.reloptions)::text FROM pg_catalog.pg_class tc WHERE tc.oid = c.reltoastrelid) AS toast_options,
         ${version >= 120_000 ? "(SELECT am.amname FROM pg_catalog.pg_am am WHERE am.oid = c.relam AND am.amname <> 'heap')" : 'NULL'} AS access_method,
         CASE WHEN c.reloftype <> 0 THEN pg_catalog.format_type(c.reloftype, NULL) END AS of_type,
         ${version >= 120_000 ? "'false'" : 'c.relhasoids::text'} AS has_oids, c.relrowsecurity::text AS row_security, c.relforcerowsecurity::text AS forced_row_security
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND ${USER_RELATION}
   ORDER BY n.nspname, c.relname`;

const COLUMNS = (version: number) => `
  SELECT 'pg_class:' || a.attrelid AS table_key, a.attnum::text AS attnum, a.attname AS name, a.attislocal::text AS is_local,
         pg_catalog.pg_get_expr(d.adbin, d.adrelid) AS expression, 'pg_attrdef:' || d.oid AS expression_key,
         ${collationName('a.attcollation', 't.typcollation')} AS collation,
         ${columnStorage('a', 't')} AS storage, ${columnCompression(version, 'a')} AS compression,
         CASE WHEN a.attstattarget >= 0 THEN a.attstattarget::text END AS statistics,
         pg_catalog.array_to_json(a.attoptions)::text AS options,
         ${
           version >= 180_000
             ? `(SELECT pg_catalog.json_build_object('key', 'pg_constraint:' || k.oid, 'name', k.conname, 'validated', k.convalidated, 'noInherit', k.connoinherit,
                    'isInherited', NOT k.conislocal)::text
                   FROM pg_catalog.pg_constraint k
                  WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND k.conkey[1] = a.attnum)`
             : 'NULL'
         } AS not_null
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
   WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND a.attnum > 0 AND NOT a.attisdropped AND ${USER_RELATION}
   ORDER BY a.attrelid, a.attnum`;

interface TableRow extends Readonly<Record<string, string | null>> {
  key: string;
  partition_key: string | null;
  partition_bound: string | null;
  parents: string;
  options: string | null;
  toast_options: string | null;
  access_method: string | null;
  of_type: string | null;
  has_oids: string;
  row_security: string;
  forced_row_security: string;
}

interface ColumnRow extends Readonly<Record<string, string | null>> {
  table_key: string;
  attnum: string;
  name: string;
  is_local: string;
  expression: string | null;
  expression_key: string | null;
  collation: string | null;
  storage: string | null;
  compression: ColumnDefinition['compression'];
  statistics: string | null;
  options: string | null;
  not_null: string | null;
}

/** Definitions of all user tables, two statements whatever their number. Expressions come qualified: the session has an empty search_path. */
export async function readTableDefinitions(
  session: Session,
  text = sharedTexts(),
): Promise<TableDefinition[]> {
  const tables = await session.map(TABLES(session.version), tableWithoutColumns, { text });
  const columns = new Map(tables.map((table) => [table.key, table.columns]));
  await session.each(
    COLUMNS(session.version),
    (row: ColumnRow) => columns.get(row.table_key)?.push(columnDefinition(row)),
    { text },
  );
  return tables;
}

function tableWithoutColumns(row: TableRow): TableDefinition & { columns: ColumnDefinition[] } {
  return {
    key: row.key,
    partitionKey: row.partition_key,
    partitionBound: row.partition_bound,
    parents: listOf(row.parents),
    options: listOf(row.options),
    toastOptions: listOf(row.toast_options),
    accessMethod: row.access_method,
    ofType: row.of_type,
    hasOids: row.has_oids === 'true',
    rowSecurity: row.row_security === 'true',
    forcedRowSecurity: row.forced_row_security === 'true',
    columns: [],
  };
}

function columnDefinition(row: ColumnRow): ColumnDefinition {
  const notNullConstraint: NamedNotNull | null = row.not_null === null ? null : JSON.parse(row.not_null);
  return {
    name: row.name,
    attnum: Number(row.attnum),
    isLocal: row.is_local === 'true',
    expression: row.expression,
    expressionKey: row.expression_key,
    collation: row.collation,
    storage: row.storage,
    compression: row.compression,
    statistics: row.statistics,
    options: listOf(row.options),
    notNullConstraint,
  };
}
