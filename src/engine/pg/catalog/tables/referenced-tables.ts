/** Tables that a foreign key refers to: TRUNCATE refuses them, even where nothing refers to a row. */
import { nameKey } from '../../../change/relation.ts';
import type { Session } from '../../session.ts';

/** By nameKey. */
export async function readReferencedTables(session: Session): Promise<Set<string>> {
  const rows = await session.query(`
    SELECT DISTINCT n.nspname AS schema, c.relname AS name
      FROM pg_catalog.pg_constraint k
      JOIN pg_catalog.pg_class c ON c.oid = k.confrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE k.contype = 'f'`);
  return new Set(rows.map((row) => nameKey({ schema: row.schema ?? '', name: row.name ?? '' })));
}
