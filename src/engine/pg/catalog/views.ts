/** Views and materialized views. */
import type { QualifiedName } from '../../change/relation.ts';
import type { Session } from '../session.ts';
import { USER_RELATION } from './tables.ts';
import { optionList, type ObjectKey } from './user-object.ts';

export interface ViewInfo extends QualifiedName {
  readonly key: ObjectKey;
  readonly isMaterialized: boolean;
  /** The SELECT, without a closing semicolon. */
  readonly query: string;
  /** security_barrier=…, check_option=… and storage options. */
  readonly options: readonly string[];
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

export async function readViews(session: Session): Promise<ViewInfo[]> {
  const rows = await session.query<{
    key: string;
    schema: string;
    name: string;
    kind: string;
    query: string;
    options: string | null;
    populated: string;
    access_method: string | null;
    defaults: string;
  }>(`
    SELECT 'pg_class:' || c.oid AS key, n.nspname AS schema, c.relname AS name, c.relkind::text AS kind,
           pg_catalog.rtrim(pg_catalog.pg_get_viewdef(c.oid), ';') AS query,
           pg_catalog.array_to_json(c.reloptions)::text AS options, c.relispopulated::text AS populated,
           ${session.version >= 120_000 ? "(SELECT am.amname FROM pg_catalog.pg_am am WHERE am.oid = c.relam AND am.amname <> 'heap')" : 'NULL'} AS access_method,
           coalesce((SELECT pg_catalog.json_agg(pg_catalog.json_build_object('key', 'pg_attrdef:' || d.oid, 'column', a.attname,
                       'expression', pg_catalog.pg_get_expr(d.adbin, d.adrelid)) ORDER BY a.attnum)
                       FROM pg_catalog.pg_attrdef d JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
                      WHERE d.adrelid = c.oid), '[]')::text AS defaults
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('v', 'm') AND c.relpersistence <> 't' AND ${USER_RELATION}
     ORDER BY n.nspname, c.relname`);
  return rows.map((row) => {
    const defaults: { key: string; column: string; expression: string }[] = JSON.parse(row.defaults);
    return {
      key: row.key,
      schema: row.schema,
      name: row.name,
      isMaterialized: row.kind === 'm',
      query: row.query,
      options: optionList(row.options),
      populated: row.populated === 'true',
      accessMethod: row.access_method,
      defaults,
    };
  });
}
