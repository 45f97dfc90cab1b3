/** Row filters: the source can judge by them, and the change stream will carry what they read. */
import { displayName } from '../../change/relation.ts';
import { needsWholeRow, readFilters } from '../../source/row-filter.ts';
import type { Check, Finding } from '../check.ts';
import { counted, finding, listed, listedTables, oidArray, perTable } from '../finding.ts';

export const filters: Check = {
  name: 'filters',
  async run({ source, tables, types, wishOf, replicaIdentity }) {
    if (tables.every((table) => wishOf(table).filter === null)) return [];
    const read = await readFilters(source, tables, wishOf);
    const findings: Finding[] = read.problems.map(({ table, problem, fix }) =>
      finding(this.name, 'failed', {
        what: `the filter of ${displayName(table)} cannot be used`,
        evidence: problem,
        fix: fix.replaceAll(/^/gm, '-- '),
      }),
    );
    const filtered = tables.flatMap((table) => {
      const filter = read.filters.get(table.oid);
      return table.kind === 'r' && filter ? [{ table, filter }] : [];
    });
    if (types.has('incremental')) {
      for (const { table, filter } of filtered) {
        const computed = filter.columns.filter(({ isGenerated }) => isGenerated).map(({ name }) => name);
        if (computed.length > 0)
          findings.push(
            finding(this.name, 'failed', {
              what: `the filter of ${displayName(table)} reads a generated column, which the change stream does not carry`,
              evidence: listed(computed),
              fix: '-- write the condition over the columns that it is computed from',
            }),
          );
      }
      const full = filtered
        .filter(({ table, filter }) => needsWholeRow(table, filter, wishOf(table).operations))
        .map(({ table }) => table);
      if (full.length > 0 && replicaIdentity === 'never')
        findings.push(
          finding(this.name, 'failed', {
            what: `${counted(full.length, 'table')} with a filter that needs REPLICA IDENTITY FULL, and replica identities are not to be changed`,
            evidence: listedTables(full),
            fix: perTable(full, (table) => `ALTER TABLE ${table} REPLICA IDENTITY FULL;`),
          }),
        );
      else if (full.length > 0)
        findings.push(
          finding(this.name, 'alert', {
            what: `${counted(full.length, 'filtered table')} followed with REPLICA IDENTITY FULL, which writes more log: a row that enters or leaves the filter must be known as a whole`,
            evidence: listedTables(full),
          }),
        );
    }
    if (types.has('schema')) {
      const rows = await source.query(
        `SELECT k.conname AS name FROM pg_catalog.pg_constraint k
          WHERE k.contype = 'f' AND k.confrelid = ANY ($1::pg_catalog.oid[]) AND k.conrelid = ANY ($2::pg_catalog.oid[])
          ORDER BY k.conname`,
        [oidArray(tables.filter((table) => wishOf(table).filter !== null)), oidArray(tables)],
      );
      if (rows.length > 0)
        findings.push(
          finding(this.name, 'alert', {
            what: `${counted(rows.length, 'foreign key')} to filtered tables: a row that refers to one that is left out keeps the key from being created, so filter both tables alike`,
            evidence: listed(rows.map(({ name }) => name ?? '')),
          }),
        );
    }
    return findings.length > 0
      ? findings
      : [finding(this.name, 'passed', { what: `${counted(filtered.length, 'filtered table')}` })];
  },
};
