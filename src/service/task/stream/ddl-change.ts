/**
 * Makes the change of a stopped table's columns on the target: what it has become at its place in the stream, not what it is by now. The
 * target's own catalog says what is left to do, so it may be repeated after any break.
 */
import { AppError } from '../../../base/errors/app-error.ts';
import { displayName, nameKey, type QualifiedName } from '../../../engine/change/relation.ts';
import {
  readCatalogColumns,
  readTypeNames,
  type CatalogColumn,
} from '../../../engine/pg/catalog/tables/column-facts.ts';
import { readTables, type TableInfo } from '../../../engine/pg/catalog/tables/tables.ts';
import type { Session } from '../../../engine/pg/session.ts';
import type { TableCopy } from '../../../engine/pipeline/visibility.ts';
import { changeTable } from '../../../engine/target/ddl/change-table.ts';
import { NotApplicable, planColumns, type ColumnStep } from '../../../engine/target/ddl/column-plan.ts';
import { columnsThere } from '../../../engine/target/ddl/columns-there.ts';
import { knownBehind } from '../../../engine/target/ddl/known-behind.ts';
import { sourceColumns, type SourceColumn } from '../../../engine/target/ddl/source-column.ts';
import { changeFromText, type TableChange } from '../../../engine/target/ddl/table-change.ts';
import { endChange, type StoppedTable } from '../../../engine/target/books/stopped-tables.ts';
import { holdFence } from '../../../engine/target/books/task-row.ts';
import {
  readTaskTables,
  writeKnownColumns,
  type KnownColumn,
  type KnownColumns,
  type TaskTable,
} from '../../../engine/target/books/task-tables.ts';
import { leftOutOf } from '../known-columns.ts';
import type { TaskRun } from '../task-run.ts';
import { openNaming, ownThere } from './naming.ts';

export interface ChangeEnds {
  readonly source: Session;
  readonly target: Session;
}

/** `words`: what was done, for a person. Null: somebody holds the table, or has changed it meanwhile; to be tried again. */
export type Changed = { readonly words: readonly string[]; readonly on: TableInfo } | null;

/** Throws NotApplicable, or what the target refuses with. */
export async function changeStopped(
  run: TaskRun,
  stopped: StoppedTable,
  ends: ChangeEnds,
  copies: ReadonlyMap<string, TableCopy>,
): Promise<Changed> {
  const subject = await readSubject(run, stopped, ends);
  const planFor = (isEmpty: boolean) => {
    const steps = subject.planFor(isEmpty);
    for (const one of subject.fed) assertCutStays(subject.columns, copies.get(nameKey(one)));
    return steps;
  };
  const record = async (session: Session, steps: readonly ColumnStep[]) => {
    run.hooks.failpoints.pass('ddl.before-commit');
    await holdFence(session, run.taskId, run.fence);
    await writeKnown(run, subject.knownAfter(steps), session);
    const { table } = stopped;
    if (!(await endChange(session, run.taskId, { table, refusal: null }))) throw new ChosenOtherwise();
  };
  try {
    const outcome = await changeTable(ends.target, { table: subject.root, planFor, record });
    run.hooks.failpoints.pass('ddl.after-commit');
    return outcome.kind === 'done' ? { words: outcome.words, on: subject.root } : null;
  } catch (thrown) {
    if (thrown instanceof ChosenOtherwise) return { words: [], on: subject.root };
    throw thrown;
  }
}

/**
 * A person may have made the change: then what the task knows of the columns follows. That one was made anew under its name cannot be seen:
 * `isTrusted`: it is taken from who lets the table go on.
 */
export async function learnChange(
  run: TaskRun,
  stopped: StoppedTable & { readonly isTrusted: boolean },
  ends: ChangeEnds,
): Promise<void> {
  const subject = await readSubject(run, stopped, ends);
  if (subject.planFor(false).length > 0) return;
  await ends.target.transaction(async () => {
    await holdFence(ends.target, run.taskId, run.fence);
    await writeKnown(run, subject.knownAfter([]), ends.target);
  });
}

async function writeKnown(run: TaskRun, tables: readonly TaskTable[], session: Session): Promise<void> {
  await writeKnownColumns(session, run.taskId, tables);
  if (run.request.types.has('schema'))
    for (const [oid, names] of tables.map(leftOutOf)) run.leftOut.set(oid, names);
}

