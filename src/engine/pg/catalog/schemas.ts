/** Schemas of the user, `public` among them. */
import type { Session } from '../session.ts';
import { standsAlone, USER_SCHEMA, type ObjectKey } from './user-object.ts';

export interface SchemaInfo {
  readonly key: ObjectKey;
  readonly name: string;
}

export async function readSchemas(session: Session): Promise<SchemaInfo[]> {
  return session.query<{ key: string; name: string }>(`
    SELECT 'pg_namespace:' || n.oid AS key, n.nspname AS name
      FROM pg_catalog.pg_namespace n
     WHERE ${USER_SCHEMA} AND ${standsAlone('pg_namespace', 'n')}
     ORDER BY n.nspname`);
}
