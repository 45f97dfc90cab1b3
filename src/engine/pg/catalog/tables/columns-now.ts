/** The columns of tables as they are at this moment, in one text each, to tell whether a table is still what was planned. */
import type { Session } from '../../session.ts';
import type { TableInfo } from './tables.ts';

/** By oid; a table that is gone is missing. To be compared with columnsOf(). */
export async function readColumns(
  session: Session,
  tables: readonly { readonly oid: number }[],
): Promise<Map<number, string>> {
  const rows = await session.query(
    `SELECT c.oid::text, coalesce(pg_catalog.string_agg(a.attnum || ' ' || a.attname || ' '
              || pg_catalog.format_type(a.atttypid, a.atttypmod), E'\\n' ORDER BY a.attnum), '') AS columns
       FROM pg_catalog.pg_class c
       LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      WHERE c.oid = ANY ($1::pg_catalog.oid[]) GROUP BY c.oid`,
    [`{${tables.map(({ oid }) => oid).join(',')}}`],
  );
  return new Map(rows.map((row) => [Number(row.oid), row.columns ?? '']));
}

export function columnsOf({ columns }: Pick<TableInfo, 'columns'>): string {
  return columns.map(({ attnum, name, type }) => `${attnum} ${name} ${type}`).join('\n');
}