/** A change, and the tables that it is about. */
interface Subject extends TargetOf {
  /** Behind the change, on the source. */
  readonly columns: readonly SourceColumn[];
  readonly planFor: (isEmpty: boolean) => ColumnStep[];
  readonly knownAfter: (steps: readonly ColumnStep[]) => TaskTable[];
}

async function readSubject(
  run: TaskRun,
  stopped: StoppedTable & { readonly isTrusted?: boolean },
  { source, target }: ChangeEnds,
): Promise<Subject> {
  if (stopped.change === null)
    throw new NotApplicable('it has not stopped at a change of its columns that could be repeated');
  const change = changeFromText(stopped.change);
  const of = await readTarget(run, stopped.table, target);
  const now = await readCatalogColumns(source, [change.oid, ...of.fed.map(({ oid }) => oid)]);
  const columns = await describe(change, now, source);
  assertOneChange(of);
  const naming = await openNaming(
    run,
    { ...stopped.table, oid: change.oid, now: now.get(change.oid) ?? [] },
    source,
  );
  const recorded = await readTaskTables(target, run.taskId);
  const before = recorded.find(({ oid }) => oid === change.oid)?.columns;
  if (!before) throw new NotApplicable(`the task does not know ${displayName(stopped.table)}`);
  const known = stopped.isTrusted ? withoutNumbers(before, columns) : before;
  const mayConvert = change.from === 'shape' ? stopped.choice === 'auto' : change.mayConvert;
  return {
    ...of,
    columns,
    planFor: (isEmpty) => {
      const steps = planColumns({
        change: { ...change, mayConvert },
        ...columnsThere({ source: columns, known }, naming),
        target: of.table.columns,
        isOurs: run.request.types.has('schema'),
        isEmpty,
        own: ownThere(run, stopped.table, { columns, naming }),
      });
      assertOneValue(run, steps, { fed: of.fed, now });
      return steps.map(naming.written);
    },
    knownAfter: (steps) =>
      recorded.flatMap((one) => {
        if (!of.fed.some(({ oid }) => oid === one.oid)) return [];
        const own = one.oid === change.oid ? columns : numbered(columns, now.get(one.oid) ?? []);
        const after = { steps, target: of.table.columns, nameThere: naming.column };
        return [{ ...one, columns: knownBehind(one.columns, own, after) }];
      }),
  };
}

class ChosenOtherwise extends Error {
  override readonly name = 'ChosenOtherwise';
}

interface TargetOf {
  readonly table: TableInfo;
  /** What is altered: of a partition the partitioned table at the top. */
  readonly root: TableInfo;
  /** The followed tables of the source that go into it. */
  readonly fed: readonly TableInfo[];
}

async function readTarget(run: TaskRun, name: QualifiedName, target: Session): Promise<TargetOf> {
  const tables = await readTables(target, { sizes: false });
  const byName = new Map(tables.map((table) => [nameKey(table), table]));
  const table = byName.get(nameKey(run.targetOf(name)));
  if (!table) throw new NotApplicable(`the target has no table ${displayName(run.targetOf(name))}`);
  const top = table.rootOid ?? table.oid;
  const root = tables.find(({ oid }) => oid === top) ?? table;
  const fed = run.followed.filter((one) => {
    const into = byName.get(nameKey(run.targetOf(one)));
    return into !== undefined && (into.rootOid ?? into.oid) === top;
  });
  return { table, root, fed };
}

async function describe(
  change: TableChange,
  now: ReadonlyMap<number, readonly CatalogColumn[]>,
  source: Session,
): Promise<SourceColumn[]> {
  const found = now.get(change.oid);
  if (!found) throw new NotApplicable('the table is gone on the source');
  const types = change.from === 'shape' ? await readTypeNames(source, change.columns) : [];
  return sourceColumns(change, found, { types, version: source.version });
}

/** Tables that go into one change together only as the partitions of one table do. */
function assertOneChange({ fed, table }: TargetOf): void {
  const [first] = fed;
  if (!first || fed.length === 1) return;
  if (fed.some(({ rootOid }) => rootOid === null || rootOid !== first.rootOid))
    throw new NotApplicable(
      `several tables of the source go into ${displayName(table)} (${fed.map(displayName).join(', ')}), which change one after the other`,
    );
}

