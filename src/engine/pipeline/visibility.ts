/** Which streamed change belongs to which copy (data-plane I1, I3). Pure. */
import { UNCHANGED, type Begin, type RowChange, type Tuple } from '../change/change.ts';
import { chunkOfKey, type Cut, type KeyCut } from '../change/cut.ts';
import type { Lsn } from '../change/lsn.ts';
import type { Relation } from '../change/relation.ts';
import { extendXid, sees, type Snapshot } from '../change/snapshot.ts';

/** What a unit was copied under. `later` is null where it is the slot's own snapshot: then every streamed transaction applies. */
export interface UnitSnapshot {
  readonly later: { readonly text: string; readonly snapshot: Snapshot; readonly readUntil: Lsn } | null;
}

/** The units of one table: one, or one for each chunk of its key. */
export interface TableCopy {
  readonly units: readonly UnitSnapshot[];
  /** Null: there is one unit. */
  readonly cut: KeyCut | null;
}

/** A table that was not copied: every change applies. */
export const NO_COPY: TableCopy = { units: [{ later: null }], cut: null };

/** From what each chunk was read under. Where that is the same for all, they need not be told apart. */
export function tableCopy(cut: Cut, chunks: readonly UnitSnapshot[]): TableCopy {
  const [first = { later: null }] = chunks;
  const isOne = chunks.every(({ later }) => later?.text === first.later?.text);
  if (cut.kind === 'key' && !isOne) return { units: chunks, cut };
  return { units: [first], cut: null };
}

/** True when the copy already contains the transaction's changes. Commits beyond R cannot be in it, so an xid that wrapped around hides nothing. */
export function isInCopy(unit: UnitSnapshot, begin: Begin): boolean {
  if (unit.later === null || begin.finalLsn > unit.later.readUntil) return false;
  return sees(unit.later.snapshot, extendXid(begin.xid, unit.later.snapshot));
}

/** A row moved from a copied range into one that is not, without a value that only the source has: both must be copied anew, at once. */
export class NeedsRecopy extends Error {
  override readonly name = 'NeedsRecopy';
  readonly relation: Relation;
  readonly chunks: readonly number[];

  constructor(relation: Relation, chunks: readonly number[]) {
    super(`two ranges of ${relation.schema}.${relation.name} must be of one moment`);
    this.relation = relation;
    this.chunks = chunks;
  }
}

/**
 * What of a change the copy does not contain yet; null when it contains all of it. A row that moves from one unit to another is a delete
 * in the one and an insert in the other, each judged by its own snapshot. Throws NeedsRecopy.
 */
export function notInCopy(copy: TableCopy, change: RowChange, begin: Begin): RowChange | null {
  const { relation } = change;
  if (copy.cut === null) return isInCopy(copy.units[0] ?? { later: null }, begin) ? null : change;
  const { units, cut } = copy;
  const place = (row: Tuple) => {
    const chunk = chunkOfKey(cut, keyCell(cut, relation, row));
    return { chunk, done: isInCopy(units[chunk] ?? { later: null }, begin) };
  };
  if (change.kind !== 'update')
    return place(change.kind === 'insert' ? change.new : change.old).done ? null : change;
  const to = place(change.new);
  const from = change.old === null ? to : place(change.old);
  if (from.done === to.done) return from.done ? null : change;
  if (to.done) return { kind: 'delete', relation, old: change.old ?? change.new };
  const row = wholeRow(relation, change.old, change.new);
  if (row === null) throw new NeedsRecopy(relation, [from.chunk, to.chunk]);
  return { kind: 'insert', relation, new: row };
}

/** The new row with what did not change taken from the whole old one; null where that was not sent. */
function wholeRow(relation: Relation, old: Tuple | null, row: Tuple): Tuple | null {
  if (!row.includes(UNCHANGED)) return row;
  if (relation.replicaIdentity !== 'full' || old === null) return null;
  return row.map((cell, at) => (cell === UNCHANGED ? (old[at] ?? null) : cell));
}

/** The chunks whose copy does not contain the transaction: what a TRUNCATE has to empty. */
export function chunksNotInCopy({ units }: TableCopy, begin: Begin): number[] {
  return units.flatMap((unit, chunk) => (isInCopy(unit, begin) ? [] : [chunk]));
}

function keyCell({ column }: KeyCut, relation: Relation, row: Tuple): string {
  const cell = row[relation.columns.findIndex(({ name }) => name === column)];
  if (typeof cell !== 'string') throw new Error(`the stream does not carry the key column "${column}"`);
  return cell;
}
