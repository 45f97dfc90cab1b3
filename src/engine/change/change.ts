/**
 * What flows through the pipe: the decoded messages of a logical stream.
 * https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
 */
import type { Lsn } from './lsn.ts';
import type { Relation } from './relation.ts';

/**
 * A value in PostgreSQL's text form, **one character per byte** (latin1 of the UTF-8 bytes): opaque, cheap to decode, and
 * byte-exact when written back. Show it to a person only through `readable()`.
 */
export type ByteText = string & { readonly __brand: 'ByteText' };

/** The value was stored out of line (TOAST) and did not change, so the server did not send it. */
export const UNCHANGED = Symbol('unchanged TOAST value');

/**
 * A value of a large message, as the bytes that came: a view into the message, never copied (I4). Good until its change is applied.
 */
export type LargeValue = Buffer;

export type Cell = ByteText | LargeValue | null | typeof UNCHANGED;
export type Tuple = readonly Cell[];

/** Bytes of the values. */
export function sizeOf(row: Tuple): number {
  let size = 0;
  for (const cell of row) if (typeof cell === 'string' || isLarge(cell)) size += cell.length;
  return size;
}

export function isLarge(cell: Cell | undefined): cell is LargeValue {
  return typeof cell === 'object' && cell !== null;
}

/** The same value, or both unchanged. */
export function isSame(a: Cell | undefined, b: Cell | undefined): boolean {
  return a === b || (isLarge(a) && isLarge(b) && a.equals(b));
}

/** A value as one text, whatever its size: for what has to understand it. */
export function asText(cell: ByteText | LargeValue): ByteText {
  return typeof cell === 'string' ? cell : (cell.toString('latin1') as ByteText);
}

export function readable(value: ByteText | LargeValue): string {
  return (typeof value === 'string' ? Buffer.from(value, 'latin1') : value).toString('utf8');
}

export function byteText(value: string): ByteText {
  return Buffer.from(value, 'utf8').toString('latin1') as ByteText;
}

export interface Begin {
  readonly kind: 'begin';
  /** Start of the commit record (`Begin.final_lsn`): what P10 and I1 compare. */
  readonly finalLsn: Lsn;
  /** The decoder cannot know the commit record's place yet, only that it does not begin before `finalLsn`. */
  readonly isAtLeast?: true;
  readonly commitTime: bigint;
  /** Top-level xid, 32 bits. */
  readonly xid: number;
}
export interface Commit {
  readonly kind: 'commit';
  readonly commitLsn: Lsn;
  /** First byte after the commit record: what is recorded and confirmed. */
  readonly endLsn: Lsn;
  readonly commitTime: bigint;
}
export interface Insert {
  readonly kind: 'insert';
  readonly relation: Relation;
  readonly new: Tuple;
}
export interface Update {
  readonly kind: 'update';
  readonly relation: Relation;
  readonly new: Tuple;
  /** Whole old row (identity FULL), or the old key when it changed, or null. Columns outside the identity are null in a key tuple. */
  readonly old: Tuple | null;
}
export interface Delete {
  readonly kind: 'delete';
  readonly relation: Relation;
  readonly old: Tuple;
}
export interface Truncate {
  readonly kind: 'truncate';
  readonly relations: readonly Relation[];
  readonly restartIdentity: boolean;
}

export type RowChange = Insert | Update | Delete;
export type Change = RowChange | Truncate;

/** A change and where it stands in the stream. */
export interface PlacedChange {
  readonly change: RowChange;
  /** `Begin.finalLsn` of its transaction. */
  readonly finalLsn: Lsn;
  /** Among the changes of its transaction that were received, from 1. */
  readonly ordinal: number;
}
/** `relation` is sent before the first change of a table and after each change of its shape. */
export type StreamMessage =
  | Begin
  | Commit
  | Change
  | { readonly kind: 'relation'; readonly relation: Relation }
  | { readonly kind: 'other' };
