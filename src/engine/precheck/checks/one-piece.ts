/** Large tables that must be copied in one piece, for which the stream waits where it runs beside the copy. */
import { sleep } from '../../../base/runtime/sleep.ts';
import { displayName, nameKey } from '../../change/relation.ts';
import type { TableInfo } from '../../pg/catalog/tables/tables.ts';
import { readUniqueColumns } from '../../pg/catalog/constraints/unique-columns.ts';
import type { Session } from '../../pg/session.ts';
import { insertedWal } from '../../pg/wal-position.ts';
import { readCutFacts } from '../../source/cut-facts.ts';
import { forecast, roughly } from '../../source/one-piece.ts';
import { decideCut } from '../../source/plan-cut.ts';
import { gigabytes } from '../../source/source-limits.ts';
import type { Check } from '../check.ts';
import { COPY_RATE } from '../estimate.ts';
import { counted, finding, listed } from '../finding.ts';

const WATCH_MS = 1_000;

/** Tables that may take more than so many seconds. `chunkBytes`: the largest part; none as it fits the table. */
export function onePiecesOver(seconds: number, chunkBytes?: bigint): Check {
  return {
    name: 'one_piece',
    async run({ source, tables, types, jobs, conflict }) {
      if (!types.has('incremental') || !types.has('full')) return [];
      const [slow, fast] = COPY_RATE.map((rate) => rate * 1e6);
      if (slow === undefined || fast === undefined) return [];
      const large = tables.filter(
        ({ kind, persistence, bytes }) =>
          kind === 'r' && persistence === 'permanent' && Number(bytes) > slow * seconds,
      );
      const totalBytes = tables.reduce((sum, { bytes }) => sum + bytes, 0n);
      const wishes = {
        jobs,
        totalBytes,
        followed: true,
        isOurs: conflict === 'report',
        chunkBytes,
      };
      const facts = await readCutFacts(source, large, true);
      const unique = large.length > 0 ? await readUniqueColumns(source) : new Map<string, never[]>();
      const isInParts = (table: TableInfo) => {
        const known = facts.get(table.oid);
        const decision = known && decideCut(known, wishes);
        const column = decision?.kind === 'sample' ? decision.key.column : null;
        return (
          column !== null && (unique.get(nameKey(table)) ?? []).every((columns) => columns.includes(column))
        );
      };
      const whole = large.filter((table) => !isInParts(table));
      if (whole.length === 0)
        return [
          finding(this.name, 'passed', {
            what: 'every large table can be copied in parts while changes are applied',
          }),
        ];
      const walBytes = await walPerSecond(source);
      const evidence = whole.map((table) => {
        const [low, high] = [fast, slow].map((copyBytes) => forecast(table.bytes, { copyBytes, walBytes }));
        if (!low || !high) return displayName(table);
        return `${displayName(table)} (${gigabytes(table.bytes)}): ${roughly(low.seconds)} to ${roughly(high.seconds)}, ${gigabytes(low.walBytes)} to ${gigabytes(high.walBytes)} of log as the source writes now`;
      });
      return [
        finding(this.name, 'alert', {
          what: `${counted(whole.length, 'large table')} must be copied in one piece: where the copy outlasts the WAL budget, the stream waits for it from its first change on, and the source keeps its log`,
          evidence: listed(evidence),
          fix: '-- a table is copied in parts where its only unique key begins with an integer, a date, a timestamp or a uuid in whose order its rows lie',
        }),
      ];
    },
  };
}

async function walPerSecond(source: Session): Promise<number> {
  const before = await insertedWal(source);
  await sleep(WATCH_MS);
  return (Number((await insertedWal(source)) - before) * 1000) / WATCH_MS;
}
