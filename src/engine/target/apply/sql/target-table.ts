/** A target table as the applier sees it: its columns, and the key by which a row is found. */
import { AppError } from '../../../../base/errors/app-error.ts';
import {
  displayName,
  nameKey,
  type QualifiedName,
  type Relation,
  type RelationColumn,
} from '../../../change/relation.ts';
import type { ColumnInfo } from '../../../pg/catalog/tables/tables.ts';
import type { UniqueKey } from '../../../pg/catalog/constraints/unique-keys.ts';
import type { KnownColumns } from '../../books/task-tables.ts';

export interface KeyColumn {
  /** Index into the relation's (the source's) columns. */
  readonly at: number;
  readonly column: ColumnInfo;
  /** Operator of the index that decides equality, quoted and qualified: `OPERATOR(pg_catalog.=)`. */
  readonly equals: string;
}

/** One source relation joined to its target table; made once per Relation message. */
export interface TargetTable {
  readonly relation: Relation;
  /** What the target calls the columns of the relation; null: they are left out. */
  readonly columnNames: readonly (string | null)[];
  readonly name: QualifiedName;
  /** A plain table's own rows only, not those of tables that inherit from it. False for a partitioned table, which has none of its own. */
  readonly only: boolean;
  /** Per column of the relation: the target column it goes to, null where the target computes it. */
  readonly columns: readonly (ColumnInfo | null)[];
  /** Null: no key; rows are found by all their columns. */
  readonly key: readonly KeyColumn[] | null;
  /** Changes of one row may be merged and applied as sets (P8). */
  readonly folds: boolean;
  /** What the task calls the source table. */
  readonly source: QualifiedName;
  /** All source tables whose rows stand in this target table: more than one where the user put them together. */
  readonly sources: readonly QualifiedName[];
  /** A condition that the rows of the source table, and no others, meet in this target table; null where that cannot be told. */
  readonly part: string | null;
  /** User triggers or foreign keys fire while we apply: the order between tables matters too. */
  readonly fires: boolean;
  /** Where nothing folds: new rows that follow one another may at least go together. */
  readonly gathers: boolean;
  /** Not all operations are followed: a row may be missing, and passed over, or in the way of a new one, and gives way. */
  readonly lenient: boolean;
  /** The source's rows replace those of the target (conflict mode ignore): as lenient, and a row that an UPDATE does not find is put in. */
  readonly overwrites: boolean;
}

/** Types whose equal values have one text, so that a key's text can stand for the key (P8). */
const CANONICAL = new Set([
  16, 17, 18, 19, 20, 21, 23, 25, 26, 1042, 1043, 1082, 1083, 1114, 1184, 829, 2950,
]);

/** How the target calls what the source calls otherwise. */
export interface ShapeNames {
  /** Null: it is left out. */
  readonly column: (name: string) => string | null;
  /** Whether a type of the source is this one of the target, both as their servers write them. */
  readonly isType: (source: string, target: string) => boolean;
  /** Of a column by its name on the source: the user has given it a type of its own. */
  readonly isRetyped: (name: string) => boolean;
  /** The same: it is in the primary key that the user has given its table. */
  readonly isInOwnKey: (name: string) => boolean;
}

export const SAME_NAMES: ShapeNames = {
  column: (name) => name,
  isType: (source, target) => source === target,
  isRetyped: () => false,
  isInOwnKey: () => false,
};

export interface TargetShape {
  readonly name: QualifiedName;
  readonly isPartitioned: boolean;
  readonly columns: readonly ColumnInfo[];
  readonly keys: readonly UniqueKey[];
  readonly names: ShapeNames;
  /** Columns of the source that the user's own table was made without (A4): left out. */
  readonly leftOut: ReadonlySet<string>;
  /** Columns that the source's table has now, by the catalog. */
  readonly sourceColumns: ReadonlySet<string>;
  /** Columns that it has had since the task took it in, with the types they had. */
  readonly known: KnownColumns;
  /** The source table, as the task calls it. */
  readonly source: QualifiedName;
  /** All source tables that go into this target table. */
  readonly sources: readonly QualifiedName[];
  /** Made by this task: it has the columns of the source and no others. */
  readonly isOurs: boolean;
  /** A person has said that the table is to be filled as it is: columns that it lacks are left out, others stay as they are. */
  readonly asIs?: boolean;
  /** User triggers or foreign keys that fire while we apply: order then matters. */
  readonly fires: boolean;
  /** Not all operations of the source are followed. */
  readonly lenient?: boolean;
  /** Rows of the target give way to those of the source (C7). */
  readonly overwrites?: boolean;
  /** A condition that tells its rows from those of the others. */
  readonly part?: string | null;
}

