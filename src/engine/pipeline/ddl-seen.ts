/**
 * A DDL command of the source, met in the stream at its place (C10): a table whose columns it has changed stops before that transaction,
 * unless its target table has those columns already. Everything else is only told. Pure.
 */
import { AppError } from '../../base/errors/app-error.ts';
import { displayName } from '../change/relation.ts';
import type { DdlEvent, DdlTable } from '../source/helpers/ddl-event.ts';
import type { TargetShape } from '../target/target-table.ts';

/** How the target table differs from what the command has made of the source's; null where it does not, or need not. */
export function differenceOf({ columns }: DdlTable, shape: TargetShape): string | null {
  if (columns === null || shape.asIs) return null;
  const there = new Map(shape.columns.map((column) => [column.name, column]));
  const missing = columns.find(({ name }) => !there.has(name) && !shape.leftOut.has(name));
  if (missing) return `the target has no column "${missing.name}"`;
  if (!shape.isOurs) return null;
  const here = new Set(columns.map(({ name }) => name));
  const dropped = shape.columns.find(({ name }) => !here.has(name));
  if (dropped) return `the source has no column "${dropped.name}" any more`;
  const retyped = columns.find(({ name, type }) => there.get(name)?.type !== type);
  return retyped ? `column "${retyped.name}" is ${retyped.type} on the source now` : null;
}

/** The error of the table that stops for the command. */
export function ddlSeen(event: DdlEvent, table: string, difference: string): AppError {
  return new AppError('DDL_SEEN', { table, difference, statement: oneLine(event.text) });
}

/** For a person, of a command that stops no table. */
export function ddlLine(event: DdlEvent): string {
  const what = event.tables.map(displayName).join(', ') || event.objects.join(', ');
  return `${event.tag} was run on the source (${what}) and is not repeated on the target: ${oneLine(event.text)}`;
}

const MAX_SHOWN = 300;

function oneLine(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > MAX_SHOWN ? `${line.slice(0, MAX_SHOWN)} …` : line;
}
