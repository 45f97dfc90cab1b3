/**
 * What makes the columns of a target table those that the source's table had behind a change. Columns are known by their numbers, so a
 * renamed one is told from one dropped and another added. Only what keeps every value right; the rest is refused with its reason. Pure.
 */
import type { ColumnInfo } from '../../pg/catalog/tables/tables.ts';
import { isSameType } from '../../selection/target-names.ts';
import type { ShapeNames } from '../apply/sql/target-table.ts';
import type { KnownColumns } from '../books/task-tables.ts';
import type { SourceColumn } from './source-column.ts';
import type { TableChange } from './table-change.ts';
import { isWider } from './widening.ts';

export type ColumnStep =
  | { readonly kind: 'rename'; readonly column: string; readonly to: string }
  | { readonly kind: 'drop'; readonly column: string }
  | {
      readonly kind: 'retype';
      readonly column: string;
      readonly type: string;
      readonly collation: string | null;
    }
  | { readonly kind: 'drop-not-null'; readonly column: string }
  | { readonly kind: 'add'; readonly column: SourceColumn; readonly isNotNull: boolean };

/** The change cannot be made on the target. `message`: why. */
export class NotApplicable extends Error {
  override readonly name = 'NotApplicable';
}

/** All in the names of the target. */
export interface Planning {
  readonly change: Pick<TableChange, 'from' | 'mayConvert' | 'afterRows'>;
  readonly source: readonly SourceColumn[];
  /** Of the target table as it is. */
  readonly target: readonly ColumnInfo[];
  readonly known: KnownColumns;
  /** Made by this task: it has the columns of the source and no others. */
  readonly isOurs: boolean;
  /** The target table has no rows. */
  readonly isEmpty: boolean;
  /** What the user has changed of the table, which stays. */
  readonly own: Pick<ShapeNames, 'isRetyped' | 'isInOwnKey'>;
}

const ORDER: readonly ColumnStep['kind'][] = ['rename', 'drop', 'retype', 'drop-not-null', 'add'];

/** Throws NotApplicable. */
export function planColumns(planning: Planning): ColumnStep[] {
  const { source, target, known } = planning;
  assertRising(source);
  const there = new Map(target.map((column) => [column.name, column]));
  const wanted = new Set(source.map(({ name }) => name));
  const steps: ColumnStep[] = [];
  const kept = new Set<string>();
  for (const column of source) {
    const here = there.get(column.name);
    if (here) {
      assertSame(column, known);
      steps.push(...changesOf(column, here, planning));
      continue;
    }
    if (known.get(column.name)?.forms.length === 0 || isLeftOut(column, known)) continue;
    const former = formerName(column, known, there);
    if (former === null) steps.push(addition(column, planning));
    else {
      if (wanted.has(former.name) || kept.has(former.name)) throw exchanged(column.name);
      kept.add(former.name);
      steps.push({ kind: 'rename', column: former.name, to: column.name });
      steps.push(...changesOf(column, former, planning));
    }
  }
  if (planning.isOurs)
    for (const column of target)
      if (!wanted.has(column.name) && !kept.has(column.name)) steps.push(...removal(column, planning));
  const unsafe = steps.find(({ kind }) => kind === 'rename' || kind === 'drop');
  if (planning.change.afterRows && unsafe) throw rowsBefore();
  return steps.toSorted((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind));
}

/** The stream has them in the order of their numbers. */
function assertRising(source: readonly SourceColumn[]): void {
  let last = 0;
  for (const { attnum, name } of source) {
    if (attnum !== null && attnum <= last) throw exchanged(name);
    last = attnum ?? last;
  }
}

function assertSame({ name, attnum }: SourceColumn, known: KnownColumns): void {
  const before = known.get(name)?.attnum ?? null;
  if (before !== null && attnum !== null && before !== attnum) throw exchanged(name);
}

function exchanged(name: string): NotApplicable {
  return new NotApplicable(
    `column "${name}" of the source is another one than before: one was dropped and added again, or names were exchanged`,
  );
}

function rowsBefore(): NotApplicable {
  return new NotApplicable('the transaction that changed the columns had changed rows of the table before');
}

/** A column that the user's own table was made without, under a new name. */
export function isLeftOut({ attnum }: Pick<SourceColumn, 'attnum'>, known: KnownColumns): boolean {
  const former = [...known.values()].filter((one) => attnum !== null && one.attnum === attnum);
  return former.length > 0 && former.every(({ forms }) => forms.length === 0);
}

/** The target's column that is this one under its name of before; null where there was none. */
function formerName(
  { name, attnum }: Pick<SourceColumn, 'name' | 'attnum'>,
  known: KnownColumns,
  there: ReadonlyMap<string, ColumnInfo>,
): ColumnInfo | null {
  if (attnum === null)
    throw new NotApplicable(
      `column "${name}" was changed again on the source since, and which one it was is not known (event triggers would tell)`,
    );
  const names = [...known].flatMap(([former, one]) => (one.attnum === attnum ? [former] : []));
  const found = names.flatMap((former) => there.get(former) ?? []);
  if (names.length === 0) return null;
  const [one] = found;
  if (!one || found.length > 1) throw exchanged(name);
  return one;
}

function addition(column: SourceColumn, { change, isEmpty }: Planning): ColumnStep {
  const { name, past, expression, generated, identity } = column;
  if (identity !== '')
    throw new NotApplicable(`column "${name}" was added as an identity column, which is not repeated`);
  if (past.kind === 'unknown' && !isEmpty)
    throw new NotApplicable(`column "${name}" was added, and ${past.why}`);
  if (change.afterRows && (past.kind !== 'null' || expression !== null || generated !== ''))
    throw rowsBefore();
  const isNotNull = column.notNull === true && (past.kind === 'value' || isEmpty || generated !== '');
  return { kind: 'add', column, isNotNull };
}

function removal(column: ColumnInfo, { change, known, source }: Planning): ColumnStep[] {
  // The stream does not carry what the server computes.
  if (change.from === 'shape' && column.generated !== '') return [];
  const before = known.get(column.name);
  if (before === undefined)
    throw new NotApplicable(`the target has a column "${column.name}" that the source never had`);
  if (before.attnum === null || source.some(({ attnum }) => attnum === before.attnum))
    throw exchanged(column.name);
  return [{ kind: 'drop', column: column.name }];
}

function changesOf(column: SourceColumn, here: ColumnInfo, planning: Planning): ColumnStep[] {
  const { isOurs, known, change, own } = planning;
  const { name, type, collation } = column;
  const steps: ColumnStep[] = [];
  const newest = known.get(here.name)?.forms.at(-1)?.type;
  // A type of its own is the user's decision, in a table of the user's.
  const is = (one: string) => newest !== undefined && isSameType(newest, one);
  const isTheirs = !isOurs && (is(type) || !is(here.type));
  if (own.isRetyped(name)) {
    if (!is(type))
      throw new NotApplicable(
        `column "${name}" was ${newest} and is ${type} on the source, and has a type of yours on the target`,
      );
  } else if (!isSameType(type, here.type) && !isTheirs) {
    const became = `column "${name}" was ${here.type} and is ${type} on the source`;
    if (!isWider(here.type, type))
      throw new NotApplicable(`${became}, which is no wider type of the same kind`);
    if (change.mayConvert)
      throw new NotApplicable(
        `${became}, and whether that changed its values is not known (USING, or a command inside another one)`,
      );
    steps.push({ kind: 'retype', column: name, type, collation });
  }
  if (isOurs && here.notNull && column.notNull === false && !own.isInOwnKey(name))
    steps.push({ kind: 'drop-not-null', column: name });
  return steps;
}
