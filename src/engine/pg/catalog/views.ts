/** Views and materialized views. */
import type { QualifiedName } from '../../change/relation.ts';
import type { Session } from '../session.ts';
import { USER_RELATION } from './tables/tables.ts';
import { listOf } from './shared.ts';
import { collationName, columnCompression, columnStorage, type ObjectKey } from './user-object.ts';

export interface ViewColumn {
  readonly name: string;
  readonly type: string;
  readonly collation: string | null;
  /** Of a materialized view, as those below: PLAIN, EXTERNAL, EXTENDED or MAIN when it is not the type's own. */
  readonly storage: string | null;
  readonly compression: 'pglz' | 'lz4' | null;
  readonly statistics: string | null;
  readonly options: readonly string[];
}

export interface ViewInfo extends QualifiedName {
  readonly key: ObjectKey;
  /** Of its SELECT, through which it needs what it reads. */
  readonly queryKey: ObjectKey;
  readonly isMaterialized: boolean;
  /** The SELECT, without a closing semicolon. */
  readonly query: string;
  /** security_barrier=…, check_option=… and storage options. */
  readonly options: readonly string[];
  readonly toastOptions: readonly string[];
  readonly columns: readonly ViewColumn[];
  /** False: a materialized view that was never refreshed. */
  readonly populated: boolean;
  /** Null for heap. */
  readonly accessMethod: string | null;
  readonly defaults: readonly {
    readonly key: ObjectKey;
    readonly column: string;
    readonly expression: string;
  }[];
}

interface ColumnRow extends Readonly<Record<string, string | null>> {
  view_key: string;
  name: string;
  type: string;
  collation: string | null;
  storage: string | null;
  compression: ViewColumn['compression'];
  statistics: string | null;
  options: string | null;
}

const COLUMNS = (version: number) => `
  SELECT 'pg_class:' || a.attrelid AS view_key, a.attname AS name, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
         ${collationName('a.attcollation', 't.typcollation')} AS collation,
         ${columnStorage('a', 't')} AS storage, ${columnCompression(version, 'a')} AS compression,
         CASE WHEN a.attstattarget >= 0 THEN a.attstattarget::text END AS statistics, pg_catalog.array_to_json(a.attoptions)::text AS options
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
   WHERE c.relkind IN ('v', 'm') AND c.relpersistence <> 't' AND a.attnum > 0 AND NOT a.attisdropped AND ${USER_RELATION}
   ORDER BY a.attrelid, a.attnum`;

export async function readViews(session: Session): Promise<ViewInfo[]> {
  const rows = await session.query<{
    key: string;
    schema: string;
    name: string;
    kind: string;
    query_key: string;
    query: string;
    options: string | null;
    toast_options: string | null;
    populated: string;
    access_method: string | null;
    defaults: string;
  }>(`
    SELECT 'pg_class:' || c.oid AS key, n.nspname AS schema, c.relname AS name, c.relkind::text AS kind,
           (SELECT 'pg_rewrite:' || r.oid FROM pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid AND r.ev_type = '1') AS query_key,
           pg_catalog.rtrim(pg_catalog.pg_get_viewdef(c.oid), ';') AS query,
           pg_catalog.array_to_json(c.reloptions)::text AS options,
           (SELECT pg_catalog.array_to_json(tc.reloptions)::text FROM pg_catalog.pg_class tc WHERE tc.oid = c.reltoastrelid) AS toast_options, c.relispopulated::text AS populated,
           ${session.version >= 120_000 ? "(SELECT am.amname FROM pg_catalog.pg_am am WHERE am.oid = c.relam AND am.amname <> 'heap')" : 'NULL'} AS access_method,
           coalesce((SELECT pg_catalog.json_agg(pg_catalog.json_build_object('key', 'pg_attrdef:' || d.oid, 'column', a.attname,
                       'expression', pg_catalog.pg_get_expr(d.adbin, d.adrelid)) ORDER BY a.attnum)
                       FROM pg_catalog.pg_attrdef d JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
                      WHERE d.adrelid = c.oid), '[]')::text AS defaults
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('v', 'm') AND c.relpersistence <> 't' AND ${USER_RELATION}
     ORDER BY n.nspname, c.relname`);
  const columns = Map.groupBy(
    await session.query<ColumnRow>(COLUMNS(session.version)),
    (row) => row.view_key,
  );
  return rows.map((row) => {
    const defaults: { key: string; column: string; expression: string }[] = JSON.parse(row.defaults);
    return {
      key: row.key,
      schema: row.schema,
      name: row.name,
      isMaterialized: row.kind === 'm',
      queryKey: row.query_key,
      query: row.query,
      options: listOf(row.options),
      toastOptions: listOf(row.toast_options),
      columns: (columns.get(row.key) ?? []).map((column) => ({
        name: column.name,
        type: column.type,
        collation: column.collation,
        storage: column.storage,
        compression: column.compression,
        statistics: column.statistics,
        options: listOf(column.options),
      })),
      populated: row.populated === 'true',
      accessMethod: row.access_method,
      defaults,
    };
  });
}
