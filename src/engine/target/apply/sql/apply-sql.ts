/**
 * The statements of the applier that change one row, or empty tables; pure. Sets are in set-sql.ts. Values are ByteText and reach the
 * server as they left the source.
 */
import {
  isSame,
  readable,
  UNCHANGED,
  type ByteText,
  type Cell,
  type LargeValue,
  type PlacedChange,
  type RowChange,
  type Tuple,
} from '../../../change/change.ts';
import type { KeyCut } from '../../../change/cut.ts';
import { PackedRow, type Row } from '../../../change/packed-row.ts';
import { displayName } from '../../../change/relation.ts';
import type { ColumnInfo } from '../../../pg/catalog/tables/tables.ts';
import { keyCondition } from '../../../pg/chunk-condition.ts';
import { ident, qname } from '../../../pg/ident.ts';
import type { Statement } from '../../../pg/wire/pipeline.ts';
import { textOf } from './statement-text.ts';
import type { KeyColumn, TargetTable } from './target-table.ts';

export interface Planned extends Statement {
  /** Rows the statement must touch (P11); null where any number is right. */
  readonly expect: number | null;
  readonly table: TargetTable;
  readonly operation: 'insert' | 'update' | 'delete' | 'truncate';
  /** The single row's key for error texts; null for sets. */
  readonly key: readonly Cell[] | null;
  /** The change that it is, alone or with its neighbours of the same change. None for sets. */
  readonly change?: PlacedChange;
}

/** A column that a statement writes or compares. */
export interface Slot {
  readonly at: number;
  readonly column: ColumnInfo;
}

/** The table where rows are found or changed. */
export function rowsOf(table: TargetTable): string {
  return `${table.only ? 'ONLY ' : ''}${qname(table.name)}`;
}

/** By the columns, which tables that are alike share. */
const slotsOf = new WeakMap<TargetTable['columns'], readonly Slot[]>();

/** Columns an INSERT writes. */
export function writable(table: TargetTable): readonly Slot[] {
  const known = slotsOf.get(table.columns);
  if (known) return known;
  const slots = table.columns.flatMap((column, at) => (column ? [{ at, column }] : []));
  slotsOf.set(table.columns, slots);
  return slots;
}

/** Columns a folded UPDATE sets when these cells are known. */
export function settable(table: TargetTable, row: Row, key: readonly KeyColumn[]): readonly Slot[] {
  // A packed row is known as a whole.
  const isKnown = ({ at }: Slot) => row instanceof PackedRow || row[at] !== UNCHANGED;
  return writable(table).filter((slot) => isKnown(slot) && !key.some((part) => part.at === slot.at));
}

export function value(cell: Cell | undefined): ByteText | LargeValue | null {
  if (cell === UNCHANGED || cell === undefined) throw new Error('an unchanged TOAST value cannot be written');
  return cell;
}

export function insertOne(table: TargetTable, row: Tuple): Planned {
  const slots = writable(table);
  const sql = textOf(table, 'insert one', () => {
    const names = slots.map(({ column }) => ident(column.name)).join(', ');
    return slots.length === 0
      ? `INSERT INTO ${qname(table.name)} DEFAULT VALUES`
      : `INSERT INTO ${qname(table.name)} (${names}) OVERRIDING SYSTEM VALUE VALUES (${slots.map((_, at) => `$${at + 1}`).join(', ')})`;
  });
  return {
    sql,
    values: slots.map(({ at }) => value(row[at])),
    expect: 1,
    table,
    operation: 'insert',
    key: keyCells(table, row),
  };
}

/** The row, unless there is one of its key; touches one row or none. */
export function insertMissing(table: TargetTable, key: readonly KeyColumn[], row: Tuple): Planned {
  const slots = writable(table);
  const read = ({ at, column }: Slot) =>
    `$${slots.findIndex((slot) => slot.at === at) + 1}::${column.bareType}`;
  const same = key.map((part) => `t.${ident(part.column.name)} ${part.equals} ${read(part)}`).join(' AND ');
  return {
    sql: `INSERT INTO ${qname(table.name)} (${slots.map(({ column }) => ident(column.name)).join(', ')}) OVERRIDING SYSTEM VALUE SELECT ${slots.map(read).join(', ')} WHERE NOT EXISTS (SELECT FROM ${rowsOf(table)} t WHERE ${same})`,
    values: slots.map(({ at }) => value(row[at])),
    expect: null,
    table,
    operation: 'insert',
    key: keyCells(table, row),
  };
}

