/**
 * The statements of the applier, pure: rows in, SQL and values out. Sets go as one array per column (`unnest`), ordered changes one
 * row a statement. Values are ByteText and reach the server as they left the source.
 */
import { UNCHANGED, type ByteText, type Cell, type Tuple } from '../change/change.ts';
import { displayName } from '../change/relation.ts';
import type { ColumnInfo } from '../pg/catalog/tables.ts';
import { ident, qname } from '../pg/ident.ts';
import type { Statement } from '../pg/wire/pipeline.ts';
import type { KeyColumn, TargetTable } from './target-table.ts';

export interface Planned extends Statement {
  /** Rows the statement must touch (P11); null where any number is right. */
  readonly expect: number | null;
  readonly table: TargetTable;
  readonly operation: 'insert' | 'update' | 'delete' | 'truncate';
  /** The single row's key for error texts; null for sets. */
  readonly key: readonly Cell[] | null;
}

/** A set element: the key's cells, then the other cells the statement needs. */
type Rows = readonly Tuple[];

interface Slot {
  readonly at: number;
  readonly column: ColumnInfo;
}

/** Columns an INSERT writes. */
export function writable(table: TargetTable): readonly Slot[] {
  return table.columns.flatMap((column, at) => (column ? [{ at, column }] : []));
}

/** GENERATED ALWAYS AS IDENTITY cannot be SET: outside the key such a column is matched instead, so that a change of it is never lost in silence. */
function isFixed({ at, column }: Slot, key: readonly KeyColumn[]): boolean {
  return column.identity === 'a' && !key.some((part) => part.at === at);
}

/** Columns an UPDATE sets when these cells are known. */
export function settable(table: TargetTable, tuple: Tuple, key: readonly KeyColumn[]): readonly Slot[] {
  return writable(table).filter(
    (slot) => tuple[slot.at] !== UNCHANGED && !isFixed(slot, key) && !key.some((part) => part.at === slot.at),
  );
}

function fixed(table: TargetTable, key: readonly KeyColumn[]): readonly Slot[] {
  return writable(table).filter((slot) => isFixed(slot, key));
}

function value(cell: Cell | undefined): ByteText | null {
  if (cell === UNCHANGED || cell === undefined) throw new Error('an unchanged TOAST value cannot be written');
  return cell;
}

/** `{"a",NULL,"b\"c"}`: the text form of a one-dimensional array. */
export function arrayLiteral(cells: readonly (ByteText | null)[]): ByteText {
  const parts = cells.map((cell) =>
    cell === null ? 'NULL' : `"${/["\\]/.test(cell) ? cell.replace(/["\\]/g, '\\$&') : cell}"`,
  );
  return `{${parts.join(',')}}` as ByteText;
}

