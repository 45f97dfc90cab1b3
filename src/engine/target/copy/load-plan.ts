/** How a table is loaded: which columns go over, and in which COPY format. Pure. */
import { AppError } from '../../../base/errors/app-error.ts';
import { displayName } from '../../change/relation.ts';
import type { ColumnInfo, TableInfo } from '../../pg/catalog/tables/tables.ts';
import { ident, qname } from '../../pg/ident.ts';

/** `before` and `after` are statements of the chunk's transaction, around its COPY; `after` says how many rows stay. */
export interface LoadPlan {
  /** As the source calls them. */
  readonly columns: readonly string[];
  readonly binary: boolean;
  readonly before: string | null;
  readonly copyIn: string;
  readonly after: string | null;
  /** Columns of the source that the target table does not have: left out. */
  readonly leftOut: readonly string[];
}

/**
 * `fill`: into a table where every row is ours. `freeze`: the same, the whole table at once, ours alone to empty: its rows are written as
 * if they were old, which spares the target a second pass over them. `keep`: rows that are there stay (conflict mode ignore, C7).
 */
export type LoadMode = 'fill' | 'freeze' | 'keep';

export interface LoadWishes {
  readonly mode: LoadMode;
  /** The user made the target table: it may have fewer columns (A4). */
  readonly mayLack: boolean;
  /** What a column of the source is called on the target; null: it is left out. */
  readonly columnOf: (column: string) => string | null;
}

/**
 * Built-in types whose binary form means the same on every server and version, and arrays of them. Not among them: types that travel as
 * an oid (regclass, …), which names something else on another server, and interval, whose infinity older servers read as a number.
 */
const PORTABLE = new Set([
  16, 17, 18, 19, 20, 21, 23, 25, 26, 114, 600, 601, 602, 603, 604, 628, 650, 700, 701, 718, 774, 790, 829,
  869, 1042, 1043, 1082, 1083, 1114, 1184, 1266, 1560, 1562, 1700, 2950, 3802, 199, 1000, 1001, 1002, 1003,
  1005, 1007, 1009, 1014, 1015, 1016, 1021, 1022, 1115, 1182, 1183, 1185, 1231, 2951, 3807,
]);

/**
 * Throws TARGET_TABLE_MISSING or RELATION_CHANGED when the rows could not go in. Columns that the target computes are left out; those that
 * only the target has take their default.
 */
export function planLoad(source: TableInfo, target: TableInfo | undefined, wishes: LoadWishes): LoadPlan {
  if (!target) throw new AppError('TARGET_TABLE_MISSING', { objects: `table ${displayName(source)}` });
  const byName = new Map(target.columns.map((column) => [column.name, column]));
  const ordinary = source.columns.flatMap((from) => {
    const name = from.generated === '' ? wishes.columnOf(from.name) : null;
    return name === null ? [] : [{ from, name }];
  });
  const lacking = ordinary.filter(({ name }) => !byName.has(name));
  if (lacking.length > 0 && !wishes.mayLack)
    throw new AppError('RELATION_CHANGED', {
      table: displayName(source),
      difference: `the target has no column "${lacking[0]?.name}"`,
    });
  const pairs = ordinary.flatMap(({ from, name }) => {
    const into = byName.get(name);
    return into?.generated === '' ? [{ from, into }] : [];
  });
  const columns = pairs.map(({ from }) => from.name);
  const binary = columns.length > 0 && pairs.every(({ from, into }) => isPortable(from, into));
  const into = pairs.map((pair) => pair.into.name);
  return {
    columns,
    binary,
    leftOut: lacking.map(({ from }) => from.name),
    ...statements(target, into, { binary, mode: wishes.mode }),
  };
}

/** Where rows wait until it is known which of them the target has already; it ends with the transaction. */
const STAGE = 'opendts_stage';

function statements(
  target: TableInfo,
  columns: readonly string[],
  { binary, mode }: { binary: boolean; mode: LoadMode },
): Pick<LoadPlan, 'before' | 'copyIn' | 'after'> {
  const table = qname(target);
  const names = columns.map(ident).join(', ');
  const list = columns.length > 0 ? ` (${names})` : '';
  const options = [...(binary ? ['FORMAT binary'] : []), ...(mode === 'freeze' ? ['FREEZE'] : [])];
  const copyInto = (name: string) =>
    `COPY ${name}${list} FROM STDIN${options.length > 0 ? ` (${options.join(', ')})` : ''}`;
  // A table without columns has no row that could be there already.
  if (mode === 'fill' || columns.length === 0) return { before: null, copyIn: copyInto(table), after: null };
  if (mode === 'freeze') return { before: `TRUNCATE ONLY ${table}`, copyIn: copyInto(table), after: null };
  return {
    before: `DROP TABLE IF EXISTS pg_temp.${STAGE}; CREATE TEMP TABLE ${STAGE} ON COMMIT DROP AS SELECT ${names} FROM ${table} WITH NO DATA`,
    copyIn: copyInto(`pg_temp.${STAGE}`),
    after: `INSERT INTO ${table} (${names}) OVERRIDING SYSTEM VALUE SELECT ${names} FROM pg_temp.${STAGE} ON CONFLICT DO NOTHING`,
  };
}

function isPortable(from: ColumnInfo, into: ColumnInfo): boolean {
  return from.typeOid === into.typeOid && from.type === into.type && PORTABLE.has(from.typeOid);
}