/** By nameKey of the source table. A table that is not in here has none. */
export interface Shapes {
  get(key: string): TargetShape | undefined;
}

/**
 * Throws RELATION_CHANGED when the target has not followed a column that was added, dropped or given another type on the source: values
 * that were rewritten for a new type are in no change. Throws COLUMN_GONE when the target is ahead.
 */
export function joinTable(sent: Relation, shape: TargetShape): TargetTable {
  const {
    overwrites = false,
    names: { column: columnOf },
  } = shape;
  const sentNames = namesOf(sent.columns);
  const columnNames = alike(sentNames.map(columnOf), sentNames);
  const clashing = clash(sentNames, shape.names);
  if (clashing !== null) throw changed(shape, clashing);
  /** With the names that the columns have on the target. */
  const relation = {
    ...sent,
    columns: sent.columns.map((column, at) => ({ ...column, name: columnNames[at] ?? NO_NAME })),
  };
  // Where several tables go into one, a row in the way may be another table's.
  const lenient = overwrites || (shape.lenient === true && shape.sources.length === 1);
  const byName = new Map(shape.columns.map((column) => [column.name, column]));
  const found = sent.columns.map((source) => {
    const name = columnOf(source.name);
    if (name === null) return null;
    const column = byName.get(name);
    if (!column && (shape.asIs || shape.leftOut.has(source.name))) return null;
    if (!column) throw lacking(source.name, shape);
    if (!shape.asIs) assertTypeIsKnown(source, column, shape);
    return column.generated === '' ? column : null;
  });
  const columns: readonly (ColumnInfo | null)[] = alike(found, shape.columns);
  const dropped =
    shape.isOurs &&
    !shape.asIs &&
    shape.columns.find(
      ({ name, generated }) => generated === '' && !columnNames.includes(name) && isDropped(name, shape),
    );
  if (dropped) throw changed(shape, `the source has no column "${dropped.name}" any more`);
  const usable = shape.keys.find((key) => key.columns.every((name) => carries(relation, name)));
  const key = usable
    ? usable.columns.map((name, at) =>
        keyColumn(relation, columns, { name, equals: usable.equals[at] ?? '' }),
      )
    : identityKey(relation, columns);
  // An identity that is generated always cannot be SET: where it may change alone, each change keeps its own statement.
  const loneIdentity = columns.some(
    (column) => column?.identity === 'a' && !usable?.columns.includes(column.name),
  );
  const folds =
    usable !== undefined &&
    !shape.fires &&
    !loneIdentity &&
    usable.columns.every((name) => isCanonical(relation, byName.get(name)));
  return {
    relation: sent,
    columnNames,
    name: shape.name,
    only: !shape.isPartitioned,
    columns,
    key,
    folds,
    source: shape.source,
    sources: shape.sources,
    part: shape.part ?? null,
    fires: shape.fires,
    gathers: !shape.fires && !lenient,
    lenient,
    overwrites,
  };
}

const namesKnown = new WeakMap<readonly RelationColumn[], readonly string[]>();

/** One list for all tables that share their columns. */
function namesOf(columns: readonly RelationColumn[]): readonly string[] {
  const names = namesKnown.get(columns) ?? columns.map(({ name }) => name);
  namesKnown.set(columns, names);
  return names;
}

/** The other list where it holds the same: thousands of tables are kept by what they share. */
function alike<T>(list: readonly T[], other: readonly T[]): readonly T[] {
  return list.length === other.length && list.every((one, at) => one === other[at]) ? other : list;
}

