/** A new row that nobody has taken apart. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { byteText, type ByteText, type Cell } from './change.ts';
import { PackedRow } from './packed-row.ts';
import { RowArena } from './row-arena.ts';

/** As it lies in a message. */
function packed(cells: readonly (ByteText | null)[]): PackedRow {
  const columns = cells.map((cell) => {
    if (cell === null) return Buffer.from('n');
    const length = Buffer.alloc(4);
    length.writeUInt32BE(cell.length);
    return Buffer.concat([Buffer.from('t'), length, Buffer.from(cell, 'latin1')]);
  });
  const bytes = Buffer.concat(columns);
  return new PackedRow(bytes, 0, bytes.length);
}

const cell = fc.oneof(
  fc.constant(null),
  fc.string({ unit: 'binary' }).map(byteText),
  fc.integer({ min: 200, max: 3_000 }).map((length) => byteText('nt'.repeat(length))),
);

describe('a packed row', () => {
  it('has the cells that were sent, all of them or one', () => {
    fc.assert(
      fc.property(fc.array(cell, { maxLength: 8 }), (cells) => {
        const row = packed(cells);
        expect(row.unpack()).toEqual(cells);
        const each = cells.map((_, at): Cell | undefined => row.cell(at));
        expect(each).toEqual(cells);
        expect(row.cell(cells.length)).toBeUndefined();
      }),
    );
  });
});

describe('an arena', () => {
  it('keeps rows whatever becomes of the bytes they came in, and again after it was cleared', () => {
    const arena = new RowArena();
    const big = fc.oneof(cell, fc.constant(byteText('x'.repeat(8_000))));
    fc.assert(
      fc.property(fc.array(fc.array(big, { maxLength: 8 }), { maxLength: 300 }), (rows) => {
        arena.clear();
        const kept = rows.map((cells) => {
          const row = packed(cells);
          const safe = arena.keep(row);
          row.bytes.fill(0);
          return safe;
        });
        expect(kept.map((row) => row.unpack())).toEqual(rows);
      }),
      { numRuns: 30 },
    );
  });
});
