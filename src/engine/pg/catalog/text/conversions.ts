/** Conversions between encodings. */
import type { QualifiedName } from '../../../change/relation.ts';
import type { Session } from '../../session.ts';
import { functionName, standsAlone, USER_SCHEMA, type ObjectKey } from '../user-object.ts';

export interface ConversionInfo extends QualifiedName {
  readonly key: ObjectKey;
  readonly from: string;
  readonly to: string;
  readonly function: string;
  readonly isDefault: boolean;
}

export async function readConversions(session: Session): Promise<ConversionInfo[]> {
  const rows = await session.query<{
    key: string;
    schema: string;
    name: string;
    from: string;
    to: string;
    function: string;
    is_default: string;
  }>(`
    SELECT 'pg_conversion:' || c.oid AS key, n.nspname AS schema, c.conname AS name,
           pg_catalog.pg_encoding_to_char(c.conforencoding)::text AS from, pg_catalog.pg_encoding_to_char(c.contoencoding)::text AS to,
           ${functionName('c.conproc::pg_catalog.oid')} AS function, c.condefault::text AS is_default
      FROM pg_catalog.pg_conversion c JOIN pg_catalog.pg_namespace n ON n.oid = c.connamespace
     WHERE ${USER_SCHEMA} AND ${standsAlone('pg_conversion', 'c')} ORDER BY n.nspname, c.conname`);
  return rows.map((row) => ({
    key: row.key,
    schema: row.schema,
    name: row.name,
    from: row.from,
    to: row.to,
    function: row.function,
    isDefault: row.is_default === 'true',
  }));
}
