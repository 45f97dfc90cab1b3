/**
 * A new row as it lies in its message, taken apart only by whoever has to look at a cell. Most rows of an INSERT go from the message into
 * a COPY: making a string of each of their values costs more than all the rest.
 * https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html (TupleData)
 */
import type { ByteText, Cell, Insert, Tuple, Update } from './change.ts';
import type { Relation } from './relation.ts';

/** Tag of a value that is NULL, and of one in text form, whose length follows in four bytes. No other is in a packed row. */
export const NULL_TAG = 0x6e;
export const TEXT_TAG = 0x74;
/** Before the bytes of a value. */
export const HEAD = 5;

export class PackedRow {
  /** Its columns, one character a byte. Well-formed. */
  readonly text: ByteText;

  constructor(text: ByteText) {
    this.text = text;
  }

  /** The value of one column, counted from 0. */
  cell(wanted: number): Cell | undefined {
    let at = 0;
    for (let column = 0; at < this.text.length; column++) {
      const end = this.endOf(at);
      if (column === wanted) return this.valueIn(at, end);
      at = end;
    }
    return undefined;
  }

  unpack(): Tuple {
    const cells: Cell[] = [];
    for (let at = 0; at < this.text.length;) {
      const end = this.endOf(at);
      cells.push(this.valueIn(at, end));
      at = end;
    }
    return cells;
  }

  /** Behind the column that begins at `at`. */
  private endOf(at: number): number {
    const { text } = this;
    if (text.charCodeAt(at) === NULL_TAG) return at + 1;
    const length =
      (text.charCodeAt(at + 1) << 24) |
      (text.charCodeAt(at + 2) << 16) |
      (text.charCodeAt(at + 3) << 8) |
      text.charCodeAt(at + 4);
    return at + HEAD + length;
  }

  private valueIn(at: number, end: number): Cell {
    return this.text.charCodeAt(at) === NULL_TAG ? null : (this.text.substring(at + HEAD, end) as ByteText);
  }
}

/** An INSERT of such a row: its cells are made when they are asked for. */
export class PackedInsert implements Insert {
  readonly kind = 'insert';
  readonly relation: Relation;
  readonly packed: PackedRow;
  private cells: Tuple | null = null;

  constructor(relation: Relation, packed: PackedRow) {
    this.relation = relation;
    this.packed = packed;
  }

  get new(): Tuple {
    return (this.cells ??= this.packed.unpack());
  }
}

/** A row in either form. */
export type NewRow = Tuple | PackedRow;

export function newRow(change: Insert | Update): NewRow {
  return change instanceof PackedInsert ? change.packed : change.new;
}

export function unpacked(row: NewRow): Tuple {
  return row instanceof PackedRow ? row.unpack() : row;
}

export function cellOf(row: NewRow, column: number): Cell | undefined {
  return row instanceof PackedRow ? row.cell(column) : row[column];
}
