/** Which sequences belong to which column. */
import type { SequenceInfo } from '../pg/catalog/sequences.ts';
import type { ObjectKey } from '../pg/catalog/user-object.ts';
import type { SchemaModel } from './model.ts';

export interface SequencesByColumn {
  of(table: ObjectKey): readonly SequenceInfo[];
  /** The sequence behind an identity column. A partition's column has none since PostgreSQL 17: it uses its parent's. */
  identity(table: ObjectKey, attnum: number): SequenceInfo | undefined;
}

export function sequencesByColumn({ sequences }: SchemaModel): SequencesByColumn {
  const byTable = Map.groupBy(sequences, (sequence) => sequence.owner?.table ?? null);
  const of = (table: ObjectKey) => byTable.get(table) ?? [];
  return {
    of,
    identity: (table, attnum) =>
      of(table).find((sequence) => sequence.isIdentity && sequence.owner?.attnum === attnum),
  };
}
