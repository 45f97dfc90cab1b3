/** The new row of a change with what did not change taken from the whole old one; null where that was not sent. Pure. */
import { UNCHANGED, type Tuple } from './change.ts';
import type { Relation } from './relation.ts';

export function wholeRow(relation: Relation, old: Tuple | null, row: Tuple): Tuple | null {
  if (!row.includes(UNCHANGED)) return row;
  if (relation.replicaIdentity !== 'full' || old === null) return null;
  return row.map((cell, at) => (cell === UNCHANGED ? (old[at] ?? null) : cell));
}
