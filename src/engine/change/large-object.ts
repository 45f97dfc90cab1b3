/** Large objects as both ends of their copy speak of them. */
import type { OidRange } from './oid-range.ts';

export interface LargeObject {
  readonly oid: number;
  /** Null: its role has been dropped. */
  readonly owner: string | null;
}

/** More of them in one transaction would fill the lock table of the target. */
export const BATCH_OBJECTS = 100;

/** What goes over as one row; whole pages of a large object, so that each piece is written once. */
export const PIECE_BYTES = 1024 * 1024;

/** All large objects of the source in a range of oids, at most BATCH_OBJECTS. One transaction on the target. */
export interface LargeObjectBatch extends OidRange {
  readonly objects: readonly LargeObject[];
}

/** Of each of these objects `count` pieces, the first at byte `from`; a piece behind the end is empty. */
export interface Pieces {
  readonly oids: readonly number[];
  readonly from: number;
  readonly count: number;
}
