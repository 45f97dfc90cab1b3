import fc from 'fast-check';
import { expect, it } from 'vitest';
import { planBatches } from './copy-order.ts';
import type { CopyChunk } from './copy-hand.ts';

const MIB = 1024n * 1024n;

/** Only what the plan looks at: each chunk of a table of its own, unless one is given. */
function unit(id: number, bytesEstimate: bigint, table: object = {}): CopyChunk {
  return { id: String(id), bytesEstimate, read: { table, cut: { kind: 'whole' } } } as CopyChunk;
}

it('puts every table into exactly one batch, the largest first, and large ones alone', () => {
  fc.assert(
    fc.property(fc.array(fc.bigInt({ min: 0n, max: 64n * MIB })), (sizes) => {
      const batches = planBatches(sizes.map((bytes, at) => unit(at, bytes)));
      const ids = batches.flatMap((batch) => batch.map(({ id }) => id));
      expect(ids.toSorted()).toEqual(sizes.map((_, at) => String(at)).toSorted());
      const flat = batches.flat().map(({ bytesEstimate }) => bytesEstimate);
      expect(flat).toEqual(flat.toSorted((a, b) => (a < b ? 1 : a > b ? -1 : 0)));
      for (const batch of batches) {
        const bytes = batch.reduce((sum, { bytesEstimate }) => sum + bytesEstimate, 0n);
        expect(batch.length === 1 || bytes <= 16n * MIB).toBe(true);
        expect(batch.length).toBeLessThanOrEqual(16);
      }
    }),
  );
});

it('copies thousands of small tables in few transactions', () => {
  expect(planBatches(Array.from({ length: 2000 }, (_, at) => unit(at, 16_384n)))).toHaveLength(125);
});

it('a part of a table never shares a transaction, however small', () => {
  const part = (id: number): CopyChunk => {
    const chunk = unit(id, 1n * MIB);
    return { ...chunk, read: { ...chunk.read, cut: { kind: 'ctid', filenode: '1', bounds: [8] } } };
  };
  const order = planBatches([unit(1, 2n * MIB), part(2), part(3), unit(4, 1n), unit(5, 1n)]);
  expect(order.map((batch) => batch.map(({ id }) => id).join('+'))).toEqual(['1', '2', '3', '4+5']);
});

it('begins with the table that has most left, and lets the chunks of large tables alternate', () => {
  const [a, b] = [{}, {}];
  const chunks = [
    ...[1, 2, 3, 4].map((at) => unit(at, 100n * MIB, a)),
    ...[5, 6].map((at) => unit(at, 90n * MIB, b)),
    unit(7, 30n * MIB),
  ];
  const order = planBatches(chunks).map((batch) => batch.map(({ id }) => id).join());
  expect(order).toEqual(['1', '2', '3', '5', '4', '6', '7']);
});
