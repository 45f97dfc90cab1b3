/** Guard against swapped ends: an empty source and a full target are rarely what was meant. */
import type { TableInfo } from '../../pg/catalog/tables/tables.ts';
import type { Session } from '../../pg/session.ts';
import type { Check } from '../check.ts';
import { counted, finding, oidArray } from '../finding.ts';

/** Tables with at least one page; needs no right to read them. */
async function filledTables(session: Session, tables: readonly TableInfo[]): Promise<number> {
  const row = await session.one(
    `SELECT count(*)::text AS filled FROM pg_catalog.unnest($1::oid[]) AS t(oid) WHERE pg_catalog.pg_relation_size(t.oid) > 0`,
    [oidArray(tables.filter(({ kind }) => kind === 'r'))],
  );
  return Number(row.filled);
}

export const direction: Check = {
  name: 'direction',
  async run({ source, target, tables, targetTables }) {
    const filledSource = await filledTables(source, tables);
    const filledTarget = await filledTables(target, targetTables);
    const evidence = `tables with data: ${filledSource} of ${tables.length} selected on the source, ${filledTarget} of ${targetTables.length} on the target`;
    return [
      filledSource === 0 && filledTarget > 0
        ? finding(this.name, 'alert', {
            what: `the source looks empty, but the target has data in ${counted(filledTarget, 'table')}: are the ends swapped?`,
            evidence,
            fix: '-- if so, exchange --source and --target',
          })
        : finding(this.name, 'passed', { what: 'the ends do not look swapped', evidence }),
    ];
  },
};
