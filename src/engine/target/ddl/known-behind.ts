/** What a task knows of a table's columns once its target has followed a change. Pure. */
import type { KnownColumn, KnownColumns } from '../books/task-tables.ts';
import { isLeftOut, type ColumnStep } from './column-plan.ts';
import type { SourceColumn } from './source-column.ts';

/** What has been done on the target, in its names. */
interface Done {
  readonly steps: readonly ColumnStep[];
  /** Before it. */
  readonly target: readonly { readonly name: string }[];
  /** What the target calls a column of the source; null: it is left out. */
  readonly nameThere: (name: string) => string | null;
}

/**
 * `source`: the columns behind the change, in the source's names. Names of before stay, because changes from before have them; but what
 * bears none of the source's numbers any more is nobody's.
 */
export function knownBehind(
  known: KnownColumns,
  source: readonly SourceColumn[],
  { steps, target, nameThere }: Done,
): KnownColumns {
  const columns = new Map(known);
  const here = new Set(source.map(({ name }) => name));
  const left = new Set(target.map(({ name }) => name));
  for (const step of steps) if (step.kind === 'drop' || step.kind === 'rename') left.delete(step.column);
  const isLeft = (name: string) => here.has(name) || left.has(nameThere(name) ?? '');
  for (const [name, one] of known) if (!isLeft(name)) columns.set(name, { ...one, attnum: null });
  const formerNames = new Map(
    steps.flatMap((step) => (step.kind === 'rename' ? [[step.to, step.column] as const] : [])),
  );
  for (const column of source) {
    const { name, typeOid, typmod, type } = column;
    const there = nameThere(name);
    const former = there === null ? undefined : formerNames.get(there);
    const before =
      known.get(name) ??
      [...known].find(
        ([one, { attnum }]) => former !== undefined && nameThere(one) === former && attnum === column.attnum,
      )?.[1];
    const attnum = column.attnum ?? before?.attnum ?? null;
    const isNew = known.get(name) === undefined;
    const isAbsent =
      there === null || (before === undefined ? isLeftOut(column, known) : before.forms.length === 0);
    if (isAbsent && !steps.some((step) => step.kind === 'add' && step.column.name === there)) {
      columns.set(name, { forms: [], isLater: isNew || (before?.isLater ?? false), attnum });
      continue;
    }
    const forms = before?.forms ?? [];
    const isKnown = forms.some((form) => form.typeOid === typeOid && form.typmod === typmod);
    const one: KnownColumn = {
      forms: isKnown ? forms : [...forms, { typeOid, typmod, type }],
      isLater: isNew || before === undefined || before.isLater || before.attnum !== attnum,
      attnum,
    };
    columns.set(name, one);
  }
  return columns;
}