function keyCells(table: TargetTable, row: Tuple): readonly Cell[] | null {
  return table.key?.map(({ at }) => row[at] ?? null) ?? null;
}

/** One change as it stands; null for an update that sets nothing. */
export function changeOne(table: TargetTable, change: RowChange): Planned | null {
  if (change.kind === 'insert') return insertOne(table, change.new);
  if (change.kind === 'delete') return deleteOne(table, change.old);
  return updateOne(table, oldRow(table, change.old, change.new), change.new);
}

/** What finds the row: all of the old row where it was sent, else its old key, else the (unchanged) key in the new row. */
function oldRow(table: TargetTable, old: Tuple | null, row: Tuple): Tuple {
  if (old === null) return row;
  if (!table.key || table.relation.replicaIdentity === 'full') return old;
  return row.map((cell, at) => (table.key?.some((part) => part.at === at) ? (old[at] ?? cell) : cell));
}

/** `old` has the key of the row (or all its columns); exactly one row goes, also where there are equal ones. */
export function deleteOne(table: TargetTable, old: Tuple): Planned {
  const found = findOne(table, old, 0);
  return {
    sql: `DELETE FROM ${rowsOf(table)} t WHERE ${found.where}`,
    values: found.values,
    expect: 1,
    table,
    operation: 'delete',
    key: keyCells(table, old),
  };
}

/** `old` as in deleteOne; sets every column of `row` that is known, key columns too when they changed. Null when nothing is left to set. */
export function updateOne(table: TargetTable, old: Tuple, row: Tuple): Planned | null {
  const isKey = ({ at }: Slot) => table.key?.some((part) => part.at === at) ?? false;
  const moved = (slot: Slot) => row[slot.at] !== UNCHANGED && !isSame(row[slot.at], old[slot.at]);
  // The old value of a column outside the identity is not known: it may have changed.
  const knowsOld = (slot: Slot) => isKey(slot) || table.relation.replicaIdentity === 'full';
  const slots = writable(table);
  if (slots.some((slot) => slot.column.identity === 'a' && (moved(slot) || !knowsOld(slot))))
    return rewriteOne(table, old, row);
  const keyMoves = slots.some((slot) => isKey(slot) && moved(slot));
  const sets = slots.filter(
    (slot) => row[slot.at] !== UNCHANGED && slot.column.identity !== 'a' && (keyMoves || !isKey(slot)),
  );
  if (sets.length === 0) return null;
  const assignments = sets.map(({ column }, at) => `${ident(column.name)} = $${at + 1}`).join(', ');
  const found = findOne(table, old, sets.length);
  const sql = `UPDATE ${rowsOf(table)} t SET ${assignments} WHERE ${found.where}`;
  return {
    sql,
    values: [...sets.map(({ at }) => value(row[at])), ...found.values],
    expect: 1,
    table,
    operation: 'update',
    key: keyCells(table, old),
  };
}

/** GENERATED ALWAYS AS IDENTITY cannot be SET: the row is taken out and put back, values that did not change as they were. */
function rewriteOne(table: TargetTable, old: Tuple, row: Tuple): Planned {
  const slots = writable(table);
  const known = slots.filter(({ at }) => row[at] !== UNCHANGED);
  const read = (slot: Slot) => {
    const at = known.indexOf(slot);
    return at < 0 ? `d.${ident(slot.column.name)}` : `$${at + 1}::${slot.column.bareType}`;
  };
  const found = findOne(table, old, known.length);
  const sql = `WITH d AS (DELETE FROM ${rowsOf(table)} t WHERE ${found.where} RETURNING *) INSERT INTO ${qname(table.name)} (${slots
    .map(({ column }) => ident(column.name))
    .join(', ')}) OVERRIDING SYSTEM VALUE SELECT ${slots.map(read).join(', ')} FROM d`;
  return {
    sql,
    values: [...known.map(({ at }) => value(row[at])), ...found.values],
    expect: 1,
    table,
    operation: 'update',
    key: keyCells(table, old),
  };
}

