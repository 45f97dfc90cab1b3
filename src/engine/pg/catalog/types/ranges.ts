/** Range types (their multirange and constructor functions come with them). */
import type { QualifiedName } from '../../../change/relation.ts';
import type { Session } from '../../session.ts';
import { collationName, functionName, standsAlone, USER_SCHEMA, type ObjectKey } from '../user-object.ts';

export interface RangeInfo extends QualifiedName {
  readonly key: ObjectKey;
  readonly subtype: string;
  /** Qualified and quoted; null when it is the subtype's default. */
  readonly operatorClass: string | null;
  readonly collation: string | null;
  readonly canonical: string | null;
  readonly difference: string | null;
  /** Since PostgreSQL 14. */
  readonly multirange: (QualifiedName & { readonly key: ObjectKey }) | null;
}

export async function readRanges(session: Session): Promise<RangeInfo[]> {
  const hasMultirange = session.version >= 140_000;
  const rows = await session.query<{
    key: string;
    schema: string;
    name: string;
    subtype: string;
    operator_class: string | null;
    collation: string | null;
    canonical: string | null;
    difference: string | null;
    multirange_key: string | null;
    multirange_schema: string | null;
    multirange_name: string | null;
  }>(`
    SELECT 'pg_type:' || t.oid AS key, n.nspname AS schema, t.typname AS name,
           pg_catalog.format_type(r.rngsubtype, NULL) AS subtype,
           (SELECT pg_catalog.quote_ident(o_n.nspname) || '.' || pg_catalog.quote_ident(o.opcname)
              FROM pg_catalog.pg_opclass o JOIN pg_catalog.pg_namespace o_n ON o_n.oid = o.opcnamespace
             WHERE o.oid = r.rngsubopc AND NOT o.opcdefault) AS operator_class,
           ${collationName('r.rngcollation', 's.typcollation')} AS collation,
           ${functionName('r.rngcanonical::pg_catalog.oid')} AS canonical,
           ${functionName('r.rngsubdiff::pg_catalog.oid')} AS difference,
           ${hasMultirange ? "'pg_type:' || m.oid" : 'NULL'} AS multirange_key,
           ${hasMultirange ? 'm_n.nspname' : 'NULL'} AS multirange_schema,
           ${hasMultirange ? 'm.typname' : 'NULL'} AS multirange_name
      FROM pg_catalog.pg_range r JOIN pg_catalog.pg_type t ON t.oid = r.rngtypid
      JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace JOIN pg_catalog.pg_type s ON s.oid = r.rngsubtype
      ${
        hasMultirange
          ? 'JOIN pg_catalog.pg_type m ON m.oid = r.rngmultitypid JOIN pg_catalog.pg_namespace m_n ON m_n.oid = m.typnamespace'
          : ''
      }
     WHERE ${USER_SCHEMA} AND ${standsAlone('pg_type', 't')}
     ORDER BY n.nspname, t.typname`);
  return rows.map((row) => ({
    key: row.key,
    schema: row.schema,
    name: row.name,
    subtype: row.subtype,
    operatorClass: row.operator_class,
    collation: row.collation,
    canonical: row.canonical,
    difference: row.difference,
    multirange:
      row.multirange_key !== null && row.multirange_schema !== null && row.multirange_name !== null
        ? { key: row.multirange_key, schema: row.multirange_schema, name: row.multirange_name }
        : null,
  }));
}
