/** In which order chunks are copied, and which share a transaction. Pure. */
import type { CopyChunk } from './copy-hand.ts';

/** Chunks of one transaction. */
export type Batch = readonly CopyChunk[];

const BATCH_BYTES = 16n * 1024n * 1024n;
const BATCH_CHUNKS = 16;

/**
 * First what belongs to the table with the most bytes left: large tables begin early and their chunks alternate, so that the workers
 * seldom meet in one table and all end at about the same time. Small tables share a transaction, because there the round trips are the
 * work; a part of a table is a transaction of its own.
 */
export function planBatches(chunks: readonly CopyChunk[]): Batch[] {
  const batches: CopyChunk[][] = [];
  let bytes = 0n;
  for (const chunk of inOrder(chunks)) {
    const last = batches.at(-1);
    const joins =
      last &&
      last.every(isWhole) &&
      isWhole(chunk) &&
      last.length < BATCH_CHUNKS &&
      bytes + chunk.bytesEstimate <= BATCH_BYTES;
    if (joins) last.push(chunk);
    else batches.push([chunk]);
    bytes = joins ? bytes + chunk.bytesEstimate : chunk.bytesEstimate;
  }
  return batches;
}

function isWhole({ read }: CopyChunk): boolean {
  return read.cut.kind === 'whole';
}

function inOrder(chunks: readonly CopyChunk[]): CopyChunk[] {
  const tables = Map.groupBy(chunks, ({ read }) => read.table);
  const ranked = [...tables.values()].flatMap((ofTable) => {
    let left = 0n;
    return ofTable.toReversed().map((chunk) => ({ chunk, left: (left += chunk.bytesEstimate) }));
  });
  return ranked
    .toSorted((a, b) => (a.left < b.left ? 1 : a.left > b.left ? -1 : 0))
    .map(({ chunk }) => chunk);
}
