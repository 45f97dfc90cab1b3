/** The columns behind a change, and what is known of those before it, under the names of the target: there a change is planned. Pure. */
import type { KnownColumn, KnownColumns } from '../books/task-tables.ts';
import { NotApplicable } from './column-plan.ts';
import type { SourceColumn } from './source-column.ts';

/** How the target calls what a text of the source speaks of. */
export interface ColumnNaming {
  /** Null: the column is left out. */
  readonly column: (name: string) => string | null;
  readonly type: (text: string) => string;
}

/** Of one table. Expressions stay as they are: those that are needed are put into other names when it is known which. */
export interface ColumnsThere {
  readonly source: readonly SourceColumn[];
  readonly known: KnownColumns;
}

/** A column that is left out stays so, whatever it is called. Throws NotApplicable. */
export function columnsThere({ source, known }: ColumnsThere, { column, type }: ColumnNaming): ColumnsThere {
  const isOut = (name: string) => column(name) === null;
  const numbersOut = new Set([...known].flatMap(([name, { attnum }]) => (isOut(name) ? [attnum] : [])));
  for (const { name, attnum } of source) assertStays(name, attnum, { known, isOut });
  const left = source.filter(
    ({ name, attnum }) => !isOut(name) && (attnum === null || !numbersOut.has(attnum)),
  );
  const names = new Map<string, string>();
  const there = left.map((one): SourceColumn => {
    const name = column(one.name) ?? one.name;
    const other = names.get(name);
    if (other !== undefined)
      throw new NotApplicable(`columns "${other}" and "${one.name}" would both be "${name}" on the target`);
    names.set(name, one.name);
    return { ...one, name, type: type(one.type) };
  });
  return { source: there, known: knownThere(known, { column, type }) };
}

/** It is on the target, and its name is now one of those that are not to be there. */
function assertStays(
  name: string,
  attnum: number | null,
  { known, isOut }: { known: KnownColumns; isOut: (name: string) => boolean },
): void {
  if (!isOut(name) || attnum === null) return;
  const former = [...known].find(
    ([before, one]) => one.attnum === attnum && one.forms.length > 0 && !isOut(before),
  );
  if (former)
    throw new NotApplicable(
      `column "${former[0]}" is called "${name}" now, which is left out; on the target it is there`,
    );
}

/** Several names of one column, one after the other, may be one there. */
function knownThere(known: KnownColumns, { column, type }: ColumnNaming): KnownColumns {
  const there = new Map<string, KnownColumn>();
  for (const [name, one] of known) {
    const wanted = column(name);
    if (wanted === null) continue;
    const before = there.get(wanted);
    const forms = one.forms.map((form) => ({ ...form, type: type(form.type) }));
    there.set(wanted, {
      forms: [...(before?.forms ?? []), ...forms],
      isLater: one.isLater && (before?.isLater ?? true),
      attnum: one.attnum ?? before?.attnum ?? null,
    });
  }
  return there;
}
