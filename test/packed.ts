/** Rows and changes as they lie in a message of the stream. */
import type { Cell, RowChange, Tuple } from '../src/engine/change/change.ts';
import {
  HEAD,
  NULL_TAG,
  PackedDelete,
  PackedInsert,
  PackedRow,
  PackedUpdate,
  TEXT_TAG,
} from '../src/engine/change/packed-row.ts';

/** In the midst of other bytes. Every cell is a text or null. */
export function packedRow(cells: Tuple): PackedRow {
  const row = packedOrNull(cells);
  if (row === null) throw new Error('a cell that no packed row has');
  return row;
}

/** The change as the decoder hands it out; as it is where the decoder would not pack it. */
export function packedChange(change: RowChange): RowChange {
  const { relation } = change;
  const old = change.kind === 'insert' || change.old === null ? null : packedOrNull(change.old);
  if (change.kind === 'delete') return old ? new PackedDelete(relation, old) : change;
  const row = packedOrNull(change.new);
  if (row === null) return change;
  if (change.kind === 'insert') return new PackedInsert(relation, row);
  return change.old === null || old !== null ? new PackedUpdate(relation, row, old) : change;
}

/** Nobody may look at the bytes that it came in any more. */
export function spoil(change: RowChange): void {
  const rows =
    change instanceof PackedUpdate
      ? [change.packed, change.packedOld]
      : change instanceof PackedInsert
        ? [change.packed]
        : change instanceof PackedDelete
          ? [change.packedOld]
          : [];
  for (const row of rows) row?.bytes.fill(0);
}

function packedOrNull(cells: Tuple): PackedRow | null {
  const columns: Buffer[] = [];
  for (const cell of cells) {
    const packed = packedCell(cell);
    if (packed === null) return null;
    columns.push(packed);
  }
  const bytes = Buffer.concat([Buffer.from('before'), ...columns, Buffer.from('behind')]);
  return new PackedRow(bytes, 6, bytes.length - 6);
}

function packedCell(cell: Cell): Buffer | null {
  if (cell === null) return Buffer.of(NULL_TAG);
  if (typeof cell !== 'string') return null;
  const head = Buffer.alloc(HEAD, TEXT_TAG);
  head.writeUInt32BE(cell.length, 1);
  return Buffer.concat([head, Buffer.from(cell, 'latin1')]);
}
