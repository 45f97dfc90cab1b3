/**
 * How a table is cut for copying. A *chunk* is one COPY, one target transaction, one done row. A chunk of a key range is also a *unit*:
 * it may have a snapshot of its own, because every streamed change can be told to its chunk (data-plane I3). The chunks of a table that
 * is cut by place (ctid), or not cut, are one unit together.
 *
 * (C1) Every row, whatever it holds, is in exactly one chunk: ranges are half-open, the first has no beginning and the last no end.
 */
import { compareKeys, type KeyOrder } from './ordered-key.ts';
import type { QualifiedName } from './relation.ts';

export type Cut =
  | { readonly kind: 'whole' }
  /** `bounds`: where chunks 1, 2 … begin, strictly rising, as text. */
  | {
      readonly kind: 'key';
      readonly column: string;
      readonly order: KeyOrder;
      readonly bounds: readonly string[];
    }
  /** `bounds` are block numbers, valid for this file of the table only. */
  | { readonly kind: 'ctid'; readonly filenode: string; readonly bounds: readonly number[] };

export const WHOLE: Cut = { kind: 'whole' };

export type KeyCut = Extract<Cut, { kind: 'key' }>;

export function chunkCount(cut: Cut): number {
  return cut.kind === 'whole' ? 1 : cut.bounds.length + 1;
}

/** A chunk's half-open range `[from, to)`; null has no limit on that side. */
export interface Range<Bound> {
  readonly from: Bound | null;
  readonly to: Bound | null;
}

export function rangeOf<Bound>(bounds: readonly Bound[], chunk: number): Range<Bound> {
  return { from: bounds[chunk - 1] ?? null, to: bounds[chunk] ?? null };
}

/** The chunk that a row with this key is in. */
export function chunkOfKey({ order, bounds }: KeyCut, key: string): number {
  let low = 0;
  let high = bounds.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const bound = bounds[middle];
    if (bound !== undefined && compareKeys(order, bound, key) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Names a chunk in the books of the target: stable over restarts, and safe whatever a name contains. */
export function chunkId({ schema, name }: QualifiedName, cut: Cut, chunk: number): string {
  return JSON.stringify(cut.kind === 'whole' ? [schema, name] : [schema, name, chunk]);
}
