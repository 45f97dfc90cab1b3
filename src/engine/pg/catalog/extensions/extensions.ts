/** Extensions of a database, and those that its account could create. */
import type { Session } from '../../session.ts';
import type { ObjectKey } from '../user-object.ts';

export interface ExtensionInfo {
  readonly key: ObjectKey;
  readonly name: string;
  readonly version: string;
  readonly schema: string;
}

/** Installed extensions except plpgsql, which every server has. */
export async function readExtensions(session: Session): Promise<ExtensionInfo[]> {
  return session.query<{ key: string; name: string; version: string; schema: string }>(`
    SELECT 'pg_extension:' || e.oid AS key, e.extname AS name, e.extversion AS version, n.nspname AS schema
      FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
     WHERE e.extname <> 'plpgsql' ORDER BY e.extname`);
}

/** Names of extensions that are installed on the server and that the account may create: as a superuser, or where they are trusted (13). */
export async function readCreatableExtensions(session: Session): Promise<Set<string>> {
  const trusted = session.version >= 130_000 ? 'v.trusted' : 'false';
  const rows = await session.query(`
    SELECT DISTINCT v.name FROM pg_catalog.pg_available_extension_versions v JOIN pg_catalog.pg_roles r ON r.rolname = current_user
     WHERE r.rolsuper OR NOT v.superuser
        OR (${trusted} AND pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'))`);
  return new Set(rows.map(({ name }) => name ?? ''));
}