/** A condition that names exactly one row: by the key, else one of the rows equal in all columns. */
function findOne(
  table: TargetTable,
  old: Tuple,
  taken: number,
): { where: string; values: (ByteText | LargeValue | null)[] } {
  if (table.key) {
    const where = table.key
      .map(
        ({ column, equals }, at) =>
          `t.${ident(column.name)} ${equals} $${taken + at + 1}::${column.bareType}`,
      )
      .join(' AND ');
    return { where, values: table.key.map(({ at }) => value(old[at])) };
  }
  const slots = writable(table);
  // A row's place is unique in one table only.
  const place = (alias: string) => (table.only ? `${alias}.ctid` : `${alias}.tableoid, ${alias}.ctid`);
  const same =
    slots
      .map(({ column, at: from }, at) => {
        const sent = table.relation.columns[from];
        const isSame = sent?.typeOid === column.typeOid && sent.typmod === column.typmod;
        // A type of a user's own has another oid on each server.
        return sameValue(column, `$${taken + at + 1}`, isSame || !column.isBuiltinType);
      })
      .join(' AND ') || 'true';
  return {
    where: `(${place('t')}) = (SELECT ${place('x')} FROM ${rowsOf(table)} x WHERE ${same} LIMIT 1)`,
    values: slots.map(({ at }) => value(old[at])),
  };
}

/** Types compared by their own equality because it means the same text. */
const EXACT = new Set([16, 17, 20, 21, 23, 26, 1082, 1083, 1114, 1184, 2950]);

/**
 * The column holds exactly this value, as text: 1.0 is not 1.00, and types without equality compare too. `isSent`: it has the type of the
 * value; else it holds what its own type has made of that.
 */
function sameValue(column: ColumnInfo, parameter: string, isSent: boolean): string {
  const name = `x.${ident(column.name)}`;
  const read = `${parameter}::${isSent ? column.bareType : column.type}`;
  if (EXACT.has(column.typeOid)) return `${name} IS NOT DISTINCT FROM ${read}`;
  // Floats print differently before 12, and -0 equals 0: their bytes tell them apart.
  const send = column.typeOid === 701 ? 'float8send' : column.typeOid === 700 ? 'float4send' : null;
  if (send) return `pg_catalog.${send}(${name}) IS NOT DISTINCT FROM pg_catalog.${send}(${read})`;
  // A parameter has one type: that of its first cast.
  const text = isSent ? `${parameter}::text` : `pg_catalog.format('%s', ${parameter}::text::${column.type})`;
  return `CASE WHEN ${parameter}::text IS NULL THEN ${name} IS NOT DISTINCT FROM NULL ELSE ${name} IS DISTINCT FROM NULL AND pg_catalog.format('%s', ${name}) COLLATE pg_catalog."C" = ${text} END`;
}

export function truncateAll(tables: readonly TargetTable[], restartIdentity: boolean): Planned {
  const [first] = tables;
  if (!first) throw new Error('TRUNCATE of no table');
  const names = tables.map(rowsOf).join(', ');
  return {
    sql: `TRUNCATE ${names}${restartIdentity ? ' RESTART IDENTITY' : ''}`,
    values: [],
    expect: null,
    table: first,
    operation: 'truncate',
    key: null,
  };
}

/** Takes out the rows of one of the tables that go into this one together. */
export function deletePart(table: TargetTable): Planned {
  return {
    sql: `DELETE FROM ${rowsOf(table)} WHERE ${table.part ?? 'false'}`,
    values: [],
    expect: null,
    table,
    operation: 'truncate',
    key: null,
  };
}

/** Empties some ranges of a table's key. */
export function deleteRanges(table: TargetTable, cut: KeyCut, chunks: readonly number[]): Planned {
  const key = table.columns[table.relation.columns.findIndex(({ name }) => name === cut.column)];
  const there = { ...cut, column: key?.name ?? cut.column };
  const where = chunks
    .map((chunk) => `(${keyCondition(there, chunk, key ? [key] : []) ?? 'true'})`)
    .join(' OR ');
  return {
    sql: `DELETE FROM ${rowsOf(table)} WHERE ${where}`,
    values: [],
    expect: null,
    table,
    operation: 'truncate',
    key: null,
  };
}

/** For error texts: `(a, b)` = the key, cut short. */
export function describeKey(planned: Planned): string {
  if (!planned.key || !planned.table.key) return '(unknown)';
  const names = planned.table.key.map(({ column }) => column.name).join(', ');
  const cells = planned.key.map((cell) =>
    cell === null || cell === UNCHANGED ? 'NULL' : readable(cell).slice(0, 80),
  );
  return `(${names}) = (${cells.join(', ')})`;
}

export function describeTable(table: TargetTable): string {
  return displayName(table.name);
}
