/** Of columns, what a change of their table has to be repeated from: number, type, default, and what rows from before it had. */
import type { Session } from '../../session.ts';
import { collationName, type ObjectKey } from '../user-object.ts';

export interface CatalogColumn {
  readonly attnum: number;
  readonly name: string;
  /** With length or precision, schema-qualified where needed. */
  readonly type: string;
  readonly typeOid: number;
  readonly typmod: number;
  readonly notNull: boolean;
  readonly generated: '' | 's' | 'v';
  readonly identity: '' | 'a' | 'd';
  /** Quoted and qualified; null where it is the type's own. */
  readonly collation: string | null;
  /** Default or generation expression, everything qualified. */
  readonly expression: string | null;
  /** Of the expression; null where it is that of a domain. */
  readonly expressionKey: ObjectKey | null;
  /** What the rows have that were there when the column was added, as text; null where the catalog says nothing of them. */
  readonly missing: string | null;
  /** The table has not been rewritten since the column was added. */
  readonly isUntouched: boolean;
}

/** Expressions over an attribute `a`: they depend on no setting of the session. */
export function columnFacts(version: number) {
  return {
    generated: version >= 120_000 ? 'a.attgenerated::text' : "''::text",
    identity: version >= 100_000 ? 'a.attidentity::text' : "''::text",
    hasMissing: version >= 110_000 ? 'a.atthasmissing' : 'false',
    collation: collationName(
      'a.attcollation',
      '(SELECT ct.typcollation FROM pg_catalog.pg_type ct WHERE ct.oid = a.atttypid)',
    ),
    /** The default of a domain counts as well. */
    hasDefault: `(a.atthasdef OR EXISTS (SELECT FROM pg_catalog.pg_type dt WHERE dt.oid = a.atttypid AND dt.typdefault IS NOT NULL))`,
  };
}

/** By oid of the table, in the order of their numbers; a table that is gone is missing. */
export async function readCatalogColumns(
  session: Session,
  oids: readonly number[],
): Promise<Map<number, CatalogColumn[]>> {
  const { generated, identity, collation } = columnFacts(session.version);
  const rows = await session.query(
    `SELECT a.attrelid::text AS oid, a.attnum::text AS attnum, a.attname AS name,
            pg_catalog.format_type(a.atttypid, a.atttypmod) AS type, a.atttypid::text AS type_oid, a.atttypmod::text AS typmod,
            a.attnotnull::text AS not_null, ${generated} AS generated, ${identity} AS identity, ${collation} AS collation,
            coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid), t.typdefault) AS expression, 'pg_attrdef:' || d.oid AS expression_key,
            ${session.version >= 110_000 ? '(a.attmissingval::text::text[])[1]' : 'NULL'} AS missing,
            (c.relfilenode = c.oid OR c.xmin = a.xmin)::text AS untouched
       FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
       LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
      WHERE a.attrelid = ANY ($1::pg_catalog.oid[]) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum`,
    [`{${oids.join(',')}}`],
  );
  const columns = new Map<number, CatalogColumn[]>();
  for (const row of rows) {
    const oid = Number(row.oid);
    const column: CatalogColumn = {
      attnum: Number(row.attnum),
      name: row.name ?? '',
      type: row.type ?? '',
      typeOid: Number(row.type_oid),
      typmod: Number(row.typmod),
      notNull: row.not_null === 'true',
      generated: row.generated as CatalogColumn['generated'],
      identity: row.identity as CatalogColumn['identity'],
      collation: row.collation ?? null,
      expression: row.expression ?? null,
      expressionKey: row.expression_key ?? null,
      missing: row.missing ?? null,
      isUntouched: row.untouched === 'true',
    };
    columns.set(oid, [...(columns.get(oid) ?? []), column]);
  }
  return columns;
}

/** The name of each type with its length or precision; null for one that is gone. */
export async function readTypeNames(
  session: Session,
  types: readonly { readonly typeOid: number; readonly typmod: number }[],
): Promise<(string | null)[]> {
  const rows = await session.query(
    `SELECT CASE WHEN t.oid IS NOT NULL THEN pg_catalog.format_type(t.oid, (w.value ->> 1)::int4) END AS name
       FROM pg_catalog.json_array_elements($1::json) WITH ORDINALITY w(value, place)
       LEFT JOIN pg_catalog.pg_type t ON t.oid = (w.value ->> 0)::oid ORDER BY w.place`,
    [JSON.stringify(types.map(({ typeOid, typmod }) => [typeOid, typmod]))],
  );
  return rows.map(({ name }) => name ?? null);
}
