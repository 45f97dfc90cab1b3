/** How rows of each table will be found again when they are updated or deleted. */
import { displayName, nameKey } from '../../change/relation.ts';
import type { TableInfo } from '../../pg/catalog/tables/tables.ts';
import { readUniqueKeys } from '../../pg/catalog/constraints/unique-keys.ts';
import { ident, qname } from '../../pg/ident.ts';
import type { Session } from '../../pg/session.ts';
import type { Check, Finding } from '../check.ts';
import { counted, finding, listed, listedTables, oidArray, perTable } from '../finding.ts';

export const rowKeys: Check = {
  name: 'row_keys',
  async run({ source, tables, types, replicaIdentity }) {
    if (!types.has('incremental')) return [];
    const plain = tables.filter(({ kind, persistence }) => kind === 'r' && persistence === 'permanent');
    const keys = await readUniqueKeys(source);
    const keyless = plain.filter((table) => !keys.has(nameKey(table)));
    const unused = plain.filter(
      (table) =>
        keys.has(nameKey(table)) && table.identityColumns.length === 0 && table.replicaIdentity !== 'full',
    );
    const findings: Finding[] = [];
    const refused = plain.filter(
      ({ identityColumns, replicaIdentity: identity }) => identityColumns.length === 0 && identity !== 'full',
    );
    if (replicaIdentity === 'never' && refused.length > 0)
      return [
        finding(this.name, 'failed', {
          what: `${counted(refused.length, 'table')} without a usable key, and replica identities are not to be changed`,
          evidence: listedTables(refused),
          fix: perTable(refused, (table) => `ALTER TABLE ${table} REPLICA IDENTITY FULL;`),
        }),
      ];
    if (replicaIdentity === 'all')
      findings.push(
        finding(this.name, 'alert', {
          what: 'every table gets REPLICA IDENTITY FULL while the migration runs: updates and deletes write their whole old row into the log',
          evidence: '--replica-identity all',
        }),
      );
    const generated = plain.filter(hasGeneratedIdentity);
    if (generated.length > 0)
      findings.push(
        finding(this.name, 'failed', {
          what: `the replica identity of ${counted(generated.length, 'table')} contains a generated column, which the change stream leaves empty`,
          evidence: listedTables(generated),
          fix: perTable(generated, (table) => `ALTER TABLE ${table} REPLICA IDENTITY FULL;`),
        }),
      );
    if (keyless.length > 0)
      findings.push(
        finding(this.name, 'alert', {
          what: `${counted(keyless.length, 'table')} without a key: followed with REPLICA IDENTITY FULL, which writes more log and makes updates and deletes slow`,
          evidence: listedTables(keyless),
          fix: perTable(keyless, (table) => `-- ALTER TABLE ${table} ADD PRIMARY KEY (…);`),
        }),
      );
    if (unused.length > 0)
      findings.push(
        finding(this.name, 'alert', {
          what: `${counted(unused.length, 'table')} without a primary key but with a unique index: REPLICA IDENTITY FULL is set while the migration runs, unless you choose the index`,
          evidence: listed(unused.map(displayName)),
          fix: await chooseIndexes(source, unused),
        }),
      );
    return findings.length > 0
      ? findings
      : [finding(this.name, 'passed', { what: 'every table that is followed has a key' })];
  },
};

function hasGeneratedIdentity({ columns, identityColumns }: TableInfo): boolean {
  return columns.some(({ name, generated }) => generated !== '' && identityColumns.includes(name));
}

async function chooseIndexes(source: Session, tables: readonly TableInfo[]): Promise<string> {
  const rows = await source.query(
    `SELECT DISTINCT ON (i.indrelid) i.indrelid::text AS oid, x.relname AS index
       FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
      WHERE i.indrelid = ANY ($1::oid[]) AND i.indisunique AND i.indisvalid AND i.indimmediate
        AND i.indpred IS NULL AND i.indexprs IS NULL
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a
                         WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::int2[]) AND NOT a.attnotnull)
      ORDER BY i.indrelid, i.indnatts, i.indexrelid`,
    [oidArray(tables)],
  );
  const indexes = new Map(rows.map(({ oid, index }) => [Number(oid), index ?? '']));
  return tables
    .flatMap((table) => {
      const index = indexes.get(table.oid);
      return index === undefined
        ? []
        : [`ALTER TABLE ${qname(table)} REPLICA IDENTITY USING INDEX ${ident(index)};`];
    })
    .join('\n');
}
