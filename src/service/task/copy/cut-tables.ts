/**
 * Cuts the large tables that are not begun yet, and writes the cuts down before anything is copied by them. Tables that go into one
 * together stay whole: their rows cannot be taken back by a range of one of them.
 */
import { WHOLE, type Cut } from '../../../engine/change/cut.ts';
import { readCutFacts, sampleQuantiles } from '../../../engine/source/cut-facts.ts';
import {
  cutByKey,
  decideCut,
  partsOf,
  type CutDecision,
  type CutFacts,
  type CutWishes,
} from '../../../engine/source/plan-cut.ts';
import type { TableInfo } from '../../../engine/pg/catalog/tables/tables.ts';
import { isWider } from '../../../engine/target/ddl/widening.ts';
import { recordCuts } from '../../../engine/target/books/done-chunks.ts';
import { sideBySide } from '../../../base/runtime/side-by-side.ts';
import { isBegun, tableId, type CopiedTable } from './copy-books.ts';
import type { TargetNames } from '../../../engine/selection/target-names.ts';
import { isTogether, type TaskRun } from '../task-run.ts';

/** The target table that a source table goes to. */
type TargetOf = (table: TableInfo) => TableInfo | undefined;

/** Returns the tables as they are cut now. The target's tables, of which there may be many, are read only where one is to be cut. */
export async function cutTables(
  run: TaskRun,
  books: readonly CopiedTable[],
  readTargetOf: () => Promise<TargetOf>,
): Promise<CopiedTable[]> {
  const wishes = await wishesOf(run);
  // Ranges may have to be emptied for another copy, and rows of the target's own would go with them.
  const keeps = run.request.conflict === 'ignore' && run.request.types.has('incremental');
  const mayBeCut = (one: CopiedTable) => !keeps && !one.isCut && !isBegun(one) && !isTogether(run, one.table);
  const open = books.filter((one) => mayBeCut(one) && partsOf(one.table.bytes, wishes) > 1);
  if (open.length === 0) return [...books];
  const cuts = await chooseCuts(
    run,
    open.map(({ table }) => table),
    { wishes, targetOf: await readTargetOf() },
  );
  await recordCuts(await run.ends.target(), run, cuts);
  return books.map((one) => {
    const cut = cuts.get(tableId(one.table));
    if (cut === undefined || cut.kind === 'whole') return one;
    return { ...one, cut, isCut: true, chunks: Array.from({ length: cut.bounds.length + 1 }, () => null) };
  });
}

async function wishesOf({ request, tables, hooks }: TaskRun): Promise<CutWishes> {
  return {
    jobs: request.jobs + ((await hooks.moreHands?.expected(request.jobs)) ?? 0),
    chunkBytes: request.chunkBytes,
    totalBytes: tables.reduce((sum, { bytes }) => sum + bytes, 0n),
    followed: request.types.has('incremental'),
    isOurs: request.conflict === 'report',
  };
}

/** By table; those that stay whole are left out. */
async function chooseCuts(
  run: TaskRun,
  tables: readonly TableInfo[],
  { wishes, targetOf }: { wishes: CutWishes; targetOf: TargetOf },
): Promise<Map<string, Cut>> {
  const cuts = new Map<string, Cut>();
  const facts = await readCutFacts(await run.ends.source(), tables, wishes.followed);
  const sampled: { table: TableInfo; blocks: number; decision: CutDecision & { kind: 'sample' } }[] = [];
  for (const table of tables) {
    const known = withUsableKey(facts.get(table.oid), table, { into: targetOf(table), mapping: run.mapping });
    const decision = known && decideCut(known, wishes);
    if (decision?.kind === 'sample') sampled.push({ table, blocks: known?.blocks ?? 0, decision });
    else if (decision && decision.cut !== WHOLE) cuts.set(tableId(table), decision.cut);
  }
  await sideBySide(sampled, run.request.jobs, async (waiting) => {
    await using session = await run.ends.openSource('plan');
    for (const { table, blocks, decision } of waiting) {
      const { key, parts } = decision;
      const cut = cutByKey(
        decision,
        await sampleQuantiles(session, table, { column: key.column, parts, blocks }),
      );
      if (cut.kind !== 'whole') cuts.set(tableId(table), cut);
    }
  });
  return cuts;
}

/** Rows of a range are taken back by the same condition on the target: there the key must be of the same type, or a wider integer. */
function withUsableKey(
  facts: CutFacts | undefined,
  table: TableInfo,
  { into, mapping }: { into: TableInfo | undefined; mapping: TargetNames },
): CutFacts | undefined {
  const column = facts?.key?.column;
  if (!facts || column === undefined) return facts;
  const columnOf = (side: TableInfo | undefined, wanted: string | null) =>
    side?.columns.find(({ name }) => name === wanted);
  const [here, there] = [columnOf(table, column), columnOf(into, mapping.column(table, column))];
  const isSame = here?.typeOid === there?.typeOid && here?.typmod === there?.typmod;
  return isSame || isWider(here?.type ?? '', there?.type ?? '') ? facts : { ...facts, key: null };
}
