/** Which streamed change belongs to which copy (data-plane I1, I3): each is told to its unit, and the unit's snapshot decides. */
import { AppError } from '../../base/errors/app-error.ts';
import { asText, isLarge, type Begin, type RowChange } from '../change/change.ts';
import { chunkOfKey, type KeyCut } from '../change/cut.ts';
import { formatLsn, type Lsn } from '../change/lsn.ts';
import { cellOf, newRowOf, oldRowOf, type Row } from '../change/packed-row.ts';
import type { Relation } from '../change/relation.ts';
import { wholeRow } from '../change/whole-row.ts';
import { Unit } from './unit.ts';

/**
 * Whether a transaction that is received again has been applied already (P10). `recorded`: the end of the last commit that counts. A
 * decoder that does not know where a commit record begins reads from there, and the server skips what lies before; so its bound never
 * lies before it either. Throws STREAM_BROKEN where it does: skipping might lose the transaction, applying it might repeat it.
 */
export function isRepeated({ finalLsn, isAtLeast }: Begin, recorded: Lsn): boolean {
  if (finalLsn >= recorded) return false;
  if (!isAtLeast) return true;
  const problem = `whether a transaction that ends behind ${formatLsn(finalLsn)} is applied already, where ${formatLsn(recorded)} is recorded, cannot be told`;
  throw new AppError('STREAM_BROKEN', { problem });
}

/** The units of one table: one, or one for each chunk of its key. */
export interface TableCopy {
  readonly units: readonly Unit[];
  /** Null: there is one unit. */
  readonly cut: KeyCut | null;
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
 * What of a change the copy does not contain yet; null when it contains all of it; a unit where that is known only when its copy ends:
 * ask again then. A row that moves from one unit to another is a delete in the one and an insert in the other, each judged by its own
 * snapshot. Throws NeedsRecopy.
 */
export function notInCopy(copy: TableCopy, change: RowChange, begin: Begin): RowChange | Unit | null {
  const { units, cut } = copy;
  if (cut === null) {
    const unit = unitAt(units, 0);
    const verdict = unit.judge(begin);
    return verdict === 'wait' ? unit : verdict === 'apply' ? change : null;
  }
  const { relation } = change;
  const old = change.kind === 'insert' ? null : oldRowOf(change);
  const to = chunkOf(cut, relation, change.kind === 'delete' ? oldRowOf(change) : newRowOf(change));
  const from = old === null ? to : chunkOf(cut, relation, old);
  for (const chunk of [from, to]) {
    const unit = unitAt(units, chunk);
    if (unit.judge(begin) === 'wait') return unit;
  }
  // Judging one unit may have sent it back to wait, so both are asked again; neither is copying now.
  const applies = (chunk: number) => unitAt(units, chunk).judge(begin) === 'apply';
  const [leaves, enters] = [applies(from), applies(to)];
  if (leaves === enters) return enters ? change : null;
  if (change.kind !== 'update') throw new Error('only an update moves a row');
  if (leaves) return { kind: 'delete', relation, old: change.old ?? change.new };
  const row = wholeRow(relation, change.old, change.new);
  if (row === null) throw new NeedsRecopy(relation, [from, to]);
  return { kind: 'insert', relation, new: row };
}

/** The chunks whose copy does not contain the transaction: what a TRUNCATE has to empty. A unit: ask again when its copy has ended. */
export function chunksNotInCopy({ units }: TableCopy, begin: Begin): number[] | Unit {
  const chunks: number[] = [];
  for (const [chunk, unit] of units.entries()) {
    const verdict = unit.judge(begin);
    if (verdict === 'wait') return unit;
    if (verdict === 'apply') chunks.push(chunk);
  }
  return chunks;
}

function unitAt(units: readonly Unit[], at: number): Unit {
  const unit = units[at];
  if (!unit) throw new Error(`no unit ${at}`);
  return unit;
}

function chunkOf({ column, order, bounds, kind }: KeyCut, relation: Relation, row: Row): number {
  const at = relation.columns.findIndex(({ name }) => name === column);
  const cell = cellOf(row, at);
  if (typeof cell !== 'string' && !isLarge(cell))
    throw new Error(`the stream does not carry the key column "${column}"`);
  return chunkOfKey({ column, order, bounds, kind }, asText(cell));
}
