/** Statistics over several columns or expressions (CREATE STATISTICS). */
import type { QualifiedName } from '../../../change/relation.ts';
import type { Session } from '../../session.ts';
import { USER_RELATION } from '../tables/tables.ts';
import type { ObjectKey } from '../user-object.ts';

export interface ExtendedStatisticsInfo extends QualifiedName {
  readonly key: ObjectKey;
  readonly table: ObjectKey;
  readonly definition: string;
  /** Null: the server's default. */
  readonly target: number | null;
  readonly hasExpressions: boolean;
}

export async function readExtendedStatistics(session: Session): Promise<ExtendedStatisticsInfo[]> {
  const rows = await session.query<{
    key: string;
    table_key: string;
    schema: string;
    name: string;
    definition: string;
    target: string | null;
    has_expressions: string;
  }>(`
    SELECT 'pg_statistic_ext:' || s.oid AS key, 'pg_class:' || s.stxrelid AS table_key, sn.nspname AS schema, s.stxname AS name,
           pg_catalog.pg_get_statisticsobjdef(s.oid) AS definition,
           ${session.version >= 130_000 ? 'nullif(s.stxstattarget, -1)::text' : 'NULL'} AS target,
           ${session.version >= 140_000 ? '(s.stxexprs IS NOT NULL)::text' : "'false'"} AS has_expressions
      FROM pg_catalog.pg_statistic_ext s JOIN pg_catalog.pg_namespace sn ON sn.oid = s.stxnamespace
      JOIN pg_catalog.pg_class c ON c.oid = s.stxrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'm') AND ${USER_RELATION} ORDER BY sn.nspname, s.stxname`);
  return rows.map((row) => ({
    key: row.key,
    table: row.table_key,
    schema: row.schema,
    name: row.name,
    definition: row.definition,
    target: row.target === null ? null : Number(row.target),
    hasExpressions: row.has_expressions === 'true',
  }));
}
