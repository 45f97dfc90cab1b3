/** Sequences with their options and the column they belong to; identity sequences too. Their values are not read here. */
import type { QualifiedName } from '../../change/relation.ts';
import type { Row, Session } from '../session.ts';
import { sharedTexts } from './shared.ts';
import { type ObjectKey } from './user-object.ts';
import { USER_RELATION } from './tables/tables.ts';

export interface SequenceInfo extends QualifiedName {
  readonly key: ObjectKey;
  readonly type: string;
  /** Decimal numbers as text: they may pass 2^53. */
  readonly start: string;
  readonly increment: string;
  readonly min: string;
  readonly max: string;
  readonly cache: string;
  readonly cycle: boolean;
  readonly unlogged: boolean;
  /** OWNED BY, or the identity column. */
  readonly owner: { readonly table: ObjectKey; readonly attnum: number } | null;
  /** Made together with its identity column. */
  readonly isIdentity: boolean;
}

const SEQUENCES = `
    SELECT 'pg_class:' || c.oid AS key, n.nspname AS schema, c.relname AS name,
           pg_catalog.format_type(s.seqtypid, NULL) AS type, s.seqstart::text AS start, s.seqincrement::text AS increment,
           s.seqmin::text AS min, s.seqmax::text AS max, s.seqcache::text AS cache, s.seqcycle::text AS cycle,
           c.relpersistence::text AS persistence,
           'pg_class:' || d.refobjid AS owner_table, d.refobjsubid::text AS owner_column, d.deptype::text AS owner_kind
      FROM pg_catalog.pg_sequence s JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.objsubid = 0
       AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
     WHERE c.relpersistence <> 't' AND ${USER_RELATION}
     ORDER BY n.nspname, c.relname`;

interface SequenceRow extends Row {
  readonly key: string;
  readonly schema: string;
  readonly name: string;
  readonly type: string;
  readonly start: string;
  readonly increment: string;
  readonly min: string;
  readonly max: string;
  readonly cache: string;
  readonly cycle: string;
  readonly persistence: string;
  readonly owner_table: string | null;
  readonly owner_column: string | null;
  readonly owner_kind: string | null;
}

export function readSequences(session: Session, text = sharedTexts()): Promise<SequenceInfo[]> {
  return session.map(SEQUENCES, sequenceInfo, { text });
}

function sequenceInfo(row: SequenceRow): SequenceInfo {
  return {
    key: row.key,
    schema: row.schema,
    name: row.name,
    type: row.type,
    start: row.start,
    increment: row.increment,
    min: row.min,
    max: row.max,
    cache: row.cache,
    cycle: row.cycle === 'true',
    unlogged: row.persistence === 'u',
    owner: row.owner_table === null ? null : { table: row.owner_table, attnum: Number(row.owner_column) },
    isIdentity: row.owner_kind === 'i',
  };
}
