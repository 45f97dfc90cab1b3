/** Every rule by which two rows of a table exclude each other, whatever kind of index keeps it. */
import { nameKey } from '../../../change/relation.ts';
import type { Session } from '../../session.ts';
import { USER_RELATION } from '../tables/tables.ts';

/**
 * By nameKey, for each unique or exclusion index the plain columns in which rows that collide are equal; those that are expressions are
 * left out, and an exclusion has none.
 */
export async function readUniqueColumns(session: Session): Promise<Map<string, (readonly string[])[]>> {
  const keyAttributes = session.version >= 110_000 ? 'i.indnkeyatts' : 'i.indnatts';
  const rows = await session.query(`
    SELECT n.nspname AS schema, c.relname AS name, CASE WHEN i.indisexclusion THEN '[]' ELSE (
             SELECT coalesce(pg_catalog.json_agg(a.attname)::text, '[]')
               FROM pg_catalog.generate_series(0, ${keyAttributes} - 1) k(pos)
               JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[k.pos]) END AS columns
      FROM pg_catalog.pg_index i
      JOIN pg_catalog.pg_class c ON c.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE (i.indisunique OR i.indisexclusion) AND ${USER_RELATION}`);
  const found = new Map<string, (readonly string[])[]>();
  for (const row of rows) {
    const table = nameKey({ schema: row.schema ?? '', name: row.name ?? '' });
    found.set(table, [...(found.get(table) ?? []), JSON.parse(row.columns ?? '[]') as string[]]);
  }
  return found;
}
