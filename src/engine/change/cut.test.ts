/** Every row is in exactly one chunk (C1). */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chunkCount, chunkId, chunkOfKey, rangeOf, WHOLE, type KeyCut } from './cut.ts';

const key = fc.bigInt({ min: -100n, max: 100n });
const bounds = fc
  .uniqueArray(key, { maxLength: 12 })
  .map((keys) => keys.toSorted((a, b) => (a < b ? -1 : 1)).map(String));

describe('a table cut by key', () => {
  it('has every key in exactly one chunk, the one that chunkOfKey names', () => {
    fc.assert(
      fc.property(bounds, key, (at, value) => {
        const cut: KeyCut = { kind: 'key', column: 'id', order: 'integer', bounds: at };
        const inside = Array.from({ length: chunkCount(cut) }, (_, chunk) => chunk).filter((chunk) => {
          const { from, to } = rangeOf(cut.bounds, chunk);
          return (from === null || value >= BigInt(from)) && (to === null || value < BigInt(to));
        });
        expect(inside).toEqual([chunkOfKey(cut, String(value))]);
      }),
    );
  });
});

describe('the name of a chunk', () => {
  it('tells tables, cuts and chunks apart, whatever the names contain', () => {
    const cut: KeyCut = { kind: 'key', column: 'id', order: 'integer', bounds: ['1', '2'] };
    const names = [
      chunkId({ schema: 'a', name: 'b' }, WHOLE, 0),
      chunkId({ schema: 'a","b', name: '' }, WHOLE, 0),
      chunkId({ schema: 'a', name: 'b' }, cut, 0),
      chunkId({ schema: 'a', name: 'b' }, cut, 2),
      chunkId({ schema: 'a', name: 'b",2' }, WHOLE, 0),
    ];
    expect(new Set(names).size).toBe(names.length);
  });
});
