/** Functions, window functions and procedures in languages that can be created from text (not C, not internal). */
import type { QualifiedName } from '../../change/relation.ts';
import type { Session } from '../session.ts';
import { isUserFunction, standsAlone, USER_SCHEMA, type ObjectKey } from './user-object.ts';

export interface RoutineInfo extends QualifiedName {
  readonly key: ObjectKey;
  readonly kind: 'function' | 'procedure';
  /** What tells overloads apart: `integer, VARIADIC text[]`. */
  readonly identityArguments: string;
  /** `CREATE OR REPLACE FUNCTION …` as the server writes it. */
  readonly definition: string;
  /** BEGIN ATOMIC or RETURN, since PostgreSQL 14. */
  readonly hasSqlBody: boolean;
  readonly language: string;
  readonly leakproof: boolean;
  /** Names of the parameters that it SETs. */
  readonly settings: readonly string[];
}

export async function readRoutines(session: Session): Promise<RoutineInfo[]> {
  const kind =
    session.version >= 110_000
      ? 'p.prokind::text'
      : "CASE WHEN p.proisagg THEN 'a' WHEN p.proiswindow THEN 'w' ELSE 'f' END";
  const rows = await session.query<{
    key: string;
    schema: string;
    name: string;
    kind: string;
    identity_arguments: string;
    definition: string;
    has_sql_body: string;
    language: string;
    leakproof: string;
    settings: string;
  }>(`
    SELECT 'pg_proc:' || p.oid AS key, n.nspname AS schema, p.proname AS name, ${kind} AS kind,
           pg_catalog.pg_get_function_identity_arguments(p.oid) AS identity_arguments,
           pg_catalog.pg_get_functiondef(p.oid) AS definition,
           ${session.version >= 140_000 ? '(p.prosqlbody IS NOT NULL)::text' : "'false'"} AS has_sql_body,
           l.lanname AS language, p.proleakproof::text AS leakproof,
           pg_catalog.array_to_json(ARRAY(SELECT pg_catalog.split_part(s.setting, '=', 1) FROM pg_catalog.unnest(p.proconfig) s(setting)))::text AS settings
      FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
      JOIN pg_catalog.pg_language l ON l.oid = p.prolang
     WHERE ${kind} <> 'a' AND l.lanname NOT IN ('c', 'internal') AND ${USER_SCHEMA} AND ${isUserFunction('p.proname')}
       AND ${standsAlone('pg_proc', 'p')}
     ORDER BY n.nspname, p.proname, identity_arguments`);
  return rows.map((row) => ({
    key: row.key,
    schema: row.schema,
    name: row.name,
    kind: row.kind === 'p' ? 'procedure' : 'function',
    identityArguments: row.identity_arguments,
    definition: row.definition,
    hasSqlBody: row.has_sql_body === 'true',
    language: row.language,
    leakproof: row.leakproof === 'true',
    settings: JSON.parse(row.settings) as string[],
  }));
}
