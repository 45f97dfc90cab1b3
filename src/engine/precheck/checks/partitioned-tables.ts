/** Says which selected tables are partitioned, and what becomes of them; in plain tables some things of partitions have no place. */
import { displayName } from '../../change/relation.ts';
import { partitionsWithoutKey } from '../../pg/catalog/tables/partition-keys.ts';
import type { TableInfo } from '../../pg/catalog/tables/tables.ts';
import type { Check, CheckContext, Finding } from '../check.ts';
import { counted, excludeOption, finding, listed, listedTables, perTable } from '../finding.ts';

const NAME = 'partitioned_tables';

export const partitionedTables: Check = {
  name: NAME,
  async run(context) {
    const { tables, partitions: mode } = context;
    const partitioned = tables.filter(({ kind, isPartition }) => kind === 'p' && !isPartition);
    const partitions = tables.filter(({ kind, isPartition }) => kind === 'r' && isPartition);
    if (partitioned.length === 0)
      return [finding(NAME, 'passed', { what: 'no selected table is partitioned' })];
    const evidence = listedTables(partitioned);
    const parts = counted(partitions.length, 'partition');
    if (mode === 'keep')
      return [
        finding(NAME, 'passed', {
          what: `${counted(partitioned.length, 'partitioned table')}, kept with ${parts}`,
          evidence,
        }),
      ];
    const what =
      partitioned.length === 1
        ? `1 partitioned table becomes a plain table, with the rows of ${parts}`
        : `${partitioned.length} partitioned tables become plain tables, with the rows of ${parts}`;
    return [
      finding(NAME, 'alert', { what, evidence }),
      ...generatedApart(context),
      ...(await followedApart(context, partitions)),
    ];
  },
};

/** Elsewhere the value comes with the row; where only a partition computes it nothing carries it into the plain table. */
function generatedApart({ tables, types }: CheckContext): Finding[] {
  const byOid = new Map(tables.map((table) => [table.oid, table]));
  const found = tables.flatMap((table) => {
    const above = new Map(byOid.get(table.rootOid ?? -1)?.columns.map((column) => [column.name, column]));
    return table.columns
      .filter(({ name, generated }) => (above.get(name)?.generated ?? generated) === '' && generated !== '')
      .map(({ name }) => ({ table, name }));
  });
  if (found.length === 0) return [];
  return [
    // Tables of the user's own may compute them as well.
    finding(NAME, types.has('schema') ? 'failed' : 'alert', {
      what: 'columns are generated in partitions but not in their table: a plain table would not get their values',
      evidence: listed(found.map(({ table, name }) => `${displayName(table)}.${name}`)),
      fix: `# keep the partitions, or leave the tables out\n--partitions keep\n${rootsOf(found, byOid).map(excludeOption).join(' ')}`,
    }),
  ];
}

function rootsOf(
  found: readonly { readonly table: TableInfo }[],
  byOid: ReadonlyMap<number, TableInfo>,
): TableInfo[] {
  return [...new Set(found.flatMap(({ table }) => byOid.get(table.rootOid ?? -1) ?? []))];
}

async function followedApart(
  { source, types, replicaIdentity }: CheckContext,
  partitions: readonly TableInfo[],
): Promise<Finding[]> {
  if (!types.has('incremental')) return [];
  const unlogged = partitions.filter(({ persistence }) => persistence === 'unlogged');
  const logged = new Set(partitions.filter((one) => !unlogged.includes(one)).map(({ rootOid }) => rootOid));
  const mixed = unlogged.filter(({ rootOid }) => logged.has(rootOid));
  const unkeyed = (await partitionsWithoutKey(source, partitions)).filter(
    (table) => table.replicaIdentity !== 'full',
  );
  const isRefused = replicaIdentity === 'never';
  const full = (table: string) => `ALTER TABLE ${table} REPLICA IDENTITY FULL;`;
  return [
    ...(mixed.length === 0
      ? []
      : [
          finding(NAME, 'failed', {
            what: `${counted(mixed.length, 'unlogged partition')} beside logged ones: in one plain table their rows cannot be told from those that are followed`,
            evidence: listedTables(mixed),
            fix: perTable(mixed, (table) => `ALTER TABLE ${table} SET LOGGED;`),
          }),
        ]),
    ...(unkeyed.length === 0
      ? []
      : [
          finding(NAME, isRefused ? 'failed' : 'alert', {
            what: `${counted(unkeyed.length, 'partition')} with a key that the table as a whole does not have: followed with REPLICA IDENTITY FULL, and rows are found by all their values`,
            evidence: listedTables(unkeyed),
            ...(isRefused ? { fix: perTable(unkeyed, full) } : {}),
          }),
        ]),
  ];
}
