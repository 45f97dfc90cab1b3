/** What stands in the target already: with schema migration the tables must not be there, without it they must, and empty before a copy. */
import { nameKey } from '../../change/relation.ts';
import { withRows } from '../../pg/catalog/tables/filled-tables.ts';
import type { TableInfo } from '../../pg/catalog/tables/tables.ts';
import { byTarget } from '../../selection/target-names.ts';
import type { Check, CheckContext, Finding } from '../check.ts';
import { counted, excludeOption, finding, listedTables } from '../finding.ts';

export const targetTables: Check = {
  name: 'target_tables',
  async run(context) {
    const { tables, targetTables: present, mapping, types } = context;
    const presentKeys = new Map(present.map((table) => [nameKey(table), table]));
    const into = (table: TableInfo) => presentKeys.get(nameKey(mapping.table(table)));
    const pairs = tables.flatMap((source) => {
      const target = into(source);
      return target ? [{ source, target }] : [];
    });
    // A partitioned table holds no row itself: where its partitions go is what counts.
    const missing = tables.filter((table) => table.kind === 'r' && !into(table));
    const findings = types.has('schema')
      ? toBeCreated(context, pairs)
      : [
          ...lacking(missing),
          ...together(context),
          ...(types.has('full') ? await filledTables(context, pairs) : []),
        ];
    const what = types.has('schema')
      ? 'no selected table exists on the target yet'
      : 'every selected table is ready on the target';
    return findings.length > 0 ? findings : [finding(this.name, 'passed', { what })];
  },
};

interface Pair {
  readonly source: TableInfo;
  readonly target: TableInfo;
}

/** Partitions that go into the one plain table of theirs. */
function areOne(group: readonly TableInfo[], { partitions }: CheckContext): boolean {
  return partitions === 'plain' && new Set(group.map(({ rootOid, oid }) => rootOid ?? oid)).size === 1;
}

function toBeCreated(context: CheckContext, all: readonly Pair[]): Finding[] {
  const { tables, mapping, partitions } = context;
  // In plain tables partitions have none of their own.
  const pairs = all.filter(({ source }) => partitions === 'keep' || source.rootOid === null);
  const groups = [...byTarget(tables, mapping.table).values()];
  const together = groups.filter((group) => group.length > 1 && !areOne(group, context));
  return [
    ...(pairs.length === 0
      ? []
      : [
          finding(targetTables.name, 'failed', {
            what: `the target already has ${counted(pairs.length, 'table')} that would be created`,
            evidence: listedTables(pairs.map(({ target }) => target)),
            fix: `# either leave them out\n${pairs.map(({ source }) => excludeOption(source)).join(' ')}\n# or use them as they are: --types without schema`,
          }),
        ]),
    ...(together.length === 0
      ? []
      : [
          finding(targetTables.name, 'failed', {
            what: 'several tables can go into one only where you have made the target table',
            evidence: listedTables(together.flat()),
            fix: '# create it on the target, and give --types without schema',
          }),
        ]),
  ];
}

/** Several tables in one: what may then go wrong is said before it does. */
function together(context: CheckContext): Finding[] {
  const { tables, mapping } = context;
  const plain = tables.filter(({ kind }) => kind === 'r');
  const all = [...byTarget(plain, mapping.table).values()];
  const groups = all.filter((group) => group.length > 1 && !areOne(group, context));
  return groups.map((group) =>
    finding(targetTables.name, 'alert', {
      what: `${counted(group.length, 'table')} go into one, ${listedTables(group.slice(0, 1).map(mapping.table))}: rows of two with the same key, or a TRUNCATE of only some of them, would stop the migration`,
      evidence: listedTables(group),
    }),
  );
}

function lacking(missing: readonly TableInfo[]): Finding[] {
  if (missing.length === 0) return [];
  return [
    finding(targetTables.name, 'failed', {
      what: `the target lacks ${counted(missing.length, 'selected table')}`,
      evidence: listedTables(missing),
      fix: '# add schema to --types, create them, or say where they go with --rename',
    }),
  ];
}

/** C7: rows that are there are reported, or kept on request. */
async function filledTables(
  { target, conflict, types }: CheckContext,
  pairs: readonly Pair[],
): Promise<Finding[]> {
  const plain = pairs.map((pair) => pair.target).filter(({ kind }) => kind === 'r');
  const filled = await withRows(target, [...new Set(plain)]);
  if (filled.length === 0) return [];
  const about = { evidence: listedTables(filled) };
  const what = `${counted(filled.length, 'table')} of the target already hold rows`;
  if (conflict === 'ignore')
    return [
      finding(targetTables.name, 'alert', {
        ...about,
        what: `${what}, which are kept${types.has('incremental') ? ' until the source changes them' : ''}`,
      }),
    ];
  const options = pairs
    .filter((pair) => filled.includes(pair.target))
    .map(({ source }) => excludeOption(source));
  return [
    finding(targetTables.name, 'failed', {
      ...about,
      what,
      fix: `# leave them out, empty them on the target, or keep their rows with --conflict ignore\n${options.join(' ')}`,
    }),
  ];
}
