/**
 * A row as it lies in its message, taken apart only by whoever has to look at a cell. Most rows go from the message into a COPY or into
 * arrays: making a string of each of their values costs more than all the rest.
 * https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html (TupleData)
 */
import type { ByteText, Cell, Delete, Insert, Tuple, Update } from './change.ts';
import type { Relation } from './relation.ts';

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
}

/** An UPDATE whose new row is such a one, and the old row or key, where it was sent, too. */
export class PackedUpdate implements Update {
  readonly kind = 'update';
  readonly relation: Relation;
  readonly packed: PackedRow;
  readonly packedOld: PackedRow | null;
  private cells: Tuple | null = null;
  private oldCells: Tuple | null = null;

  constructor(relation: Relation, packed: PackedRow, packedOld: PackedRow | null) {
    this.relation = relation;
    this.packed = packed;
    this.packedOld = packedOld;
  }

  get new(): Tuple {
    return (this.cells ??= this.packed.unpack());
  }

  get old(): Tuple | null {
    return (this.oldCells ??= this.packedOld?.unpack() ?? null);
  }
}

/** A DELETE whose old row or key is such a one. */
export class PackedDelete implements Delete {
  readonly kind = 'delete';
  readonly relation: Relation;
  readonly packedOld: PackedRow;
  private oldCells: Tuple | null = null;

  constructor(relation: Relation, packedOld: PackedRow) {
    this.relation = relation;
    this.packedOld = packedOld;
  }

  get old(): Tuple {
    return (this.oldCells ??= this.packedOld.unpack());
  }
}

/** A row in either form. */
export type Row = Tuple | PackedRow;

export function newRowOf(change: Insert | Update): Row {
  return change instanceof PackedInsert || change instanceof PackedUpdate ? change.packed : change.new;
}

/** The old row, or as much of it as names it; null where the change does not say. */
export function oldRowOf(change: Delete): Row;
export function oldRowOf(change: Update | Delete): Row | null;
export function oldRowOf(change: Update | Delete): Row | null {
  return change instanceof PackedUpdate || change instanceof PackedDelete ? change.packedOld : change.old;
}

export function unpacked(row: Row): Tuple {
  return row instanceof PackedRow ? row.unpack() : row;
}

export function cellOf(row: Row, column: number): Cell | undefined {
  return row instanceof PackedRow ? row.cell(column) : row[column];
}
