/** Tables whose triggers or foreign keys act on what we write: order and exactness then need one statement a change (P8, I8). */
import { nameKey } from '../../../change/relation.ts';
import type { Session } from '../../session.ts';
import { USER_RELATION } from './tables.ts';

/** `replicaRole`: our sessions run with session_replication_role = replica, so only ALWAYS and REPLICA triggers fire. Keys are nameKeys. */
export async function readFiringTables(session: Session, replicaRole: boolean): Promise<Set<string>> {
  const states = replicaRole ? "'A', 'R'" : "'A', 'O'";
  const rows = await session.query(`
    SELECT DISTINCT n.nspname AS schema, c.relname AS name
      FROM pg_catalog.pg_trigger t
      JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE t.tgenabled IN (${states}) AND ${USER_RELATION}`);
  return new Set(rows.map((row) => nameKey({ schema: row.schema ?? '', name: row.name ?? '' })));
}
