/** Sequences of the target that belong to selected tables (serial and identity columns), or all of them. */
import { nameKey, type QualifiedName } from '../../../change/relation.ts';
import type { Session } from '../../session.ts';
import { USER_RELATION } from './tables.ts';

/** nameKeys; `tables` null means every sequence of the database. */
export async function readTargetSequences(
  session: Session,
  tables: readonly QualifiedName[] | null,
): Promise<Set<string>> {
  const rows = await session.query(`
    SELECT n.nspname AS schema, c.relname AS name, tn.nspname AS table_schema, t.relname AS table_name
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
                                      AND d.refclassid = d.classid AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
      LEFT JOIN pg_catalog.pg_class t ON t.oid = d.refobjid LEFT JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
     WHERE c.relkind = 'S' AND ${USER_RELATION}`);
  const wanted = tables && new Set(tables.map(nameKey));
  const ofTable = (row: (typeof rows)[number]) =>
    nameKey({ schema: row.table_schema ?? '', name: row.table_name ?? '' });
  return new Set(
    rows
      .filter((row) => wanted === null || wanted.has(ofTable(row)))
      .map((row) => nameKey({ schema: row.schema ?? '', name: row.name ?? '' })),
  );
}
