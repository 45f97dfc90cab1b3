/** Enum types with their labels in sort order. */
import type { QualifiedName } from '../../../change/relation.ts';
import type { Session } from '../../session.ts';
import { standsAlone, USER_SCHEMA, type ObjectKey } from '../user-object.ts';

export interface EnumInfo extends QualifiedName {
  readonly key: ObjectKey;
  readonly labels: readonly string[];
}

export async function readEnums(session: Session): Promise<EnumInfo[]> {
  const rows = await session.query<{ key: string; schema: string; name: string; labels: string }>(`
    SELECT 'pg_type:' || t.oid AS key, n.nspname AS schema, t.typname AS name,
           pg_catalog.array_to_json(ARRAY(
             SELECT e.enumlabel FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder))::text AS labels
      FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
     WHERE t.typtype = 'e' AND ${USER_SCHEMA} AND ${standsAlone('pg_type', 't')}
     ORDER BY n.nspname, t.typname`);
  return rows.map((row) => {
    const labels: string[] = JSON.parse(row.labels);
    return { ...row, labels };
  });
}
