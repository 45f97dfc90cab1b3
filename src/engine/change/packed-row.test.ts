/** A new row that nobody has taken apart. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { packedRow } from '../../../test/packed.ts';
import { byteText, type Cell } from './change.ts';
import { RowArena } from './row-arena.ts';

const cell = fc.oneof(
  fc.constant(null),
  fc.string({ unit: 'binary' }).map(byteText),
  fc.integer({ min: 200, max: 3_000 }).map((length) => byteText('nt'.repeat(length))),
);

describe('a packed row', () => {
  it('has the cells that were sent, all of them or one', () => {
    fc.assert(
      fc.property(fc.array(cell, { maxLength: 8 }), (cells) => {
        const row = packedRow(cells);
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
          const row = packedRow(cells);
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
