/** Row-level security that would hide rows of the source from our user. */
import { ident } from '../../pg/ident.ts';
import type { Check } from '../check.ts';
import { counted, finding, listedTables, oidArray } from '../finding.ts';

export const rowSecurity: Check = {
  name: 'row_security',
  async run({ source, sourceInfo, tables }) {
    const rows = await source.query(
      'SELECT t.oid::text AS oid FROM pg_catalog.unnest($1::oid[]) AS t(oid) WHERE pg_catalog.row_security_active(t.oid)',
      [oidArray(tables)],
    );
    const hidden = new Set(rows.map(({ oid }) => Number(oid)));
    const filtered = tables.filter(({ oid }) => hidden.has(oid));
    return [
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
