/** Composite types made by CREATE TYPE (the row types of tables are not among them). */
import type { QualifiedName } from '../../../change/relation.ts';
import type { Session } from '../../session.ts';
import { collationName, standsAlone, USER_SCHEMA, type ObjectKey } from '../user-object.ts';

export interface CompositeAttribute {
  readonly name: string;
  readonly type: string;
  readonly collation: string | null;
  readonly comment: string | null;
}

export interface CompositeInfo extends QualifiedName {
  readonly key: ObjectKey;
  readonly attributes: readonly CompositeAttribute[];
}

export async function readComposites(session: Session): Promise<CompositeInfo[]> {
  const rows = await session.query<{ key: string; schema: string; name: string; attributes: string }>(`
    SELECT 'pg_type:' || t.oid AS key, n.nspname AS schema, t.typname AS name,
           coalesce((SELECT pg_catalog.json_agg(pg_catalog.json_build_object('name', a.attname,
                       'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
                       'collation', ${collationName('a.attcollation', 'b.typcollation')},
                       'comment', pg_catalog.col_description(c.oid, a.attnum)) ORDER BY a.attnum)
                       FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type b ON b.oid = a.atttypid
                      WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '[]')::text AS attributes
      FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
      JOIN pg_catalog.pg_class c ON c.oid = t.typrelid AND c.relkind = 'c'
     WHERE t.typtype = 'c' AND ${USER_SCHEMA} AND ${standsAlone('pg_type', 't')}
     ORDER BY n.nspname, t.typname`);
  return rows.map((row) => {
    const attributes: CompositeAttribute[] = JSON.parse(row.attributes);
    return { key: row.key, schema: row.schema, name: row.name, attributes };
  });
}
