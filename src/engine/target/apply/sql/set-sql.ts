/**
 * The statements of the applier that change the rows of a window; pure. Many new rows go through COPY, few of them, updates and deletes as
 * one array per column (`unnest`), and a row that is alone without arrays. Values are ByteText and reach the server as they left the source.
 */
import type { ByteText, Tuple } from '../../../change/change.ts';
import { cellOf, PackedRow, unpacked, type Row } from '../../../change/packed-row.ts';
import type { RelationColumn } from '../../../change/relation.ts';
import { encoderFor } from '../../../pg/binary/encoder.ts';
import { BinaryRows } from '../../../pg/binary/rows.ts';
import type { Encoder } from '../../../pg/binary/text-bytes.ts';
import type { ColumnInfo } from '../../../pg/catalog/tables/tables.ts';
import { ident, qname } from '../../../pg/ident.ts';
import { ByteSink } from '../../../pg/wire/byte-sink.ts';
import { putPackedRow, putRow } from '../../../pg/wire/copy-rows.ts';
import { insertOne, rowsOf, writable, type Planned, type Slot } from './apply-sql.ts';
import { arraysOf, small, type ArrayColumn } from './column-array.ts';
import { sizeOfRow } from '../window/net-change.ts';
import { textOf } from './statement-text.ts';
import type { KeyColumn, TargetTable } from './target-table.ts';

type Rows = readonly Row[];

/** What unnest would take apart (arrays, composites, and domains, which may be either) travels as text and is read by the type's own input. */
function arrayParameter(
  { column }: Slot,
  position: number,
): { readonly type: string; readonly read: string } {
  return column.isArray || column.typeKind === 'c' || column.typeKind === 'd' || hasOwnDelimiter(column)
    ? { type: 'text', read: `u.c${position}::${column.bareType}` }
    : { type: column.bareType, read: `u.c${position}` };
}

/** The elements of an array of it may be parted by something else than a comma: box has ';', PostGIS's geometry ':'. */
function hasOwnDelimiter({ typeOid, typeKind, isBuiltinType }: ColumnInfo): boolean {
  return typeOid === 603 || (typeKind === 'b' && !isBuiltinType);
}

/** `unnest($1::int4[], …) u(c0, …)` over these columns, with how to read each. Several arrays are understood only under the bare name. */
function unnest(slots: readonly Slot[]): { readonly from: string; readonly reads: readonly string[] } {
  const parameters = slots.map(arrayParameter);
  const arrays = parameters.map(({ type }, at) => `$${at + 1}::${type}[]`).join(', ');
  return {
    from: `unnest(${arrays}) u(${slots.map((_, at) => `c${at}`).join(', ')})`,
    reads: parameters.map(({ read }) => read),
  };
}

/** One array a column, each in the form that costs least. */
function parameters(
  table: TargetTable,
  slots: readonly Slot[],
  rows: Rows,
): Required<Pick<Planned, 'values' | 'binary'>> {
  const columns = slots.map((slot, position): ArrayColumn => {
    const { typeOid, typeKind } = slot.column;
    const isText = arrayParameter(slot, position).type === 'text';
    const sourceType = table.relation.columns[slot.at]?.typeOid ?? 0;
    return { at: slot.at, sourceType, typeOid, typeKind, isText };
  });
  const arrays = arraysOf(rows, columns);
  return { values: arrays.map(({ bytes }) => bytes), binary: arrays.map(({ isBinary }) => isBinary) };
}

function keyMatch(key: readonly KeyColumn[], reads: readonly string[]): string {
  return key.map(({ column, equals }, at) => `t.${ident(column.name)} ${equals} ${reads[at]}`).join(' AND ');
}

/** So many rows are worth a COPY, which has to be followed by a round trip of its own: whether it took all of them is told behind it. */
const COPY_FROM = 65;

/**
 * New rows: together where that can be. COPY takes identity columns as they come. `isSmall`: all of their window may go in one round trip;
 * in a large one a set for each of thousands of tables is memory and nothing else.
 */
export function insertRows(table: TargetTable, rows: readonly Row[], isSmall: boolean): Planned[] {
  if (rows.length < 2 || writable(table).length === 0)
    return rows.map((row) => insertOne(table, unpacked(row)));
  return [isSmall && rows.length < COPY_FROM ? insertSet(table, rows) : copyIn(table, rows)];
}

function insertSet(table: TargetTable, rows: Rows): Planned {
  const slots = writable(table);
  const sql = textOf(table, 'insert', () => {
    const { from, reads } = unnest(slots);
    const columns = slots.map(({ column }) => ident(column.name)).join(', ');
    return `INSERT INTO ${qname(table.name)} (${columns}) OVERRIDING SYSTEM VALUE SELECT ${reads.join(', ')} FROM ${from}`;
  });
  return {
    sql,
    ...parameters(table, slots, rows),
    expect: rows.length,
    table,
    operation: 'insert',
    key: null,
  };
}

