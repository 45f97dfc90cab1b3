/** What is left to copy, as chunks that can run; the tables that cannot be copied as they are stand beside, with the reason. */
import { AppError } from '../../../base/errors/app-error.ts';
import { chunkId } from '../../../engine/change/cut.ts';
import { displayName, nameKey, type QualifiedName } from '../../../engine/change/relation.ts';
import { readReferencedTables } from '../../../engine/pg/catalog/tables/referenced-tables.ts';
import { readTables, type TableInfo } from '../../../engine/pg/catalog/tables/tables.ts';
import type { CopyChunk } from '../../../engine/pipeline/copy-hand.ts';
import { planLoad, type LoadMode } from '../../../engine/target/copy/load-plan.ts';
import { isBegun, readBooks, type CopiedTable } from './copy-books.ts';
import { cutTables } from './cut-tables.ts';
import { isTogether, warn, type TaskRun } from '../task-run.ts';
import type { ChunkLabel } from './table-line.ts';

export interface CopyPlan {
  readonly chunks: readonly CopyChunk[];
  /** Tables that have at least one chunk left. */
  readonly tables: number;
  readonly failed: ReadonlyMap<string, AppError>;
  /** Chunks that are done already. */
  readonly done: readonly string[];
}

export function chunkLabel({ id, read }: CopyChunk): ChunkLabel {
  return { table: displayName(read.table), id };
}

/** Smaller tables are not worth emptying first. */
const FREEZE_FROM = 1024n * 1024n;

type TargetOf = (table: TableInfo) => TableInfo | undefined;

async function readTargetOf(run: TaskRun): Promise<TargetOf> {
  const shapes = new Map((await readTables(await run.ends.target())).map((table) => [nameKey(table), table]));
  return (table) => shapes.get(nameKey(run.targetOf(table)));
}

/** The books, with all tables cut that are worth it. */
export async function cutAll(run: TaskRun): Promise<CopiedTable[]> {
  const books = await readBooks(await run.ends.target(), run.taskId, run.tables);
  return cutTables(run, books, () => readTargetOf(run));
}

/** `isHeld`: nothing of the table is to be begun. */
export async function planCopy(
  run: TaskRun,
  isHeld: (table: QualifiedName) => boolean = () => false,
): Promise<CopyPlan> {
  const targetOf = await readTargetOf(run);
  const books = await cutTables(run, await readBooks(await run.ends.target(), run.taskId, run.tables), () =>
    Promise.resolve(targetOf),
  );
  const referenced = await readReferencedTables(await run.ends.target());
  const failed = new Map<string, AppError>();
  const chunks = books.flatMap((one) => {
    run.book.planned(displayName(one.table), one.chunks);
    if (isHeld(one.table)) return [];
    try {
      return chunksLeft(run, one, { into: targetOf(one.table), referenced });
    } catch (thrown) {
      // The target lacks the table or a column: the others need not wait for it.
      if (!(thrown instanceof AppError) || run.request.strict) throw thrown;
      failed.set(displayName(one.table), thrown);
      run.book.failed(displayName(one.table));
      warn(run, `${thrown.message} ${thrown.remedy} The other tables go on.`);
      return [];
    }
  });
  return {
    chunks,
    tables: new Set(chunks.map(({ read }) => read.table)).size,
    failed,
    done: books.flatMap(({ chunks }) => chunks.flatMap((chunk) => (chunk === null ? [] : [chunk.id]))),
  };
}

interface Target {
  readonly into: TableInfo | undefined;
  /** Tables that foreign keys refer to, by nameKey. */
  readonly referenced: ReadonlySet<string>;
}

function chunksLeft(run: TaskRun, one: CopiedTable, { into, referenced }: Target): CopyChunk[] {
  const { table, cut, chunks } = one;
  const left = chunks.flatMap((done, chunk) => (done === null ? [chunk] : []));
  if (left.length === 0) return [];
  const load = planLoad(table, into, {
    mode: modeOf(run, one, into !== undefined && referenced.has(nameKey(into))),
    mayLack: !run.request.types.has('schema'),
    columnOf: (column) => run.mapping.column(table, column),
  });
  run.book.format(displayName(table), load.binary ? 'binary' : 'text');
  if (load.leftOut.length > 0 && !isBegun(one)) {
    const columns = load.leftOut.map((name) => `"${name}"`).join(', ');
    warn(run, `${displayName(table)}: the target table has no column ${columns}, which is left out`);
  }
  return left.map((chunk) => ({
    id: chunkId(table, cut, chunk),
    bytesEstimate: table.bytes / BigInt(chunks.length),
    load,
    read: {
      table,
      cut,
      chunk,
      columns: load.columns,
      binary: load.binary,
      condition: run.followedOf(table).filter?.condition,
    },
  }));
}

/** Only a table that we have made, for one table's rows, and while no foreign key refers to it, is ours to empty in passing. */
function modeOf(run: TaskRun, { table, cut }: CopiedTable, isReferenced: boolean): LoadMode {
  const { request } = run;
  if (request.conflict === 'ignore') return 'keep';
  const isOurs = request.types.has('schema') && !isTogether(run, table) && !isReferenced;
  return cut.kind === 'whole' && isOurs && table.bytes >= FREEZE_FROM ? 'freeze' : 'fill';
}
