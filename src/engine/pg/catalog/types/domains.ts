/** Domains and their constraints. */
import type { QualifiedName } from '../../../change/relation.ts';
import type { Session } from '../../session.ts';
import { collationName, standsAlone, USER_SCHEMA, type ObjectKey } from '../user-object.ts';

export interface DomainConstraint {
  readonly key: ObjectKey;
  readonly name: string;
  /** `CHECK (…)`, with `NOT VALID` where it is not. */
  readonly definition: string;
  readonly validated: boolean;
}

export interface DomainInfo extends QualifiedName {
  readonly key: ObjectKey;
  readonly baseType: string;
  readonly collation: string | null;
  readonly defaultValue: string | null;
  readonly notNull: boolean;
  /** The name of NOT NULL, since PostgreSQL 17. */
  readonly notNullConstraint: { readonly key: ObjectKey; readonly name: string } | null;
  readonly checks: readonly DomainConstraint[];
}

export async function readDomains(session: Session): Promise<DomainInfo[]> {
  const rows = await session.query<{
    key: string;
    schema: string;
    name: string;
    base_type: string;
    collation: string | null;
    default_value: string | null;
    not_null: string;
    not_null_constraint: string | null;
    checks: string;
  }>(`
    SELECT 'pg_type:' || t.oid AS key, n.nspname AS schema, t.typname AS name,
           pg_catalog.format_type(t.typbasetype, t.typtypmod) AS base_type,
           ${collationName('t.typcollation', 'b.typcollation')} AS collation,
           coalesce(pg_catalog.pg_get_expr(t.typdefaultbin, 'pg_catalog.pg_type'::pg_catalog.regclass),
                    pg_catalog.quote_literal(t.typdefault)) AS default_value,
           t.typnotnull::text AS not_null,
           ${
             session.version >= 170_000
               ? `(SELECT pg_catalog.json_build_object('key', 'pg_constraint:' || k.oid, 'name', k.conname)::text
                     FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'n')`
               : 'NULL'
           } AS not_null_constraint,
           coalesce((SELECT pg_catalog.json_agg(pg_catalog.json_build_object('key', 'pg_constraint:' || k.oid, 'name', k.conname,
                       'definition', pg_catalog.pg_get_constraintdef(k.oid), 'validated', k.convalidated) ORDER BY k.conname)
                       FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'), '[]')::text AS checks
      FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
      JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype
     WHERE t.typtype = 'd' AND ${USER_SCHEMA} AND ${standsAlone('pg_type', 't')}
     ORDER BY n.nspname, t.typname`);
  return rows.map((row) => {
    const checks: DomainConstraint[] = JSON.parse(row.checks);
    const notNullConstraint: DomainInfo['notNullConstraint'] =
      row.not_null_constraint === null ? null : JSON.parse(row.not_null_constraint);
    return {
      key: row.key,
      schema: row.schema,
      name: row.name,
      baseType: row.base_type,
      collation: row.collation,
      defaultValue: row.default_value,
      notNull: row.not_null === 'true',
      notNullConstraint,
      checks,
    };
  });
}
