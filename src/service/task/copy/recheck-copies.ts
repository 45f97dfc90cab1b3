/**
 * Brings what was copied under an earlier snapshot to the moment of the one held now. Needed where no stream reconciles two snapshots:
 * in a migration without incremental for every chunk, and always for the chunks of a table that must be of one moment (cut by place, or
 * with a second unique key). A chunk that the source has not changed since counts as read under the new snapshot; one that it has is taken back and
 * copied again. So a copy that is killed at its end does not begin anew, and its result is still of one moment.
 */
import { AppError } from '../../../base/errors/app-error.ts';
import { sideBySide } from '../../../base/runtime/side-by-side.ts';
import { chunkId } from '../../../engine/change/cut.ts';
import { displayName } from '../../../engine/change/relation.ts';
import { parseSnapshot } from '../../../engine/change/snapshot.ts';
import { readFilenodes } from '../../../engine/source/cut-facts.ts';
import type { ChunkReader } from '../../../engine/source/chunk-reader.ts';
import type { HeldSnapshot } from '../../../engine/source/snapshot-holder.ts';
import { restampChunks } from '../../../engine/target/books/done-chunks.ts';
import { isBegun, isComplete, withThoseBeside, type CopiedTable } from './copy-books.ts';
import { readKeysOfBothEnds, type IsInEveryKey } from './range-units.ts';
import { emptyRanges, emptyTables } from './take-back.ts';
import { isTogether, warn, type TaskRun } from '../task-run.ts';

interface Rechecked {
  readonly one: CopiedTable;
  /** Chunks that are what they were, and those that are not. */
  readonly kept: readonly number[];
  readonly changed: readonly number[];
}

interface Rechecking {
  readonly held: HeldSnapshot;
  readonly openReader: () => Promise<ChunkReader>;
  readonly signal: AbortSignal;
}

/** Nothing that is done remains of an earlier moment, unless the target's own rows keep us from taking it back (conflict mode ignore). */
export async function recheckCopies(
  run: TaskRun,
  books: readonly CopiedTable[],
  { held, openReader, signal }: Rechecking,
): Promise<void> {
  const isInEveryKey = await readKeysOfBothEnds(run);
  // Tables that go into one are of one moment: a row that moved from one to another would else meet itself there.
  const unfinished = new Set(
    withThoseBeside(run, books, (one) => isTogether(run, one.table) && !isComplete(one)),
  );
  const stale = books.filter(
    (one) =>
      isBegun(one) &&
      one.chunks.some((chunk) => chunk !== null && chunk.snapshot !== held.text) &&
      (!run.request.types.has('incremental') ||
        (!isComplete(one) && isOfOneMoment(one, isInEveryKey)) ||
        unfinished.has(one)),
  );
  if (stale.length === 0) return;
  const filenodes = await readFilenodes(
    await run.ends.source(),
    stale.map(({ table }) => table),
  );
  const results: Rechecked[] = [];
  await sideBySide(stale, run.request.jobs, async (waiting) => {
    await using reader = await openReader();
    for (const one of waiting) {
      signal.throwIfAborted();
      const isMoved = one.cut.kind === 'ctid' && one.cut.filenode !== filenodes.get(one.table.oid);
      results.push(isMoved ? allChanged(one) : await recheck(run, one, { held, reader, signal }));
    }
  });
  await settle(run, withSpoiled(run, results, books), held);
}

/** What is taken back of one takes the rows of all that go into the same table with it. */
function withSpoiled(
  run: TaskRun,
  results: readonly Rechecked[],
  books: readonly CopiedTable[],
): readonly Rechecked[] {
  const changed = new Set(results.flatMap((result) => (result.changed.length > 0 ? [result.one] : [])));
  const spoiled = new Set(
    withThoseBeside(run, books, (one) => changed.has(one) && isTogether(run, one.table)),
  );
  return [...results.filter(({ one }) => !spoiled.has(one)), ...[...spoiled].filter(isBegun).map(allChanged)];
}

/** Also where changes are followed. S1 itself is never held again once lost: a done chunk without a stamp is of an earlier moment. */
function isOfOneMoment({ table, cut }: CopiedTable, isInEveryKey: IsInEveryKey): boolean {
  return cut.kind === 'ctid' || (cut.kind === 'key' && !isInEveryKey(table, cut.column));
}

function doneChunks({ chunks }: CopiedTable): number[] {
  return chunks.flatMap((chunk, at) => (chunk === null ? [] : [at]));
}

function allChanged(one: CopiedTable): Rechecked {
  return { one, kept: [], changed: doneChunks(one) };
}

async function recheck(
  run: TaskRun,
  one: CopiedTable,
  { held, reader, signal }: { held: HeldSnapshot; reader: ChunkReader; signal: AbortSignal },
): Promise<Rechecked> {
  const { table, cut } = one;
  try {
    await reader.lock([table], signal);
  } catch (thrown) {
    // Rewritten or altered: it is not what was copied, and what else that means, copying it will tell.
    if (thrown instanceof AppError && /^(TABLE_REWRITTEN|TABLE_CHANGED|COPY_FAILED)$/.test(thrown.code))
      return allChanged(one);
    throw thrown;
  }
  const kept: number[] = [];
  const changed: number[] = [];
  for (const [chunk, done] of one.chunks.entries()) {
    if (done === null || done.snapshot === held.text) continue;
    const earlier = parseSnapshot(done.snapshot ?? run.task.slot?.snapshot ?? '');
    const rows = done.rows + done.skipped;
    const condition = run.followedOf(table).filter?.condition;
    const same = await reader.isUnchanged({ table, cut, chunk, condition }, { earlier, rows });
    (same ? kept : changed).push(chunk);
    // A table that is cut by place is taken back as a whole.
    if (!same && cut.kind !== 'key') return allChanged(one);
  }
  return { one, kept, changed };
}

async function settle(run: TaskRun, results: readonly Rechecked[], held: HeldSnapshot): Promise<void> {
  const target = await run.ends.target();
  const changed = results.filter((result) => result.changed.length > 0);
  const names = changed.map(({ one }) => displayName(one.table)).join(', ');
  const mayTakeBack = run.request.conflict === 'report';
  if (changed.length > 0) {
    warn(
      run,
      mayTakeBack
        ? `written to on the source since they were copied, and copied again: ${names}`
        : `written to on the source since they were copied; the target keeps them as they were then, because it held rows of its own (conflict mode ignore): ${names}`,
    );
  }
  if (mayTakeBack) {
    const isWhole = ({ one, kept }: Rechecked) => one.cut.kind !== 'key' || kept.length === 0;
    await emptyTables(
      run,
      changed.filter(isWhole).map(({ one }) => one),
    );
    for (const result of changed) {
      const { table, cut } = result.one;
      if (cut.kind === 'key' && !isWhole(result))
        await emptyRanges(run, { table, cut, chunks: result.changed });
    }
  }
  const kept = results.flatMap(({ one, kept }) => kept.map((chunk) => chunkId(one.table, one.cut, chunk)));
  await restampChunks(target, run, { ids: kept, snapshot: held.text, readUntil: held.readUntil });
}
