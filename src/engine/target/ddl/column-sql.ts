/** The statements of a column plan, and words for a person. Never CASCADE: what else depends on a column makes the server refuse. Pure. */
import { ident, literal } from '../../pg/ident.ts';
import type { ColumnStep } from './column-plan.ts';
import type { SourceColumn } from './source-column.ts';

/** `on`: the table, quoted. */
export function stepSql(step: ColumnStep, on: string, version: number): string {
  const alter = `ALTER TABLE ${on}`;
  const column = ident(step.kind === 'add' ? step.column.name : step.column);
  switch (step.kind) {
    case 'rename':
      return `${alter} RENAME COLUMN ${column} TO ${ident(step.to)}`;
    case 'drop':
      return `${alter} DROP COLUMN ${column}`;
    case 'retype':
      return `${alter} ALTER COLUMN ${column} TYPE ${step.type}${collate(step)}`;
    case 'drop-not-null':
      return `${alter} ALTER COLUMN ${column} DROP NOT NULL`;
    case 'add':
      return [
        `${alter} ADD COLUMN ${column} ${step.column.type}${collate(step.column)}`,
        ...generation(step.column, version),
        ...(step.column.past.kind === 'value' ? [`DEFAULT ${literal(step.column.past.text)}`] : []),
        ...(step.isNotNull ? ['NOT NULL'] : []),
      ].join(' ');
  }
}

function collate({ collation }: { readonly collation: string | null }): string {
  return collation === null ? '' : ` COLLATE ${collation}`;
}

/** As in column-ddl.ts: before PostgreSQL 18 a virtual one is stored. */
function generation({ generated, expression }: SourceColumn, version: number): string[] {
  if (generated === '' || expression === null) return [];
  return [
    `GENERATED ALWAYS AS (${expression}) ${generated === 'v' && version >= 180_000 ? 'VIRTUAL' : 'STORED'}`,
  ];
}

/** What a column that was added gives to new rows: the default of the source, which may need what the target does not have. */
export function defaultSql({ name, expression, generated, past }: SourceColumn, on: string): string | null {
  const alter = `ALTER TABLE ${on} ALTER COLUMN ${ident(name)}`;
  if (generated !== '') return null;
  if (expression !== null) return `${alter} SET DEFAULT ${expression}`;
  return past.kind === 'value' ? `${alter} DROP DEFAULT` : null;
}

export function stepWords(step: ColumnStep): string {
  switch (step.kind) {
    case 'rename':
      return `column "${step.column}" renamed to "${step.to}"`;
    case 'drop':
      return `column "${step.column}" dropped`;
    case 'retype':
      return `column "${step.column}" is ${step.type} now`;
    case 'drop-not-null':
      return `column "${step.column}" may be null now`;
    case 'add':
      return `column "${step.column.name}" (${step.column.type}) added`;
  }
}