function assertOneValue(
  { mapping }: TaskRun,
  steps: readonly ColumnStep[],
  { fed, now }: { fed: readonly TableInfo[]; now: ReadonlyMap<number, readonly CatalogColumn[]> },
): void {
  for (const step of steps) {
    if (step.kind !== 'add') continue;
    const { name } = step.column;
    const values = fed.flatMap((table) => {
      const column = now.get(table.oid)?.find((one) => mapping.column(table, one.name) === name);
      return column ? [column.missing] : [];
    });
    if (new Set(values).size > 1)
      throw new NotApplicable(`the partitions of the source do not have the same value in column "${name}"`);
  }
}

/** The ranges that a table was copied in go by the name of its key. */
function assertCutStays(columns: readonly SourceColumn[], copy: TableCopy | undefined): void {
  const key = copy?.cut?.column;
  if (key !== undefined && !columns.some(({ name }) => name === key))
    throw new NotApplicable(
      `the table was copied in ranges of column "${key}", which changes are still told apart by`,
    );
}

/** Of the names that these columns bear. */
function withoutNumbers(known: KnownColumns, columns: readonly SourceColumn[]): KnownColumns {
  const names = new Set(columns.map(({ name }) => name));
  return new Map([...known].map(([name, one]) => [name, names.has(name) ? { ...one, attnum: null } : one]));
}

/** The same columns with the numbers that they have in another table. */
function numbered(columns: readonly SourceColumn[], now: readonly CatalogColumn[]): SourceColumn[] {
  const numbers = new Map(now.map(({ name, attnum }) => [name, attnum]));
  return columns.map((column) => ({ ...column, attnum: numbers.get(column.name) ?? null }));
}

/** What the person is told where the change cannot be made. */
export function refusalOf(table: QualifiedName, problem: string): AppError {
  return new AppError('DDL_NOT_APPLIED', { table: displayName(table), problem: problem.replace(/\.$/, '') });
}

/** The tables keep their names, and have the columns that the source gives them now. */
export async function takeColumns(run: TaskRun, source: Session): Promise<void> {
  const now = new Map((await readTables(source, { sizes: false })).map((table) => [table.oid, table]));
  const newest = (table: TableInfo): TableInfo => {
    const { columns, identityColumns, replicaIdentity } = now.get(table.oid) ?? table;
    return { ...table, columns, identityColumns, replicaIdentity };
  };
  run.selected = run.selected.map(newest);
  run.tables = run.tables.map(newest);
  run.followed = run.followed.map(newest);
}

/** Tables that are copied anew have the columns that the source gives them now; what a table of the user's lacks is left out of it. */
export async function beginColumnsAnew(run: TaskRun, tables: readonly QualifiedName[]): Promise<void> {
  if (tables.length === 0) return;
  await takeColumns(run, await run.ends.source());
  const target = await run.ends.target();
  const there = new Map((await readTables(target, { sizes: false })).map((table) => [nameKey(table), table]));
  const copied = new Set(tables.map(nameKey));
  const recorded = new Map(
    (await readTaskTables(target, run.taskId)).map((table) => [nameKey(table), table]),
  );
  const anew = run.followed.flatMap((table): TaskTable[] => {
    const before = recorded.get(nameKey(table));
    if (!before || !copied.has(nameKey(table))) return [];
    const on = new Set(there.get(nameKey(run.targetOf(table)))?.columns.map(({ name }) => name));
    const isThere = (column: string) => on.has(run.mapping.column(table, column) ?? '');
    const columns = new Map(
      [...before.columns].map(([name, one]): [string, KnownColumn] => [name, { ...one, attnum: null }]),
    );
    for (const { name, attnum, typeOid, typmod, type } of table.columns) {
      const { forms, isLater } = columns.get(name) ?? {
        forms: isThere(name) ? [{ typeOid, typmod, type }] : [],
        isLater: true,
      };
      if (columns.has(name) || !run.request.types.has('schema') || isThere(name))
        columns.set(name, { forms, isLater, attnum });
    }
    return [{ ...before, columns }];
  });
  await writeKnownColumns(target, run.taskId, anew);
}
