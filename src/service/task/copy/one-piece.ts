/** Says, when the stream begins beside the copy, for which tables it will have to wait longer than the budget. */
import { displayName } from '../../../engine/change/relation.ts';
import { forecast, roughly, type Speeds } from '../../../engine/source/one-piece.ts';
import { gigabytes } from '../../../engine/source/source-limits.ts';
import { isComplete, readBooks, type CopiedTable } from './copy-books.ts';
import { readKeysOfBothEnds } from './range-units.ts';
import { DEFAULT_BUDGET } from './wal-budget.ts';
import { warn, type TaskRun } from '../task-run.ts';

/** Bytes of the source's tables that the books say are copied, by the share of their chunks. */
export function copiedBytes(books: readonly CopiedTable[]): bigint {
  return books.reduce((sum, { table, chunks }) => {
    const done = chunks.filter((chunk) => chunk !== null).length;
    return sum + (table.bytes * BigInt(done)) / BigInt(chunks.length);
  }, 0n);
}

export async function warnOfOnePieces(run: TaskRun, speeds: Speeds): Promise<void> {
  const isInEveryKey = await readKeysOfBothEnds(run);
  const { bytes, ms } = run.request.walBudget ?? DEFAULT_BUDGET;
  const books = await readBooks(await run.ends.target(), run.taskId, run.followed);
  for (const one of books) {
    const { table, cut } = one;
    if (isComplete(one) || (cut.kind === 'key' && isInEveryKey(table, cut.column))) continue;
    const expected = forecast(table.bytes, speeds);
    if (!expected || (expected.walBytes <= bytes && expected.seconds * 1000 <= ms)) continue;
    warn(
      run,
      `${displayName(table)} (${gigabytes(table.bytes)}) is copied in one piece, which takes about ${roughly(expected.seconds)}: from its first change on the stream waits for it, and the source keeps about ${gigabytes(expected.walBytes)} of WAL meanwhile.`,
    );
  }
}
