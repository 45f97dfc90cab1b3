/** Row-level security that would hide rows from our users: of the source, and of target tables that stand already. */
import { nameKey } from '../../change/relation.ts';
import type { TableInfo } from '../../pg/catalog/tables/tables.ts';
import { ident } from '../../pg/ident.ts';
import type { Session } from '../../pg/session.ts';
import type { Check } from '../check.ts';
import { counted, finding, listedTables, oidArray } from '../finding.ts';

async function activeOn(session: Session, tables: readonly TableInfo[]): Promise<TableInfo[]> {
  const rows = await session.query(
    'SELECT t.oid::text AS oid FROM pg_catalog.unnest($1::oid[]) AS t(oid) WHERE pg_catalog.row_security_active(t.oid)',
    [oidArray(tables)],
  );
  const active = new Set(rows.map(({ oid }) => Number(oid)));
  return tables.filter(({ oid }) => active.has(oid));
}

export const rowSecurity: Check = {
  name: 'row_security',
  async run({ source, sourceInfo, tables, target, targetInfo, targetTables, mapping, types }) {
    const wanted = new Set(tables.map((table) => nameKey(mapping.table(table))));
    const theirs = types.has('schema') ? [] : targetTables.filter((table) => wanted.has(nameKey(table)));
    const closed = await activeOn(target, theirs);
    const filtered = await activeOn(source, tables);
    return [
      ...(closed.length === 0
        ? []
        : [
            finding(this.name, 'failed', {
              what: `row-level security of ${counted(closed.length, 'target table')} holds for the user`,
              evidence: listedTables(closed),
              fix: `ALTER ROLE ${ident(targetInfo.user)} BYPASSRLS;   -- or migrate as the owner of these tables`,
            }),
          ]),
      filtered.length === 0
        ? finding(this.name, 'passed', { what: 'no row is hidden from the user by row-level security' })
        : finding(this.name, 'failed', {
            what: `row-level security hides rows of ${counted(filtered.length, 'table')} from the user`,
            evidence: listedTables(filtered),
            fix: `ALTER ROLE ${ident(sourceInfo.user)} BYPASSRLS;   -- or migrate as the owner of these tables`,
          }),
    ];
  },
};