function copyIn(table: TargetTable, rows: readonly Row[]): Planned {
  const slots = writable(table);
  const binary = inBinary(table, rows);
  const columns = slots.map(({ column }) => ident(column.name)).join(', ');
  return {
    sql: `COPY ${qname(table.name)} (${columns}) FROM STDIN${binary ? ' (FORMAT binary)' : ''}`,
    values: [],
    copyData: binary ?? inText(table, rows),
    expect: rows.length,
    table,
    operation: 'insert',
    key: null,
  };
}

/** Null where a column's values, or one of these, can only go as text. */
function inBinary(table: TargetTable, rows: readonly Row[]): Buffer | null {
  const encoders = encodersOf(table);
  if (encoders === null) return null;
  const binary = new BinaryRows(encoders, sizeOfRows(rows));
  const isWritten = table.columns.map((column) => column !== null);
  for (const row of rows) {
    const isKnown =
      row instanceof PackedRow ? binary.putPacked(row, isWritten) : binary.put(writtenCells(table, row));
    if (isKnown) continue;
    // More of its rows may be such.
    inTextOnly.add(table);
    return null;
  }
  return binary.bytes();
}

function inText(table: TargetTable, rows: readonly Row[]): Buffer {
  const sink = new ByteSink(sizeOfRows(rows));
  const isWritten = table.columns.map((column) => column !== null);
  for (const row of rows) {
    if (row instanceof PackedRow) putPackedRow(row, isWritten, sink);
    else putRow(writtenCells(table, row), sink);
  }
  return sink.bytes();
}

/** About the bytes that they take, by the first of them. */
function sizeOfRows(rows: readonly Row[]): number {
  const [first] = rows;
  return 1.25 * rows.length * (first ? sizeOfRow(first) : 0);
}

function writtenCells(table: TargetTable, row: Tuple): (ByteText | null)[] {
  return writable(table).map(({ at }) => small(row[at]));
}

const inTextOnly = new WeakSet<TargetTable>();
/** Of tables that are alike: by their columns on the target, and those on the source. */
const encoded = new WeakMap<TargetTable['columns'], EncodersBySource>();
type EncodersBySource = WeakMap<readonly RelationColumn[], readonly Encoder[] | null>;

/** Null: rows of the table go as text. */
function encodersOf(table: TargetTable): readonly Encoder[] | null {
  if (inTextOnly.has(table)) return null;
  const sent = table.relation.columns;
  const bySource: EncodersBySource = encoded.get(table.columns) ?? new WeakMap();
  encoded.set(table.columns, bySource);
  const known = bySource.get(sent);
  if (known !== undefined) return known;
  const encoders = writable(table).flatMap(({ at, column }) => {
    const encoder = encoderFor(sent[at]?.typeOid ?? 0, column);
    return encoder ? [encoder] : [];
  });
  const all = encoders.length === writable(table).length ? encoders : null;
  bySource.set(sent, all);
  return all;
}

/** `from`: the arrays behind that word, nothing where a row is alone. `reads`: each slot. */
function given(
  slots: readonly Slot[],
  isOne: boolean,
  word: 'FROM' | 'USING',
): { readonly from: string; readonly reads: readonly string[] } {
  if (isOne) return { from: '', reads: slots.map(({ column }, at) => `$${at + 1}::${column.bareType}`) };
  const { from, reads } = unnest(slots);
  return { from: ` ${word} ${from}`, reads };
}

/** Of as many rows as there are. */
function valuesOf(
  table: TargetTable,
  slots: readonly Slot[],
  rows: Rows,
): Pick<Planned, 'values' | 'binary' | 'expect' | 'table' | 'key'> {
  const [row] = rows;
  const values =
    row && rows.length === 1
      ? { values: slots.map(({ at }) => small(cellOf(row, at))) }
      : parameters(table, slots, rows);
  return { ...values, expect: rows.length, table, key: null };
}

export function deleteSet(table: TargetTable, key: readonly KeyColumn[], rows: Rows): Planned {
  const isOne = rows.length === 1;
  const sql = textOf(table, isOne ? 'delete one' : 'delete', () => {
    const { from, reads } = given(key, isOne, 'USING');
    return `DELETE FROM ${rowsOf(table)} t${from} WHERE ${keyMatch(key, reads)}`;
  });
  return { sql, ...valuesOf(table, key, rows), operation: 'delete' };
}

/** All rows set the same columns. */
export function updateSet(
  table: TargetTable,
  key: readonly KeyColumn[],
  sets: readonly Slot[],
  rows: Rows,
): Planned {
  const slots = [...key, ...sets];
  const isOne = rows.length === 1;
  const places = sets.map(({ at }) => at).join();
  const sql = textOf(table, `${isOne ? 'update one' : 'update'} ${places}`, () => {
    const { from, reads } = given(slots, isOne, 'FROM');
    const assignments = sets.map(({ column }, at) => `${ident(column.name)} = ${reads[key.length + at]}`);
    return `UPDATE ${rowsOf(table)} t SET ${assignments.join(', ')}${from} WHERE ${keyMatch(key, reads)}`;
  });
  return { sql, ...valuesOf(table, slots, rows), operation: 'update' };
}
