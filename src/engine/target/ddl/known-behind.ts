/** What a task knows of a table's columns once its target has followed a change. Pure. */
import type { KnownColumn, KnownColumns } from '../books/task-tables.ts';
import { isLeftOut, type ColumnStep } from './column-plan.ts';
import type { SourceColumn } from './source-column.ts';

/**
 * `source`: the columns behind the change; `target`: the names in the target before it. Names of before stay, because changes from before
 * have them; but what bears none of the source's numbers any more is nobody's.
 */
export function knownBehind(
  known: KnownColumns,
  source: readonly SourceColumn[],
  { steps, target }: { readonly steps: readonly ColumnStep[]; readonly target: readonly { name: string }[] },
): KnownColumns {
  const columns = new Map(known);
  const left = new Set(target.map(({ name }) => name));
  for (const step of steps) if (step.kind === 'drop' || step.kind === 'rename') left.delete(step.column);
  for (const { name } of source) left.add(name);
  for (const [name, one] of known) if (!left.has(name)) columns.set(name, { ...one, attnum: null });
  const formerNames = new Map(
    steps.flatMap((step) => (step.kind === 'rename' ? [[step.to, step.column] as const] : [])),
  );
  for (const column of source) {
    const { name, typeOid, typmod, type } = column;
    const before = known.get(name) ?? known.get(formerNames.get(name) ?? '');
    const attnum = column.attnum ?? before?.attnum ?? null;
    const isNew = known.get(name) === undefined;
    const isAbsent = before === undefined ? isLeftOut(column, known) : before.forms.length === 0;
    if (isAbsent && !steps.some((step) => step.kind === 'add' && step.column.name === name)) {
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
