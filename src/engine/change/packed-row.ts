/**
 * A new row as it lies in its message, taken apart only by whoever has to look at a cell. Most rows of an INSERT go from the message into
 * a COPY: making a string of each of their values costs more than all the rest.
 * https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html (TupleData)
 */
import type { ByteText, Cell, Insert, Tuple, Update } from './change.ts';
import type { Relation } from './relation.ts';
import type { RowArena } from './row-arena.ts';

/** Tag of a value that is NULL, and of one in text form, whose length follows in four bytes. No other is in a packed row. */
export const NULL_TAG = 0x6e;
export const TEXT_TAG = 0x74;
/** Before the bytes of a value. */
export const HEAD = 5;

/** Its columns are what lies in `bytes` between `begin` and `end`; well-formed. It is good for as long as those bytes stay what they are. */
export class PackedRow {
  readonly bytes: Buffer;
  readonly begin: number;
  readonly end: number;

  constructor(bytes: Buffer, begin: number, end: number) {
    this.bytes = bytes;
    this.begin = begin;
    this.end = end;
  }

  get size(): number {
    return this.end - this.begin;
  }

  /** The value of one column, counted from 0. */
  cell(wanted: number): Cell | undefined {
    let at = this.begin;
    for (let column = 0; at < this.end; column++) {
      const end = this.endOf(at);
      if (column === wanted) return this.valueIn(at, end);
      at = end;
    }
    return undefined;
  }

  unpack(): Tuple {
    const cells: Cell[] = [];
    for (let at = this.begin; at < this.end;) {
      const end = this.endOf(at);
      cells.push(this.valueIn(at, end));
      at = end;
    }
    return cells;
  }

  /** Behind the column that begins at `at`. */
  private endOf(at: number): number {
    return this.bytes[at] === NULL_TAG ? at + 1 : at + HEAD + this.bytes.readUInt32BE(at + 1);
  }

  private valueIn(at: number, end: number): Cell {
    return this.bytes[at] === NULL_TAG ? null : (this.bytes.toString('latin1', at + HEAD, end) as ByteText);
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

  /** The same one, with its row in the arena. */
  keptIn(arena: RowArena): PackedInsert {
    return new PackedInsert(this.relation, arena.keep(this.packed));
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
