/** Constraints of tables except NOT NULL: CHECK, PRIMARY KEY, UNIQUE, EXCLUDE, FOREIGN KEY. */
import type { Row, Session } from '../../session.ts';
import { USER_RELATION } from '../tables/tables.ts';
import { sharedTexts } from '../shared.ts';
import { type ObjectKey } from '../user-object.ts';

export interface ConstraintInfo {
  readonly key: ObjectKey;
  readonly table: ObjectKey;
  readonly name: string;
  readonly kind: 'check' | 'primary key' | 'unique' | 'exclusion' | 'foreign key';
  /** What follows `ADD CONSTRAINT name`, without storage options. */
  readonly definition: string;
  readonly validated: boolean;
  /** False only since PostgreSQL 18. */
  readonly enforced: boolean;
  /** False when it exists only because a parent has it. */
  readonly isLocal: boolean;
  /** The partitioned table's constraint this one is a part of. */
  readonly parent: ObjectKey | null;
  readonly index: ObjectKey | null;
  /** Of a foreign key. */
  readonly references: ObjectKey | null;
  readonly deferrable: boolean;
  readonly deferred: boolean;
  /** WITHOUT OVERLAPS or PERIOD, since PostgreSQL 18. */
  readonly temporal: boolean;
}

const KINDS: Readonly<Record<string, ConstraintInfo['kind']>> = {
  c: 'check',
  p: 'primary key',
  u: 'unique',
  x: 'exclusion',
  f: 'foreign key',
};

interface ConstraintRow extends Row {
  readonly key: string;
  readonly table_key: string;
  readonly name: string;
  readonly kind: string;
  readonly definition: string;
  readonly validated: string;
  readonly enforced: string;
  readonly is_local: string;
  readonly parent: string | null;
  readonly index: string | null;
  readonly references: string | null;
  readonly deferrable: string;
  readonly deferred: string;
  readonly temporal: string;
}

export function readConstraints(session: Session, text = sharedTexts()): Promise<ConstraintInfo[]> {
  const since = (version: number, sql: string, otherwise: string) =>
    session.version >= version ? sql : otherwise;
  const sql = `
    SELECT 'pg_constraint:' || k.oid AS key, 'pg_class:' || k.conrelid AS table_key, k.conname AS name, k.contype::text AS kind,
           pg_catalog.pg_get_constraintdef(k.oid) AS definition, k.convalidated::text AS validated,
           ${since(180_000, 'k.conenforced::text', "'true'")} AS enforced, k.conislocal::text AS is_local,
           ${since(110_000, "CASE WHEN k.conparentid <> 0 THEN 'pg_constraint:' || k.conparentid END", 'NULL')} AS parent,
           CASE WHEN k.contype IN ('p', 'u', 'x') THEN 'pg_class:' || k.conindid END AS index,
           CASE WHEN k.contype = 'f' THEN 'pg_class:' || k.confrelid END AS references,
           k.condeferrable::text AS deferrable, k.condeferred::text AS deferred,
           ${since(180_000, 'k.conperiod::text', "'false'")} AS temporal
      FROM pg_catalog.pg_constraint k
      JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE k.contype IN ('c', 'p', 'u', 'x', 'f') AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND ${USER_RELATION}
     ORDER BY n.nspname, c.relname, k.conname`;
  return session.map(sql, constraintInfo, { text });
}

function constraintInfo(row: ConstraintRow): ConstraintInfo {
  return {
    key: row.key,
    table: row.table_key,
    name: row.name,
    kind: KINDS[row.kind] ?? 'check',
    definition: row.definition,
    validated: row.validated === 'true',
    enforced: row.enforced === 'true',
    isLocal: row.is_local === 'true',
    parent: row.parent,
    index: row.index,
    references: row.references,
    deferrable: row.deferrable === 'true',
    deferred: row.deferred === 'true',
    temporal: row.temporal === 'true',
  };
}
