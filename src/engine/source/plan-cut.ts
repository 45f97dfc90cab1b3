/**
 * Decides how a table is cut into copy chunks, from catalog facts alone. Pure.
 *
 * By key where changes are followed and the rows lie in the order of the key: each range is then a unit of its own, and survives the
 * loss of the snapshot. By place (ctid) where the server can read a range of places, which is the cheapest way to read, and every row
 * of the target table is ours. By key in the table's disorder only a few times, because each range then reads most of the table.
 */
import { WHOLE, type Cut } from '../change/cut.ts';
import type { KeyOrder } from '../change/ordered-key.ts';

export interface CutFacts {
  /** Heap and TOAST. */
  readonly bytes: bigint;
  /** Of the heap. */
  readonly blocks: number;
  readonly filenode: string;
  /** The server reads a range of places without scanning the rest: heap on 14 and newer. */
  readonly readsPlaces: boolean;
  readonly key: OrderedKey | null;
}

/** The leading column of a unique key. `correlation`: of its order with the order of the rows on disk, −1 to 1; null when unknown. */
export interface OrderedKey {
  readonly column: string;
  readonly order: KeyOrder;
  readonly correlation: number | null;
}

export interface CutWishes {
  readonly jobs: number;
  /** Chunks are to survive a later snapshot one by one. */
  readonly followed: boolean;
  /** Nobody but us has written to the target table. */
  readonly isOurs: boolean;
  /** Of all tables to be copied. */
  readonly totalBytes: bigint;
  /** The most that one chunk should hold; without it LARGEST_CHUNK. */
  readonly chunkBytes?: bigint | undefined;
}

/** What to do; `sample`: ask the source for `parts` quantiles of the key, and cut there if they are enough, else do `otherwise`. */
export type CutDecision =
  | { readonly kind: 'cut'; readonly cut: Cut }
  | {
      readonly kind: 'sample';
      readonly key: OrderedKey;
      readonly parts: number;
      readonly otherwise: Cut;
    };

const MB = 1024n * 1024n;
/** Not below: each chunk costs a transaction. */
const LEAST_CHUNK = 32n * MB;
/** Not above: what a lost connection costs. */
const LARGEST_CHUNK = 256n * MB;
/** A table up to here may be copied in one piece. */
const MOST_AT_ONCE = 2048n * MB;
/** So many chunks a worker, so that all end at about the same time. */
const CHUNKS_A_JOB = 4n;
const MOST_CHUNKS = 20_000n;
/** From here on the rows count as lying in the key's order. */
const IN_ORDER = 0.9;

export function decideCut(facts: CutFacts, wishes: CutWishes): CutDecision {
  const parts = partsOf(facts.bytes, wishes);
  const places = wishes.isOurs && facts.readsPlaces ? cutByPlace(facts, parts) : null;
  const cut = (chosen: Cut): CutDecision => ({ kind: 'cut', cut: chosen });
  if (parts < 2) return cut(WHOLE);
  const { key } = facts;
  if (key === null) return cut(places ?? WHOLE);
  const inOrder = key.correlation !== null && Math.abs(key.correlation) >= IN_ORDER;
  if (places !== null && !(wishes.followed && inOrder)) return cut(places);
  return {
    kind: 'sample',
    key,
    parts: inOrder ? parts : Math.min(parts, Math.max(2, wishes.jobs)),
    otherwise: places ?? WHOLE,
  };
}

/** What the number of chunks depends on besides the table's own size. */
export type SizeWishes = Pick<CutWishes, 'jobs' | 'chunkBytes' | 'totalBytes'>;

/**
 * How many chunks a table of this size should have. A table in one piece can be written as frozen, which spares the target a second
 * pass over its rows: so a table is cut only where copying it again would take too long, or where the other workers would wait for it.
 */
export function partsOf(bytes: bigint, { jobs, chunkBytes, totalBytes }: SizeWishes): number {
  const isFairShare = bytes * BigInt(jobs) * 2n <= totalBytes * 3n;
  if (chunkBytes === undefined && bytes <= MOST_AT_ONCE && isFairShare) return 1;
  const largest = chunkBytes ?? LARGEST_CHUNK;
  const atLeast = (bytes + largest - 1n) / largest;
  const atMost = bytes / min(LEAST_CHUNK, largest);
  const wanted = jobs > 1 ? BigInt(jobs) * CHUNKS_A_JOB : 1n;
  const parts = max(atLeast, min(wanted, atMost));
  return Number(max(1n, min(parts, MOST_CHUNKS)));
}

function cutByPlace({ blocks, filenode }: CutFacts, parts: number): Cut {
  const step = Math.ceil(blocks / parts);
  const bounds: number[] = [];
  for (let block = step; step > 0 && block < blocks; block += step) bounds.push(block);
  return bounds.length === 0 ? WHOLE : { kind: 'ctid', filenode, bounds };
}

/** The cut at these quantiles, in rising order and perhaps repeated; `otherwise` where too few differ to be worth it. */
export function cutByKey(
  { key, parts, otherwise }: Extract<CutDecision, { kind: 'sample' }>,
  quantiles: readonly string[],
): Cut {
  const bounds = [...new Set(quantiles)];
  const enough = bounds.length >= Math.max(1, Math.floor((parts - 1) / 2));
  if (!enough && (otherwise.kind !== 'whole' || bounds.length === 0)) return otherwise;
  return { kind: 'key', column: key.column, order: key.order, bounds };
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
