/** Extensions: never created by us, so the target must have those the source uses. */
import type { Session } from '../session.ts';

export interface ExtensionInfo {
  readonly name: string;
  readonly version: string;
  readonly schema: string;
}

/** Installed extensions except plpgsql, which every server has. */
export async function readExtensions(session: Session): Promise<ExtensionInfo[]> {
  return session.query<{ name: string; version: string; schema: string }>(`
    SELECT e.extname AS name, e.extversion AS version, n.nspname AS schema
      FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
     WHERE e.extname <> 'plpgsql' ORDER BY e.extname`);
}
