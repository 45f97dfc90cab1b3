/** The target tables as the applier must know them, read anew at each start of the stream. */
import { displayName, nameKey, type QualifiedName } from '../../../engine/change/relation.ts';
import { readFiringTables } from '../../../engine/pg/catalog/tables/firing-tables.ts';
import { memoized } from '../../../engine/pg/catalog/shared.ts';
import { readTables, type ColumnInfo, type TableInfo } from '../../../engine/pg/catalog/tables/tables.ts';
import { readUniqueKeys, type UniqueKey } from '../../../engine/pg/catalog/constraints/unique-keys.ts';
import { byTarget } from '../../../engine/selection/target-names.ts';
import { followsAll } from '../../../engine/source/filtered-reader.ts';
import type { ShapeNames, Shapes } from '../../../engine/target/apply/sql/target-table.ts';
import { readTaskTables, type KnownColumns } from '../../../engine/target/books/task-tables.ts';
import { learnColumns, NONE_LEFT_OUT, type TablePair } from '../known-columns.ts';
import { warn, type TaskRun } from '../task-run.ts';

/** What a shape is made of, kept for each table; the rest is made when it is asked for. */
interface Kept extends TablePair {
  readonly keys: readonly UniqueKey[];
  readonly known: KnownColumns;
  readonly leftOut: ReadonlySet<string>;
  readonly asIs: boolean;
  readonly part: string | null;
  readonly sources: readonly TableInfo[];
}

const NO_COLUMNS: KnownColumns = new Map();
const NO_KEYS: readonly UniqueKey[] = [];

/** By nameKey of the source table; as it is now, whatever is asked for later. */
export async function readShapes(run: TaskRun): Promise<Shapes> {
  const target = await run.ends.target();
  const keys = await readUniqueKeys(target);
  const firing = await readFiringTables(target, run.firesNothing);
  const sources = byTarget(run.followed, run.targetOf);
  // Without sizes: a table that is locked is not waited for.
  const tables = (await readTables(target, { sizes: false })).filter((table) => sources.has(nameKey(table)));
  const pairs = tables.flatMap((table) =>
    (sources.get(nameKey(table)) ?? []).map((source) => ({ source, target: table })),
  );
  const recorded = await readTaskTables(target, run.taskId);
  const known = await learnColumns(run, recorded, pairs);
  const parts = new Map(
    recorded.flatMap((table) => (table.isApart || table.bound === null ? [] : [[table.oid, table.bound]])),
  );
  const asIs = new Set(recorded.filter((table) => table.asIs).map(nameKey));
  // Where anything fires, the order between tables counts too: then nothing is folded.
  const fires = tables.filter((table) => firing.has(nameKey(table)));
  if (fires.length > 0) {
    warn(
      run,
      `triggers or foreign keys of the target fire for replicated changes, so all changes are applied one by one: ${fires.map(displayName).join(', ')}`,
    );
  }
  const kept = new Map(
    pairs.map(({ source, target: table }): [string, Kept] => {
      const key = nameKey(source);
      const columns = known.get(key) ?? NO_COLUMNS;
      const of = {
        source,
        target: table,
        keys: keys.get(nameKey(table)) ?? NO_KEYS,
        known: columns,
        leftOut: leftOut(run, { source, target: table }, columns),
        asIs: asIs.has(key),
        part: isChanged(run, source) ? null : (parts.get(source.oid) ?? null),
        sources: sources.get(nameKey(table)) ?? [],
      };
      return [key, of];
    }),
  );
  const namesIn = memoized((columns: readonly ColumnInfo[]) => new Set(columns.map(({ name }) => name)));
  return {
    get: (key) => {
      const of = kept.get(key);
      if (!of) return undefined;
      const { source, target: table, ...same } = of;
      return {
        ...same,
        name: table,
        isPartitioned: table.kind === 'p',
        columns: table.columns,
        names: {
          column: (name: string) => run.mapping.column(source, name),
          isType: run.mapping.isType,
          ...ownOf(run, source),
        },
        isOurs: run.request.types.has('schema'),
        sourceColumns: namesIn(source.columns),
        fires: fires.length > 0,
        lenient: !followsAll(run.followedOf(source).operations),
        overwrites: run.request.conflict === 'ignore',
        source,
      };
    },
  };
}

/** What the user has changed of a table that we have made. */
export function ownOf(
  { mapping, request }: TaskRun,
  table: QualifiedName,
): Pick<ShapeNames, 'isRetyped' | 'isInOwnKey'> {
  const isOurs = request.types.has('schema');
  const key = isOurs ? mapping.primaryKey(table) : null;
  return {
    isRetyped: (name) => isOurs && mapping.type(table, name) !== null,
    isInOwnKey: (name) => key?.includes(name) === true,
  };
}

/** Whether the bound of a partition, which has the source's names of columns, may mean others on the target, or other values. */
function isChanged({ mapping }: TaskRun, source: TablePair['source']): boolean {
  return source.columns.some(
    ({ name }) => mapping.column(source, name) !== name || mapping.type(source, name) !== null,
  );
}

/** What the user's own table was made without; a column that came later is not among them. */
function leftOut(run: TaskRun, { source, target }: TablePair, known: KnownColumns): ReadonlySet<string> {
  const there = new Set(target.columns.map(({ name }) => name));
  const isThere = (name: string | null) => name === null || there.has(name);
  const names = [...known].flatMap(([name, { forms }]) =>
    forms.length > 0 || isThere(run.mapping.column(source, name)) ? [] : [name],
  );
  if (names.length === 0) return NONE_LEFT_OUT;
  warn(
    run,
    `${displayName(source)}: left out, because the target table has no such column: ${names.join(', ')}`,
  );
  return new Set(names);
}
