/** The net change of one row inside a window (data-plane P8): what several changes of it come to, column by column. Pure. */
import { isLarge, sizeOf, UNCHANGED, type Cell, type RowChange } from '../../../change/change.ts';
import { cellOf, PackedRow, unpacked, type Row } from '../../../change/packed-row.ts';
import type { KeyColumn } from '../sql/target-table.ts';

/** What has become of one row inside the window. `row` of an update holds UNCHANGED where the value is not known to have changed. */
export interface Net {
  readonly kind: 'insert' | 'replace' | 'update' | 'delete';
  readonly row: Row;
}

/** `row`: the new one, or of a delete the old one. */
interface Happening {
  readonly kind: RowChange['kind'];
  readonly row: Row;
}

export function hasSameKey(one: readonly KeyColumn[], other: readonly KeyColumn[]): boolean {
  return one.length === other.length && one.every(({ column }, at) => column.name === other[at]?.column.name);
}

/** The key's cells as one string; null when one of them is not known. A NUL cannot occur in a value. */
export function keyText(key: readonly KeyColumn[], row: Row): string | null {
  const [first] = key;
  if (first && key.length === 1) {
    const cell = cellOf(row, first.at);
    return typeof cell === 'string' ? cell : null;
  }
  let text = '';
  for (const { at } of key) {
    const cell = cellOf(row, at);
    if (typeof cell !== 'string') return null;
    text += `${cell}\0`;
  }
  return text;
}

/** The net of what the row was and what happens to it. null: as if nothing had happened. */
export function merge(before: Net | undefined, change: Happening, lenient: boolean): Net | null | 'refused' {
  const kind = before?.kind ?? 'none';
  const { row } = change;
  switch (change.kind) {
    case 'insert':
      if (kind === 'none') return { kind: lenient ? 'replace' : 'insert', row };
      return kind === 'delete' ? { kind: 'replace', row } : 'refused';
    case 'update':
      if (before === undefined) return { kind: 'update', row };
      if (before.kind === 'delete') return 'refused';
      return { kind: before.kind, row: overlay(before.row, row) };
    case 'delete':
      if (kind === 'none' || kind === 'update' || kind === 'replace') return { kind: 'delete', row };
      return kind === 'insert' ? null : 'refused';
  }
}

/** Later values over earlier ones; a value that did not change keeps what was known before. */
function overlay(before: Row, after: Row): Row {
  if (after instanceof PackedRow || !after.includes(UNCHANGED)) return after;
  const known = unpacked(before);
  return after.map((cell, at): Cell => (cell === UNCHANGED ? (known[at] ?? null) : cell));
}

/** What of it goes alone. A packed row is small as a whole. */
export function hasLarge(row: Row): boolean {
  return !(row instanceof PackedRow) && row.some(isLarge);
}

/** About the bytes of its values. */
export function sizeOfRow(row: Row): number {
  return row instanceof PackedRow ? row.size : sizeOf(row);
}

/** Equal for rows that have the same values unchanged. */
export function shapeOf(row: Row): string {
  if (row instanceof PackedRow || !row.includes(UNCHANGED)) return '';
  return row.map((cell) => (cell === UNCHANGED ? 'u' : '.')).join('');
}