/** What unnest would take apart (arrays, composites, and domains, which may be either) travels as text and is read by the type's own input. */
function arrayParameter(
  { column }: Slot,
  position: number,
): { readonly type: string; readonly read: string } {
  return column.isArray || column.typeKind === 'c' || column.typeKind === 'd'
    ? { type: 'text', read: `u.c${position}::${column.bareType}` }
    : { type: column.bareType, read: `u.c${position}` };
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

function columnArrays(slots: readonly Slot[], rows: Rows): ByteText[] {
  return slots.map(({ at }) => arrayLiteral(rows.map((row) => value(row[at]))));
}

function keyMatch(key: readonly KeyColumn[], reads: readonly string[]): string {
  return key.map(({ column, equals }, at) => `t.${ident(column.name)} ${equals} ${reads[at]}`).join(' AND ');
}

export function insertSet(table: TargetTable, rows: Rows): Planned {
  const slots = writable(table);
  const { from, reads } = unnest(slots);
  const sql = `INSERT INTO ${qname(table.name)} (${slots.map(({ column }) => ident(column.name)).join(', ')}) OVERRIDING SYSTEM VALUE SELECT ${reads.join(', ')} FROM ${from}`;
  return {
    sql,
    values: columnArrays(slots, rows),
    expect: rows.length,
    table,
    operation: 'insert',
    key: null,
  };
}

export function deleteSet(table: TargetTable, key: readonly KeyColumn[], rows: Rows): Planned {
  const { from, reads } = unnest(key);
  const sql = `DELETE FROM ${qname(table.name)} t USING ${from} WHERE ${keyMatch(key, reads)}`;
  return { sql, values: columnArrays(key, rows), expect: rows.length, table, operation: 'delete', key: null };
}

/** All rows set the same columns. */
export function updateSet(
  table: TargetTable,
  key: readonly KeyColumn[],
  sets: readonly Slot[],
  rows: Rows,
): Planned {
  const guards = fixed(table, key);
  const slots = [...key, ...sets, ...guards];
  const { from, reads } = unnest(slots);
  const assignments = sets.map(({ column }, at) => `${ident(column.name)} = ${reads[key.length + at]}`);
  const guard = guards
    .map(
      ({ column }, at) =>
        ` AND t.${ident(column.name)} IS NOT DISTINCT FROM ${reads[key.length + sets.length + at]}`,
    )
    .join('');
  const sql = `UPDATE ${qname(table.name)} t SET ${assignments.join(', ')} FROM ${from} WHERE ${keyMatch(key, reads)}${guard}`;
  return {
    sql,
    values: columnArrays(slots, rows),
    expect: rows.length,
    table,
    operation: 'update',
    key: null,
  };
}

export function insertOne(table: TargetTable, row: Tuple): Planned {
  const slots = writable(table);
  const names = slots.map(({ column }) => ident(column.name)).join(', ');
  const sql =
    slots.length === 0
      ? `INSERT INTO ${qname(table.name)} DEFAULT VALUES`
      : `INSERT INTO ${qname(table.name)} (${names}) OVERRIDING SYSTEM VALUE VALUES (${slots.map((_, at) => `$${at + 1}`).join(', ')})`;
  return {
    sql,
    values: slots.map(({ at }) => value(row[at])),
    expect: 1,
    table,
    operation: 'insert',
    key: keyCells(table, row),
  };
}

function keyCells(table: TargetTable, row: Tuple): readonly Cell[] | null {
  return table.key?.map(({ at }) => row[at] ?? null) ?? null;
}

/** `old` has the key of the row (or all its columns); exactly one row goes, also where there are equal ones. */
export function deleteOne(table: TargetTable, old: Tuple): Planned {
  const found = findOne(table, old, 0);
  return {
    sql: `DELETE FROM ${qname(table.name)} t WHERE ${found.where}`,
    values: found.values,
    expect: 1,
    table,
    operation: 'delete',
    key: keyCells(table, old),
  };
}

/** `old` as in deleteOne; sets every column of `row` that is known, key columns too when they changed. Null when nothing is left to set. */
export function updateOne(table: TargetTable, old: Tuple, row: Tuple): Planned | null {
  const keyMoves = table.key?.some(({ at }) => row[at] !== UNCHANGED && row[at] !== old[at]) ?? false;
  const sets = writable(table).filter(
    (slot) =>
      row[slot.at] !== UNCHANGED &&
      slot.column.identity !== 'a' &&
      (keyMoves || !table.key?.some((part) => part.at === slot.at)),
  );
  const guards = writable(table).filter(
    ({ at, column }) => column.identity === 'a' && !table.key?.some((part) => part.at === at),
  );
  if (sets.length === 0) return null;
  const assignments = sets.map(({ column }, at) => `${ident(column.name)} = $${at + 1}`).join(', ');
  const found = findOne(table, old, sets.length);
  const guarded = table.key ? guards : [];
  const guard = guarded
    .map(
      ({ column }, at) =>
        ` AND t.${ident(column.name)} IS NOT DISTINCT FROM $${sets.length + found.values.length + at + 1}`,
    )
    .join('');
  return {
    sql: `UPDATE ${qname(table.name)} t SET ${assignments} WHERE ${found.where}${guard}`,
    values: [
      ...sets.map(({ at }) => value(row[at])),
      ...found.values,
      ...guarded.map(({ at }) => value(row[at])),
    ],
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
): { where: string; values: (ByteText | null)[] } {
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
  const same = slots.map(({ column }, at) => sameValue(column, `$${taken + at + 1}`)).join(' AND ') || 'true';
  return {
    where: `t.ctid = (SELECT x.ctid FROM ${qname(table.name)} x WHERE ${same} LIMIT 1)`,
    values: slots.map(({ at }) => value(old[at])),
  };
}

/** Types compared by their own equality because it means the same text. */
const EXACT = new Set([16, 17, 20, 21, 23, 26, 1082, 1083, 1114, 1184, 2950]);

/** The column holds exactly this value, as text: 1.0 is not 1.00, and types without equality compare too. */
function sameValue(column: ColumnInfo, parameter: string): string {
  const name = `x.${ident(column.name)}`;
  if (EXACT.has(column.typeOid)) return `${name} IS NOT DISTINCT FROM ${parameter}::${column.bareType}`;
  // Floats print differently before 12, and -0 equals 0: their bytes tell them apart.
  const send = column.typeOid === 701 ? 'float8send' : column.typeOid === 700 ? 'float4send' : null;
  if (send)
    return `pg_catalog.${send}(${name}) IS NOT DISTINCT FROM pg_catalog.${send}(${parameter}::${column.bareType})`;
  return `CASE WHEN ${parameter}::text IS NULL THEN ${name} IS NOT DISTINCT FROM NULL ELSE ${name} IS DISTINCT FROM NULL AND pg_catalog.format('%s', ${name}) COLLATE pg_catalog."C" = ${parameter}::text END`;
}

export function truncateAll(tables: readonly TargetTable[], restartIdentity: boolean): Planned {
  const [first] = tables;
  if (!first) throw new Error('TRUNCATE of no table');
  const names = tables.map((table) => `ONLY ${qname(table.name)}`).join(', ');
  return {
    sql: `TRUNCATE ${names}${restartIdentity ? ' RESTART IDENTITY' : ''}`,
    values: [],
    expect: null,
    table: first,
    operation: 'truncate',
    key: null,
  };
}

/** For error texts: `(a, b)` = the key, cut short. */
export function describeKey(planned: Planned): string {
  if (!planned.key || !planned.table.key) return '(unknown)';
  const names = planned.table.key.map(({ column }) => column.name).join(', ');
  const cells = planned.key.map((cell) =>
    cell === null || cell === UNCHANGED ? 'NULL' : Buffer.from(cell, 'latin1').toString('utf8').slice(0, 80),
  );
  return `(${names}) = (${cells.join(', ')})`;
}

export function describeTable(table: TargetTable): string {
  return displayName(table.name);
}
