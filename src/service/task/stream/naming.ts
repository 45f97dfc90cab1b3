/** A change of a table's columns under the names of the target: columns, types, and what is said over them. */
import type { QualifiedName } from '../../../engine/change/relation.ts';
import type { CatalogColumn } from '../../../engine/pg/catalog/tables/column-facts.ts';
import type { Session } from '../../../engine/pg/session.ts';
import { NotApplicable, type ColumnStep, type Planning } from '../../../engine/target/ddl/column-plan.ts';
import type { ColumnNaming } from '../../../engine/target/ddl/columns-there.ts';
import type { SourceColumn } from '../../../engine/target/ddl/source-column.ts';
import type { TaskRun } from '../task-run.ts';
import { ownOf } from './shapes.ts';
import { openTargetTexts, type TargetTexts } from './target-texts.ts';

export interface Naming extends ColumnNaming {
  /** With its collation and expression. Throws NotApplicable. */
  readonly written: (step: ColumnStep) => ColumnStep;
}

/** `now`: the columns that the table has on the source now. */
export async function openNaming(
  run: TaskRun,
  table: QualifiedName & { readonly oid: number; readonly now: readonly CatalogColumn[] },
  source: Session,
): Promise<Naming> {
  const { mapping } = run;
  const texts = await openTargetTexts(run, table, source);
  const keyOf = ({ attnum }: SourceColumn) => table.now.find((one) => one.attnum === attnum)?.expressionKey;
  return {
    column: (name) => mapping.column(table, name),
    type: texts.type,
    written: (step) => {
      if (step.kind === 'retype') return { ...step, collation: collationOf(step, texts) };
      if (step.kind !== 'add') return step;
      const { column } = step;
      const lacking = texts.lacks(keyOf(column) ?? '');
      if (lacking !== null)
        throw new NotApplicable(
          `column "${column.name}" is computed from column "${lacking}", which is left out`,
        );
      if (mapping.changesNames && column.past.kind === 'value' && /^reg[a-z]+(\[\])?$/.test(column.type))
        throw new NotApplicable(
          `column "${column.name}" was added with a value that names an object, which may be called otherwise on the target`,
        );
      const expression = column.expression === null ? null : texts.expression(column.expression);
      return { ...step, column: { ...column, expression, collation: collationOf(column, texts) } };
    },
  };
}

function collationOf(
  { collation }: { readonly collation: string | null },
  texts: TargetTexts,
): string | null {
  return collation === null ? null : texts.collation(collation);
}

/** What the user has changed of the table, by the names of the target. */
export function ownThere(
  run: TaskRun,
  table: QualifiedName,
  { columns, naming }: { readonly columns: readonly SourceColumn[]; readonly naming: Naming },
): Planning['own'] {
  const own = ownOf(run, table);
  const isAny = (there: string, is: (name: string) => boolean) =>
    columns.some(({ name }) => naming.column(name) === there && is(name));
  return {
    isRetyped: (there) => isAny(there, own.isRetyped),
    isInOwnKey: (there) => isAny(there, own.isInOwnKey),
  };
}