/** Two columns of the source, of which one may have come later, that would be one on the target; null where there are none. */
export function clash(columns: readonly string[], names: ShapeNames): string | null {
  const taken = new Map<string, string>();
  for (const column of columns) {
    const name = names.column(column);
    const other = name === null ? undefined : taken.get(name);
    if (other !== undefined)
      return `columns "${other}" and "${column}" would both be "${name}" on the target`;
    if (name !== null) taken.set(name, column);
  }
  return null;
}

/** Of a column that is left out: no column can be called so. */
const NO_NAME = '';

/** Changes from before a column was added do not have it either. */
function isDropped(column: string, { known, sourceColumns, names }: TargetShape): boolean {
  const before = [...known].find(([name]) => names.column(name) === column);
  return before !== undefined && !(before[1].isLater && sourceColumns.has(before[0]));
}

function changed({ source }: TargetShape, difference: string): AppError {
  return new AppError('RELATION_CHANGED', { table: displayName(source), difference });
}

function lacking(column: string, shape: TargetShape): AppError {
  return shape.known.has(column) && !shape.sourceColumns.has(column)
    ? new AppError('COLUMN_GONE', { table: displayName(shape.source), column })
    : changed(shape, `the target has no column "${shape.names.column(column)}"`);
}

/** A target column of a type of its own is the user's decision, from the beginning or since it was changed there. */
function assertTypeIsKnown(sent: RelationColumn, column: ColumnInfo, shape: TargetShape): void {
  const forms = shape.known.get(sent.name)?.forms ?? [];
  const newest = forms.at(-1);
  const isRetyped = shape.names.isRetyped(sent.name);
  if (!newest || !(isRetyped || shape.names.isType(newest.type, column.type))) return;
  if (forms.some(({ typeOid, typmod }) => typeOid === sent.typeOid && typmod === sent.typmod)) return;
  const onTarget = isRetyped ? '' : ', as it still is on the target,';
  throw changed(shape, `column "${sent.name}" was ${newest.type}${onTarget} and has been given another type`);
}

/** Throws TRUNCATE_SHARED where others stay: which rows of a shared target came from which source table, nobody knows any more. */
export function assertAllAreEmptied(tables: readonly TargetTable[]): void {
  const emptied = new Set(tables.map(({ source }) => nameKey(source)));
  for (const { source, name, sources } of tables)
    if (sources.length > 1 && !sources.every((one) => emptied.has(nameKey(one))))
      throw new AppError('TRUNCATE_SHARED', { table: displayName(source), target: displayName(name) });
}

/** The old row of an UPDATE or DELETE has this column. */
function carries(relation: Relation, name: string): boolean {
  return relation.columns.some(
    (column) => column.name === name && (relation.replicaIdentity === 'full' || column.isKey),
  );
}

function keyColumn(
  relation: Relation,
  columns: readonly (ColumnInfo | null)[],
  { name, equals }: { name: string; equals: string },
): KeyColumn {
  const at = relation.columns.findIndex((column) => column.name === name);
  const column = columns[at];
  if (!column)
    throw new AppError('RELATION_CHANGED', {
      table: displayName(relation),
      difference: `key column "${name}" is generated on the target`,
    });
  return { at, column, equals };
}

/** The source's identity without a unique index on the target: still names one row, found without an index. */
function identityKey(
  relation: Relation,
  columns: readonly (ColumnInfo | null)[],
): readonly KeyColumn[] | null {
  if (relation.replicaIdentity === 'full') return null;
  const names = relation.columns.filter((column) => column.isKey).map((column) => column.name);
  if (names.length === 0) return null;
  return names.map((name) => keyColumn(relation, columns, { name, equals: 'IS NOT DISTINCT FROM' }));
}

const INTEGERS = new Set([20, 21, 23]);
const TEXT = 25;

function isCanonical(relation: Relation, column: ColumnInfo | undefined): boolean {
  if (!column) return false;
  const source = relation.columns.find(({ name }) => name === column.name)?.typeOid ?? 0;
  if (column.typeKind === 'e') return true;
  if (!CANONICAL.has(source) || !column.deterministic) return false;
  // Integers have one text whatever their size, and text is its own.
  return (
    source === column.typeOid ||
    column.typeOid === TEXT ||
    (INTEGERS.has(source) && INTEGERS.has(column.typeOid))
  );
}
