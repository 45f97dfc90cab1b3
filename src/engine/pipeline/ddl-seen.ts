/**
 * A DDL command of the source, met in the stream at its place (C10): a table whose columns it has changed stops before that transaction,
 * unless its target table has those columns already. Everything else is only told. Pure.
 */
import { AppError } from '../../base/errors/app-error.ts';
import { displayName, type Relation } from '../change/relation.ts';
import type { DdlEvent, DdlTable } from '../source/helpers/ddl-event.ts';
import type { ChangedColumn, TableChange } from '../target/ddl/table-change.ts';
import { clash, type TargetShape } from '../target/apply/sql/target-table.ts';

/**
 * How the target table differs from what the command has made of the source's; null where it does not, or need not. `nulls`: a column
 * that may be null on the source alone counts.
 */
export function differenceOf({ columns }: DdlTable, shape: TargetShape, nulls: boolean): string | null {
  if (columns === null || shape.asIs) return null;
  const taken = columns.filter(({ name }) => shape.names.column(name) !== null);
  const there = new Map(shape.columns.map((column) => [column.name, column]));
  const into = (name: string) => there.get(shape.names.column(name) ?? '');
  const clashing = clash(
    taken.map(({ name }) => name),
    shape.names,
  );
  if (clashing !== null) return clashing;
  const missing = taken.find(({ name }) => !into(name) && !shape.leftOut.has(name));
  if (missing) return `the target has no column "${shape.names.column(missing.name)}"`;
  const replaced = taken.find(
    ({ name, attnum }) => into(name) && (shape.known.get(name)?.attnum ?? attnum) !== attnum,
  );
  if (replaced) return `column "${replaced.name}" is another one on the source now, under the same name`;
  if (!shape.isOurs) return null;
  const here = new Set(columns.map(({ name }) => shape.names.column(name)));
  const dropped = shape.columns.find(({ name }) => !here.has(name));
  if (dropped) return `the source has no column "${dropped.name}" any more`;
  // The type that the user gave it stays; what the source makes of its own may be other values.
  const isAsBefore = ({ name, type }: { readonly name: string; readonly type: string | null }) =>
    shape.names.isRetyped(name)
      ? shape.known.get(name)?.forms.at(-1)?.type === type
      : shape.names.isType(type ?? '', into(name)?.type ?? '');
  const retyped = taken.find((column) => !isAsBefore(column));
  if (retyped) return `column "${retyped.name}" is ${retyped.type} on the source now`;
  const loosened =
    nulls &&
    taken.find(
      ({ name, notNull }) => !notNull && into(name)?.notNull === true && !shape.names.isInOwnKey(name),
    );
  return loosened ? `column "${loosened.name}" may be null on the source now` : null;
}

/** A table that does not fit a command of the open transaction. Later commands of it may have changed it again. */
export interface Misfit {
  readonly event: DdlEvent;
  readonly difference: string;
  readonly change: TableChange | null;
}

/** `before`: of a command just before, which this one has added to; `afterRows`: the transaction has changed rows of the table. */
export function misfit(
  { event, table, difference }: { event: DdlEvent; table: DdlTable; difference: string },
  before: Misfit | undefined,
  afterRows: boolean,
): Misfit {
  const change = changeOf(event, table, afterRows);
  if (!before) return { event, difference, change };
  const isBoth = change && before.change;
  return {
    event: before.event,
    difference,
    change: isBoth
      ? { ...change, mayConvert: change.mayConvert || isBoth.mayConvert, afterRows: isBoth.afterRows }
      : null,
  };
}

/** Null where the capture in the source does not tell enough. */
function changeOf(event: DdlEvent, { oid, columns }: DdlTable, afterRows: boolean): TableChange | null {
  const changed = columns?.map(({ more, ...column }): ChangedColumn | null => {
    if (more === null) return null;
    const { generated, identity, collation } = more;
    return {
      ...column,
      typeOid: more.oid,
      typmod: more.mod,
      generated,
      identity,
      collation,
      hasMissing: more.missing,
      missing: more.value,
      hasDefault: more.default,
    };
  });
  const known = changed?.filter((column) => column !== null) ?? [];
  if (known.length === 0 || known.length !== changed?.length) return null;
  // The text is not the command itself where a function ran it, and not all of it where it was cut.
  const mayConvert = event.isNested || event.isCut || /\busing\b/i.test(event.text);
  return { oid, from: 'command', columns: known, mayConvert, afterRows };
}

/** Of a table that is met in another shape, without a command that tells of it. */
export function shapeChange({ oid, columns }: Relation, afterRows: boolean): TableChange {
  const nothing = {
    generated: '',
    identity: '',
    hasMissing: false,
    missing: null,
    hasDefault: false,
  } as const;
  const unknown = { attnum: null, type: null, notNull: null, collation: null, ...nothing } as const;
  return {
    oid,
    from: 'shape',
    columns: columns.map(({ name, typeOid, typmod }) => ({ ...unknown, name, typeOid, typmod })),
    mayConvert: true,
    afterRows,
  };
}

/** The error of the table that stops for the command. */
export function ddlSeen(event: DdlEvent, table: string, difference: string): AppError {
  return new AppError('DDL_SEEN', { table, difference, statement: oneLine(event.text) });
}

/** For a person, of a command that stops no table. */
export function ddlLine(event: DdlEvent): string {
  const what = oneLine(event.tables.map(displayName).join(', ') || event.objects.join(', '));
  return `${event.tag} was run on the source (${what}) and is not repeated on the target: ${oneLine(event.text)}`;
}

const MAX_SHOWN = 300;

function oneLine(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > MAX_SHOWN ? `${line.slice(0, MAX_SHOWN)} …` : line;
}
