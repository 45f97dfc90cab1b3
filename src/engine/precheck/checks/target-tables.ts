/** What stands in the target already: with schema migration the tables must not be there, without it they must, and empty before a copy. */
import { nameKey } from '../../change/relation.ts';
import type { TableInfo } from '../../pg/catalog/tables.ts';
import { literal, qname } from '../../pg/ident.ts';
import type { Session } from '../../pg/session.ts';
import type { Check, Finding } from '../check.ts';
import { counted, finding, listedTables } from '../finding.ts';

const BATCH = 200;

/** The tables that hold at least one row. */
async function withRows(session: Session, tables: readonly TableInfo[]): Promise<TableInfo[]> {
  const filled = new Set<string | null | undefined>();
  const plain = tables.filter(({ kind }) => kind === 'r');
  for (let at = 0; at < plain.length; at += BATCH) {
    const asked = plain
      .slice(at, at + BATCH)
      .map(
        (table) =>
          `SELECT ${literal(String(table.oid))} AS oid WHERE EXISTS (SELECT FROM ONLY ${qname(table)})`,
      );
    for (const { oid } of await session.query(asked.join('\nUNION ALL '))) filled.add(oid);
  }
  return plain.filter(({ oid }) => filled.has(String(oid)));
}

export const targetTables: Check = {
  name: 'target_tables',
  async run({ target, tables, targetTables: present, types }) {
    const presentKeys = new Map(present.map((table) => [nameKey(table), table]));
    const existing = tables.flatMap((table) => presentKeys.get(nameKey(table)) ?? []);
    const missing = tables.filter((table) => !presentKeys.has(nameKey(table)));
    const failed = (what: string, about: readonly TableInfo[], fix: string): Finding =>
      finding(this.name, 'failed', { what, evidence: listedTables(about), fix });
    if (types.has('schema')) {
      if (existing.length === 0)
        return [finding(this.name, 'passed', { what: 'no selected table exists on the target yet' })];
      return [
        failed(
          `the target already has ${counted(existing.length, 'table')} that would be created`,
          existing,
          `# either leave them out\n${existing.map(excludeOption).join(' ')}\n# or use them as they are: --types without schema`,
        ),
      ];
    }
    const findings: Finding[] = [];
    if (missing.length > 0)
      findings.push(
        failed(
          `the target lacks ${counted(missing.length, 'selected table')}`,
          missing,
          '# add schema to --types, or create them',
        ),
      );
    const filled = types.has('full') ? await withRows(target, existing) : [];
    if (filled.length > 0)
      findings.push(
        failed(
          `${counted(filled.length, 'table')} of the target already hold rows`,
          filled,
          `# leave them out, or empty them on the target\n${filled.map(excludeOption).join(' ')}`,
        ),
      );
    return findings.length > 0
      ? findings
      : [finding(this.name, 'passed', { what: 'every selected table is ready on the target' })];
  },
};

/** For a shell; the quotes inside keep dots and stars of a name literal. */
function excludeOption(table: TableInfo): string {
  return `--exclude-table '${qname(table).replaceAll("'", "'\\''")}'`;
}
