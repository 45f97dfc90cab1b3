/** Rewrite rules made by the user (the SELECT rule of a view is the view itself). */
import type { Session } from '../session.ts';
import { USER_RELATION } from './tables/tables.ts';
import type { FiringMode } from './triggers.ts';
import type { ObjectKey } from './user-object.ts';

export interface RuleInfo {
  readonly key: ObjectKey;
  readonly table: ObjectKey;
  readonly name: string;
  readonly definition: string;
  readonly firing: FiringMode;
}

export async function readRules(session: Session): Promise<RuleInfo[]> {
  const rows = await session.query<{
    key: string;
    table_key: string;
    name: string;
    definition: string;
    firing: FiringMode;
  }>(`
    SELECT 'pg_rewrite:' || r.oid AS key, 'pg_class:' || r.ev_class AS table_key, r.rulename AS name,
           pg_catalog.pg_get_ruledef(r.oid) AS definition, r.ev_enabled::text AS firing
      FROM pg_catalog.pg_rewrite r
      JOIN pg_catalog.pg_class c ON c.oid = r.ev_class JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE r.ev_type <> '1' AND c.relkind IN ('r', 'p', 'v') AND c.relpersistence <> 't' AND ${USER_RELATION}
     ORDER BY n.nspname, c.relname, r.rulename`);
  return rows.map((row) => ({
    key: row.key,
    table: row.table_key,
    name: row.name,
    definition: row.definition,
    firing: row.firing,
  }));
}
