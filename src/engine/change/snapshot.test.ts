/** Snapshot visibility (data-plane I1, I2) against brute force. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { coversAllOf, extendXid, parseSnapshot, sees, seesXid, type Snapshot } from './snapshot.ts';

/** Small numbers, so that two snapshots often overlap. */
const snapshot: fc.Arbitrary<Snapshot> = fc
  .record({ xmin: fc.integer({ min: 3, max: 25 }), inFlight: fc.array(fc.boolean(), { maxLength: 12 }) })
  .map(({ xmin, inFlight }) => {
    const running = inFlight.flatMap((isRunning, at) => (isRunning ? [BigInt(xmin + at)] : []));
    return { xmin: BigInt(xmin), xmax: BigInt(xmin + inFlight.length), running: new Set(running) };
  });

const WRAP = 1n << 32n;

describe('a snapshot', () => {
  it('is read from its text', () => {
    expect(parseSnapshot('10:20:10,14,15')).toEqual({
      xmin: 10n,
      xmax: 20n,
      running: new Set([10n, 14n, 15n]),
    });
    expect(parseSnapshot('12884901888:12884901888:')).toEqual({
      xmin: 12_884_901_888n,
      xmax: 12_884_901_888n,
      running: new Set(),
    });
  });

  it.each(['', '1:2', '1:2:x', 'a:2:', '1:2:3:4'])('is not %j', (text) => {
    expect(() => parseSnapshot(text)).toThrow('not a snapshot');
  });

  it('sees the same by the 32 bits of an xid, in every epoch', () => {
    const near = fc.integer({ min: -40, max: 40 });
    const epochs = fc.constantFrom(0n, 1n, 2n, 7n);
    fc.assert(
      fc.property(snapshot, near, epochs, ({ xmin, xmax, running }, by, epoch) => {
        // Around the place where 32 bits begin anew.
        const base = epoch * WRAP;
        const moved = (xid: bigint) => base + xid - 12n;
        fc.pre(moved(xmin) > 100n);
        const there = { xmin: moved(xmin), xmax: moved(xmax), running: new Set([...running].map(moved)) };
        const xid = there.xmin + BigInt(by);
        expect(seesXid(there, Number(xid % WRAP))).toBe(sees(there, xid));
      }),
    );
  });

  it('sees what ended before it, and neither what was running nor what came later', () => {
    const taken = parseSnapshot('10:20:10,14');
    const seen = Array.from({ length: 14 }, (_, at) => BigInt(at + 8)).filter((xid) => sees(taken, xid));
    expect(seen).toEqual([8n, 9n, 11n, 12n, 13n, 15n, 16n, 17n, 18n, 19n]);
  });
});

describe('the xid of a stream', () => {
  it('is extended to the 64-bit xid it came from, within two thousand million transactions of the snapshot', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 3n, max: 1n << 40n }),
        fc.bigInt({ min: -(1n << 31n) + 1n, max: (1n << 31n) - 1n }),
        (xmax, distance) => {
          const xid = xmax + distance;
          fc.pre(xid >= 0n);
          expect(extendXid(Number(xid % WRAP), { xmin: xmax, xmax, running: new Set() })).toBe(xid);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('keeps its epoch on both sides of a wrap-around', () => {
    const before: Snapshot = { xmin: WRAP - 10n, xmax: WRAP - 5n, running: new Set() };
    const after: Snapshot = { xmin: WRAP + 3n, xmax: WRAP + 10n, running: new Set() };
    expect(extendXid(3, before)).toBe(WRAP + 3n);
    expect(extendXid(4_294_967_290, before)).toBe(WRAP - 6n);
    expect(extendXid(4_294_967_290, after)).toBe(WRAP - 6n);
    expect(extendXid(3, after)).toBe(WRAP + 3n);
    expect(sees(before, extendXid(3, before))).toBe(false);
    expect(sees(after, extendXid(4_294_967_290, after))).toBe(true);
  });

  it('has no epoch before the first', () => {
    expect(extendXid(4_294_967_290, { xmin: 5n, xmax: 5n, running: new Set() })).toBe(4_294_967_290n);
  });
});

describe('a later snapshot', () => {
  it('covers an earlier one exactly when it sees every transaction the earlier one sees', () => {
    let covered = 0;
    fc.assert(
      fc.property(snapshot, snapshot, (later, earlier) => {
        const xids = Array.from({ length: 45 }, (_, at) => BigInt(at));
        const expected = xids.every((xid) => !sees(earlier, xid) || sees(later, xid));
        expect(coversAllOf(later, earlier)).toBe(expected);
        if (expected) covered++;
      }),
      { numRuns: 3000 },
    );
    expect(covered).toBeGreaterThan(100);
  });

  it('covers itself', () => {
    fc.assert(
      fc.property(snapshot, (taken) => {
        expect(coversAllOf(taken, taken)).toBe(true);
      }),
    );
  });

  it('does not cover one that saw the end of a transaction which still runs in it', () => {
    // The trap of P3: the commit is in the WAL, but this snapshot was taken before it became visible.
    expect(coversAllOf(parseSnapshot('10:12:10'), parseSnapshot('11:12:'))).toBe(false);
    expect(coversAllOf(parseSnapshot('12:12:'), parseSnapshot('11:12:'))).toBe(true);
  });
});
