/** How what the source calls something is called on the target. */
import type { QualifiedName } from '../../change/relation.ts';

export interface NameMap {
  schema(name: string): string;
  /** Tables, views, sequences and indexes; other objects change their schema only. */
  relation(name: QualifiedName): QualifiedName;
  /** Of a relation whose columns are called otherwise on the target; null for all others. */
  columns(relation: QualifiedName): ColumnNames | null;
  /** Whether a relation of this name, in whatever schema, or its columns are called otherwise. */
  isAffected(name: string): boolean;
  /** Whether a column of this name, of whatever relation, is. */
  isAffectedColumn(name: string): boolean;
  /** Whether a column of this name, of whatever relation, is not on the target. */
  leavesOut(name: string): boolean;
}

export interface ColumnNames {
  /** Source name to target name, of those that differ. */
  readonly renamed: ReadonlyMap<string, string>;
  /** Source names of all columns, in the order that they have on the target. */
  readonly inOrder: readonly string[];
}

/** A text that mentions what is called otherwise on the target, and that cannot be rewritten with certainty. */
export class NeedsLook extends Error {
  override readonly name = 'NeedsLook';
}
