/** Collations made by the user. Those that a server found on its machine are its own. */
import type { QualifiedName } from '../../../change/relation.ts';
import type { Session } from '../../session.ts';
import { standsAlone, USER_SCHEMA, type ObjectKey } from '../user-object.ts';

export interface CollationInfo extends QualifiedName {
  readonly key: ObjectKey;
  readonly provider: 'libc' | 'icu' | 'builtin';
  readonly collate: string;
  readonly ctype: string;
  readonly deterministic: boolean;
  /** Of ICU, since PostgreSQL 16. */
  readonly rules: string | null;
}

const PROVIDERS: Readonly<Record<string, CollationInfo['provider']>> = {
  c: 'libc',
  i: 'icu',
  b: 'builtin',
};

/** Those that this database can use: others belong to databases of another encoding. */
export async function readCollations(session: Session): Promise<CollationInfo[]> {
  const { version } = session;
  const locale = version >= 170_000 ? 'l.colllocale' : version >= 150_000 ? 'l.colliculocale' : 'NULL::text';
  const rows = await session.query<{
    key: string;
    schema: string;
    name: string;
    provider: string;
    collate: string;
    ctype: string;
    deterministic: string;
    rules: string | null;
  }>(`
    SELECT 'pg_collation:' || l.oid AS key, n.nspname AS schema, l.collname AS name, l.collprovider::text AS provider,
           coalesce(${locale}, l.collcollate::text) AS collate, coalesce(${locale}, l.collctype::text) AS ctype,
           ${version >= 120_000 ? 'l.collisdeterministic::text' : "'true'"} AS deterministic,
           ${version >= 160_000 ? 'l.collicurules' : 'NULL::text'} AS rules
      FROM pg_catalog.pg_collation l JOIN pg_catalog.pg_namespace n ON n.oid = l.collnamespace
     WHERE ${USER_SCHEMA} AND ${standsAlone('pg_collation', 'l')} AND l.collencoding IN (-1, (
             SELECT d.encoding FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()))
     ORDER BY n.nspname, l.collname`);
  return rows.map((row) => ({
    key: row.key,
    schema: row.schema,
    name: row.name,
    provider: PROVIDERS[row.provider] ?? 'libc',
    collate: row.collate,
    ctype: row.ctype,
    deterministic: row.deterministic === 'true',
    rules: row.rules,
  }));
}
