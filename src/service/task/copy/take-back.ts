/** Takes copied rows out of the target again, together with their entries in the books: whole tables, or ranges of their key. */
import { chunkId, type KeyCut } from '../../../engine/change/cut.ts';
import type { QualifiedName } from '../../../engine/change/relation.ts';
import type { TableInfo } from '../../../engine/pg/catalog/tables/tables.ts';
import { qname } from '../../../engine/pg/ident.ts';
import { SQLSTATE, sqlstateOf } from '../../../engine/pg/pg-error.ts';
import type { Session } from '../../../engine/pg/session.ts';
import { keyCondition } from '../../../engine/pg/chunk-condition.ts';
import { openChunkWriter } from '../../../engine/target/copy/chunk-writer.ts';
import { forgetChunks } from '../../../engine/target/books/done-chunks.ts';
import { forgetStoppedTable } from '../../../engine/target/books/stopped-tables.ts';
import { holdFence } from '../../../engine/target/books/task-row.ts';
import { tableId, type CopiedTable } from './copy-books.ts';
import type { TaskRun } from '../task-run.ts';

/** Each table emptied takes a lock, and a server has only so many. */
const EMPTY_BATCH = 500;

/** Empties tables in which every row is ours, and forgets how they were cut. */
export async function emptyTables(run: TaskRun, tables: readonly CopiedTable[]): Promise<void> {
  if (tables.length === 0) return;
  await using writer = await openChunkWriter(() => run.ends.openTarget('empty'));
  for (let from = 0; from < tables.length; from += EMPTY_BATCH) {
    const some = tables.slice(from, from + EMPTY_BATCH);
    const names = some.map(({ table }) => qname(run.targetOf(table)));
    const forgotten = {
      ids: some.flatMap((one) => one.chunks.map((_, chunk) => chunkId(one.table, one.cut, chunk))),
      tables: some.map(({ table }) => tableId(table)),
      stopped: some.map(({ table }) => table),
    };
    try {
      await takeBack(run, writer.session, {
        statement: `TRUNCATE ${names.map((name) => `ONLY ${name}`).join(', ')}`,
        ...forgotten,
      });
    } catch (thrown) {
      // Tables of the user's own may be referenced by foreign keys, which TRUNCATE refuses even where nothing refers to a row.
      if (sqlstateOf(thrown) !== SQLSTATE.featureNotSupported) throw thrown;
      await takeBack(run, writer.session, {
        statement: names.map((name) => `DELETE FROM ONLY ${name}`).join('; '),
        ...forgotten,
      });
    }
  }
}

export type KeyChunks = {
  readonly table: TableInfo;
  readonly cut: KeyCut;
  readonly chunks: readonly number[];
};

/** Takes out the rows of these key ranges; the cut stays. */
export async function emptyRanges(run: TaskRun, { table, cut, chunks }: KeyChunks): Promise<void> {
  await using writer = await openChunkWriter(() => run.ends.openTarget('empty'));
  const nameOf = (column: string) => run.mapping.column(table, column) ?? '';
  const there = { ...cut, column: nameOf(cut.column) };
  const columns = table.columns.map((column) => ({ ...column, name: nameOf(column.name) }));
  const ranges = chunks.map((chunk) => `(${keyCondition(there, chunk, columns) ?? 'true'})`).join(' OR ');
  await takeBack(run, writer.session, {
    statement: `DELETE FROM ONLY ${qname(run.targetOf(table))} WHERE ${ranges}`,
    ids: chunks.map((chunk) => chunkId(table, cut, chunk)),
    tables: [],
    stopped: [],
  });
}

interface TakenBack {
  readonly statement: string;
  readonly ids: readonly string[];
  readonly tables: readonly string[];
  /** Tables that begin anew as a whole, by their source's name: nothing is left that could have stopped. */
  readonly stopped: readonly QualifiedName[];
}

/** Durably: what follows may be copied under another snapshot. */
async function takeBack(
  run: TaskRun,
  session: Session,
  { statement, stopped, ...forgotten }: TakenBack,
): Promise<void> {
  await session.transaction(async () => {
    await session.query('SET LOCAL synchronous_commit = on');
    await holdFence(session, run.taskId, run.fence);
    await session.query(statement);
    await forgetChunks(session, run.taskId, forgotten);
    for (const table of stopped) await forgetStoppedTable(session, run.taskId, table);
  });
}
