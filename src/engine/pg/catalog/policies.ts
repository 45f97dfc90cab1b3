/** Policies of row-level security; whether it is switched on stands with the table. */
import type { Session } from '../session.ts';
import { USER_RELATION } from './tables/tables.ts';
import type { ObjectKey } from './user-object.ts';

export interface PolicyInfo {
  readonly key: ObjectKey;
  readonly table: ObjectKey;
  readonly name: string;
  readonly permissive: boolean;
  readonly command: 'ALL' | 'SELECT' | 'INSERT' | 'UPDATE' | 'DELETE';
  /** Names, not quoted; empty for PUBLIC. */
  readonly roles: readonly string[];
  readonly using: string | null;
  readonly check: string | null;
}

const COMMANDS: Readonly<Record<string, PolicyInfo['command']>> = {
  r: 'SELECT',
  a: 'INSERT',
  w: 'UPDATE',
  d: 'DELETE',
};

export async function readPolicies(session: Session): Promise<PolicyInfo[]> {
  const rows = await session.query<{
    key: string;
    table_key: string;
    name: string;
    permissive: string;
    command: string;
    roles: string;
    using: string | null;
    check: string | null;
  }>(`
    SELECT 'pg_policy:' || p.oid AS key, 'pg_class:' || p.polrelid AS table_key, p.polname AS name,
           p.polpermissive::text AS permissive, p.polcmd::text AS command,
           pg_catalog.array_to_json(ARRAY(SELECT r.rolname FROM pg_catalog.pg_roles r WHERE r.oid = ANY (p.polroles) ORDER BY r.rolname))::text AS roles,
           pg_catalog.pg_get_expr(p.polqual, p.polrelid) AS using, pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) AS check
      FROM pg_catalog.pg_policy p
      JOIN pg_catalog.pg_class c ON c.oid = p.polrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE ${USER_RELATION} ORDER BY n.nspname, c.relname, p.polname`);
  return rows.map((row) => {
    const roles: string[] = JSON.parse(row.roles);
    return {
      key: row.key,
      table: row.table_key,
      name: row.name,
      permissive: row.permissive === 'true',
      command: COMMANDS[row.command] ?? 'ALL',
      roles,
      using: row.using,
      check: row.check,
    };
  });
}
