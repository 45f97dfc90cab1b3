/** What the target's books say about the copy of this task: how each table is cut, and which of its chunks are done. */
import { chunkCount, chunkId, WHOLE, type Cut } from '../../../engine/change/cut.ts';
import { nameKey, type QualifiedName } from '../../../engine/change/relation.ts';
import type { TableInfo } from '../../../engine/pg/catalog/tables/tables.ts';
import { readCuts, readDoneChunks, type DoneChunk } from '../../../engine/target/books/done-chunks.ts';
import type { Session } from '../../../engine/pg/session.ts';

import type { TaskRun } from '../task-run.ts';

/** One table in the books. */
export interface CopiedTable {
  readonly table: TableInfo;
  readonly cut: Cut;
  /** The cut stands in the books; a whole table has no entry. */
  readonly isCut: boolean;
  /** By chunk; null where it is not done. */
  readonly chunks: readonly (DoneChunk | null)[];
}

/** The id of a table that is not cut, and the name of a table's cut in the books. */
export function tableId(table: QualifiedName): string {
  return chunkId(table, WHOLE, 0);
}

export async function readBooks(
  target: Session,
  taskId: string,
  tables: readonly TableInfo[],
): Promise<CopiedTable[]> {
  const cuts = await readCuts(target, taskId);
  const done = new Map((await readDoneChunks(target, taskId)).map((chunk) => [chunk.id, chunk]));
  return tables.map((table) => {
    const recorded = cuts.get(tableId(table));
    const cut = recorded ?? WHOLE;
    const chunks = Array.from(
      { length: chunkCount(cut) },
      (_, chunk) => done.get(chunkId(table, cut, chunk)) ?? null,
    );
    return { table, cut, isCut: recorded !== undefined, chunks };
  });
}

/** The chosen tables and those that go into the same target tables: what is done to one is done to all of them. */
export function withThoseBeside(
  { targetOf }: Pick<TaskRun, 'targetOf'>,
  books: readonly CopiedTable[],
  isChosen: (one: CopiedTable) => boolean,
): CopiedTable[] {
  const targets = new Set(books.filter(isChosen).map(({ table }) => nameKey(targetOf(table))));
  return books.filter(({ table }) => targets.has(nameKey(targetOf(table))));
}

export function isComplete({ chunks }: CopiedTable): boolean {
  return chunks.every((chunk) => chunk !== null);
}

export function isBegun({ chunks }: CopiedTable): boolean {
  return chunks.some((chunk) => chunk !== null);
}
