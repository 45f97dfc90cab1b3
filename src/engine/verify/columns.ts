/** Which columns of a pair of tables are compared, and as what. */
import type { QualifiedName } from '../change/relation.ts';
import type { ColumnInfo, TableInfo } from '../pg/catalog/tables/tables.ts';
import type { Session } from '../pg/session.ts';
import type { DigestColumn } from './digest.ts';

export interface PairNames {
  /** Null: it is left out. */
  column(table: QualifiedName, column: string): string | null;
  /** The type that the user has given it; null: none. */
  type(table: QualifiedName, column: string): string | null;
  isType(source: string, target: string): boolean;
}

const SAME: PairNames = {
  column: (_, column) => column,
  type: () => null,
  isType: (source, target) => source === target,
};

interface Pair {
  readonly source: TableInfo;
  readonly names?: PairNames;
}

/** A column of the source, and the same on the target. */
interface ComparedColumn {
  readonly name: string;
  readonly from: DigestColumn;
  readonly into: DigestColumn;
}

/** Under the names of the target in both, in the order of the source. */
export function comparedColumns({ source, names = SAME }: Pair, target: TableInfo): ComparedColumn[] {
  const there = new Map(target.columns.map((column) => [column.name, column]));
  return source.columns.flatMap((from) => {
    const name = names.column(source, from.name);
    if (name === null) return [];
    const into = there.get(name);
    const isRetyped = names.type(source, from.name) !== null && into && !names.isType(from.type, into.type);
    return [
      isRetyped ? { name, from: { ...from, as: into }, into } : { name, from, into: { ...from, name } },
    ];
  });
}

/** Why the columns of the two tables cannot be compared, or null. */
export function columnMismatch({ source, names = SAME }: Pair, target: TableInfo): string | null {
  const targetTypes = new Map(target.columns.map((column) => [column.name, column.bareType]));
  const known = new Set<string>();
  for (const { name, bareType } of source.columns) {
    const there = names.column(source, name);
    if (there === null) continue;
    const type = targetTypes.get(there);
    if (type === undefined) return `column "${there}" is missing on the target`;
    if (names.type(source, name) === null && !names.isType(bareType, type))
      return `column "${name}" is ${bareType} on the source, ${type} on the target`;
    known.add(there);
  }
  const extra = target.columns.find((column) => !known.has(column.name));
  return extra ? `column "${extra.name}" is missing on the source` : null;
}

/** The source reads its values as the target's type; an enum's are texts. Why it cannot, or null. */
export async function unknownType(
  session: Session,
  columns: readonly ComparedColumn[],
): Promise<string | null> {
  const retyped = columns.flatMap(({ from }): ColumnInfo[] =>
    from.as && from.as.typeKind !== 'e' ? [from.as] : [],
  );
  if (retyped.length === 0) return null;
  const [unknown] = await session.query(
    `SELECT t.value AS type FROM pg_catalog.json_array_elements_text($1::json) t WHERE pg_catalog.to_regtype(t.value) IS NULL`,
    [JSON.stringify(retyped.map(({ bareType }) => bareType))],
  );
  const column = retyped.find(({ bareType }) => bareType === unknown?.type);
  return column
    ? `column "${column.name}" is ${column.bareType} on the target, which the source does not know`
    : null;
}
