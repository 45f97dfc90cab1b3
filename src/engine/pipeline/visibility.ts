/** Which streamed change belongs to which copy (data-plane I1). Pure. */
import type { Begin } from '../change/change.ts';
import type { Lsn } from '../change/lsn.ts';
import { extendXid, sees, type Snapshot } from '../change/snapshot.ts';

/** What a unit was copied under. `later` is null where it is the slot's own snapshot: then every streamed transaction applies. */
export interface UnitSnapshot {
  readonly later: { readonly snapshot: Snapshot; readonly readUntil: Lsn } | null;
}

/** True when the copy already contains the transaction's changes. Commits beyond R cannot be in it, so an xid that wrapped around hides nothing. */
export function isInCopy(unit: UnitSnapshot, begin: Begin): boolean {
  if (unit.later === null || begin.finalLsn > unit.later.readUntil) return false;
  return sees(unit.later.snapshot, extendXid(begin.xid, unit.later.snapshot));
}
