/** What uses certain columns, from pg_depend: for columns that are left out. */
import { literal } from '../../ident.ts';
import type { Session } from '../../session.ts';
import type { ObjectKey } from '../user-object.ts';

export interface TableColumn {
  readonly table: ObjectKey;
  readonly attnum: number;
}

export interface ColumnUser extends TableColumn {
  readonly user: ObjectKey;
}

/** Its own default and sequence are among them. */
export async function readColumnUsers(
  session: Session,
  columns: readonly TableColumn[],
): Promise<ColumnUser[]> {
  if (columns.length === 0) return [];
  const asked = JSON.stringify(
    columns.map(({ table, attnum }) => [table.slice(table.indexOf(':') + 1), attnum]),
  );
  const rows = await session.query<{ user: string; table: string; attnum: string }>(`
    SELECT DISTINCT k.relname || ':' || d.objid AS user, 'pg_class:' || d.refobjid AS table, d.refobjsubid::text AS attnum
      FROM pg_catalog.json_array_elements(${literal(asked)}::json) a
      JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
       AND d.refobjid = (a.value ->> 0)::pg_catalog.oid AND d.refobjsubid = (a.value ->> 1)::int4
      JOIN pg_catalog.pg_class k ON k.oid = d.classid
     WHERE NOT (d.classid = d.refclassid AND d.objid = d.refobjid)
     ORDER BY 1`);
  return rows.map((row) => ({ user: row.user, table: row.table, attnum: Number(row.attnum) }));
}
