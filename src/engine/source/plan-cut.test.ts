/** How tables are cut: from facts alone. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chunkCount, rangeOf } from '../change/cut.ts';
import { cutByKey, decideCut, partsOf, type CutFacts, type CutWishes, type OrderedKey } from './plan-cut.ts';

const GB = 1024n ** 3n;
const inOrder: OrderedKey = { column: 'id', order: 'integer', correlation: 1 };
const scattered: OrderedKey = { column: 'uid', order: 'uuid', correlation: 0.01 };

function facts(change: Partial<CutFacts> = {}): CutFacts {
  return { bytes: 4n * GB, blocks: 500_000, filenode: '1', readsPlaces: true, key: null, ...change };
}

function wishes(change: Partial<CutWishes> = {}): CutWishes {
  return { jobs: 4, totalBytes: 5n * GB, followed: true, isOurs: true, ...change };
}

describe('a large table', () => {
  it('is cut by its key where changes are followed and the rows lie in its order', () => {
    expect(decideCut(facts({ key: inOrder }), wishes())).toMatchObject({
      kind: 'sample',
      key: inOrder,
      parts: 16,
    });
  });

  it('is cut by place where reading in the order of the key would jump, or nothing is followed', () => {
    expect(decideCut(facts({ key: scattered }), wishes())).toMatchObject({ cut: { kind: 'ctid' } });
    expect(decideCut(facts({ key: inOrder }), wishes({ followed: false }))).toMatchObject({
      cut: { kind: 'ctid' },
    });
    expect(decideCut(facts(), wishes())).toMatchObject({ cut: { kind: 'ctid' } });
  });

  it('is not cut by place in a target that holds rows of others, nor on a server that would scan it all each time', () => {
    expect(decideCut(facts(), wishes({ isOurs: false }))).toMatchObject({ cut: { kind: 'whole' } });
    expect(decideCut(facts({ readsPlaces: false }), wishes())).toMatchObject({ cut: { kind: 'whole' } });
  });

  it('in the disorder of its key, and without places, is cut once a job', () => {
    const decision = decideCut(facts({ key: scattered, readsPlaces: false }), wishes());
    expect(decision).toMatchObject({ kind: 'sample', parts: 4, otherwise: { kind: 'whole' } });
  });
});

describe('the number of chunks', () => {
  const MB = 1024n ** 2n;

  it('is never more than is worth their transactions, nor are chunks too large to copy again', () => {
    const sizes = fc.bigInt({ min: 0n, max: 1n << 50n });
    fc.assert(
      fc.property(sizes, sizes, fc.integer({ min: 1, max: 64 }), (bytes, others, jobs) => {
        const parts = partsOf(bytes, { jobs, totalBytes: bytes + others });
        expect(parts).toBeGreaterThanOrEqual(1);
        if (parts > 1) expect(bytes / BigInt(parts)).toBeGreaterThanOrEqual(32n * MB);
        if (parts > 1 && parts < 20_000) expect(bytes / BigInt(parts)).toBeLessThanOrEqual(256n * MB);
        if (bytes > 2048n * MB) expect(parts).toBeGreaterThan(1);
      }),
    );
  });

  it('is one where no other worker would wait for the table', () => {
    expect(partsOf(640n * MB, { jobs: 2, totalBytes: 1000n * MB })).toBe(1);
    expect(partsOf(800n * MB, { jobs: 2, totalBytes: 1000n * MB })).toBe(8);
    expect(partsOf(1000n * MB, { jobs: 4, totalBytes: 4000n * MB })).toBe(1);
    expect(partsOf(1000n * MB, { jobs: 1, totalBytes: 1000n * MB })).toBe(1);
  });

  it('is as the user says where he says it', () => {
    expect(partsOf(100n * MB, { jobs: 2, totalBytes: 1000n * MB, chunkBytes: 10n * MB })).toBe(10);
  });
});

it('places are cut so that every block is in exactly one chunk, also one that is added later', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 1_000_000 }),
      fc.integer({ min: 0, max: 2_000_000 }),
      fc.integer({ min: 1, max: 16 }),
      (blocks, block, jobs) => {
        const decision = decideCut(facts({ blocks }), wishes({ jobs, followed: false }));
        if (decision.kind !== 'cut' || decision.cut.kind !== 'ctid') return;
        const { cut } = decision;
        const inside = Array.from({ length: chunkCount(cut) }, (_, chunk) =>
          rangeOf(cut.bounds, chunk),
        ).filter(({ from, to }) => (from === null || block >= from) && (to === null || block < to));
        expect(inside).toHaveLength(1);
      },
    ),
  );
});

describe('quantiles of a key', () => {
  const sample = { kind: 'sample', key: inOrder, parts: 8, otherwise: { kind: 'whole' } } as const;

  it('become bounds, each once', () => {
    expect(cutByKey(sample, ['1', '5', '5', '9', '12', '20', '21'])).toMatchObject({
      kind: 'key',
      column: 'id',
      bounds: ['1', '5', '9', '12', '20', '21'],
    });
  });

  it('that are all the same lead to the other way, if there is one', () => {
    const otherwise = { kind: 'ctid', filenode: '1', bounds: [10, 20] } as const;
    expect(cutByKey({ ...sample, otherwise }, ['5', '5', '5', '5', '5', '5', '5'])).toBe(otherwise);
    expect(cutByKey(sample, ['5', '5'])).toMatchObject({ kind: 'key', bounds: ['5'] });
    expect(cutByKey(sample, [])).toEqual({ kind: 'whole' });
  });
});
