/** How much passes a bucket, whatever the amounts, the lateness of those who wait, and the changes of the rate. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BURST_MS, emptyBucket, spend, waitMs, withRate, type TokenBucket } from './token-bucket.ts';

const RATE = fc.double({ min: 0.5, max: 1e9, noNaN: true });

interface Step {
  /** What is spent, as a part of what the rate lets through in a second. */
  readonly part: number;
  /** How late it comes back from a wait. */
  readonly lateMs: number;
  /** What it does in between, waited or not. */
  readonly idleMs: number;
}

/** From far below the burst to thirty times of it. */
const PART = fc.oneof(
  fc.double({ min: 0, max: 0.05, noNaN: true }),
  fc.double({ min: 0, max: 3, noNaN: true }),
);
const STEP: fc.Arbitrary<Step> = fc.record({
  part: PART,
  lateMs: fc.double({ min: 0, max: 500, noNaN: true }),
  idleMs: fc.oneof(
    { weight: 4, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.double({ min: 0, max: 60_000, noNaN: true }) },
  ),
});

interface Passed {
  readonly at: number;
  readonly amount: number;
}

/** Several who share a bucket: each spends, waits as it is told, comes back late, and spends again. */
function follow(rate: number, callers: readonly (readonly Step[])[]): Passed[] {
  let bucket = emptyBucket(rate, 0);
  const passed: Passed[] = [];
  const turns = callers.map((steps) => ({ steps: [...steps], due: 0 }));
  for (;;) {
    const [next] = turns.filter(({ steps }) => steps.length > 0).toSorted((a, b) => a.due - b.due);
    const step = next?.steps.shift();
    if (!next || !step) return passed;
    const amount = step.part * rate;
    bucket = spend(bucket, amount, next.due);
    passed.push({ at: next.due, amount });
    const wait = waitMs(bucket, next.due);
    next.due += wait + (wait > 0 ? step.lateMs : 0) + step.idleMs;
  }
}

/** The most that passes beyond rate × time, over every stretch that begins and ends with a spend. */
function mostBeyond(rate: number, passed: readonly Passed[]): number {
  let most = 0;
  passed.forEach((first, from) => {
    let sum = 0;
    for (const { at, amount } of passed.slice(from)) {
      sum += amount;
      most = Math.max(most, sum - (rate * (at - first.at)) / 1000);
    }
  });
  return most;
}

describe('a token bucket', () => {
  it('lets one pass at most rate × time + burst + one spend in any stretch of time', () => {
    fc.assert(
      fc.property(RATE, fc.array(STEP, { maxLength: 40 }), (rate, steps) => {
        const largest = Math.max(0, ...steps.map(({ part }) => part)) * rate;
        const bound = (rate * BURST_MS) / 1000 + largest;
        expect(mostBeyond(rate, follow(rate, [steps]))).toBeLessThanOrEqual(bound + rate * 1e-6);
      }),
    );
  });

  it('lets several pass no more than that and one spend of each', () => {
    fc.assert(
      fc.property(RATE, fc.array(fc.array(STEP, { maxLength: 15 }), { maxLength: 5 }), (rate, callers) => {
        const largest = callers.map((steps) => Math.max(0, ...steps.map(({ part }) => part)) * rate);
        const bound = (rate * BURST_MS) / 1000 + largest.reduce((sum, each) => sum + each, 0);
        expect(mostBeyond(rate, follow(rate, callers))).toBeLessThanOrEqual(bound + rate * 1e-6);
      }),
    );
  });

  it('loses nothing of its rate while those who wait are late by no more than its burst', () => {
    const busy = fc.record({
      part: PART,
      lateMs: fc.double({ min: 0, max: BURST_MS, noNaN: true }),
      idleMs: fc.constant(0),
    });
    fc.assert(
      fc.property(RATE, fc.array(busy, { minLength: 1, maxLength: 40 }), (rate, steps) => {
        const passed = follow(rate, [steps]);
        const last = passed.at(-1)?.at ?? 0;
        const before = passed.slice(0, -1).reduce((sum, { amount }) => sum + amount, 0);
        expect(before).toBeGreaterThanOrEqual((rate * (last - BURST_MS)) / 1000 - rate * 1e-6);
      }),
    );
  });

  it('lets those who follow one another wait for what passed before them', () => {
    let bucket = emptyBucket(10, 0);
    const waits = [1, 2, 3].map((amount) => {
      bucket = spend(bucket, amount, 0);
      return waitMs(bucket, 0);
    });
    expect(waits).toEqual([100, 300, 600]);
    expect(waitMs(bucket, 450)).toBeCloseTo(150);
    expect(waitMs(bucket, 900)).toBe(0);
  });

  it('keeps a debt when the rate changes, to be paid at the new one', () => {
    const owing = spend(emptyBucket(10, 0), 100, 0);
    expect(waitMs(withRate(owing, 40, 2_000), 2_000)).toBeCloseTo(2_000);
    expect(waitMs(withRate(owing, 5, 2_000), 2_000)).toBeCloseTo(16_000);
  });

  it('forgives a debt when the limit is lifted, and begins anew when one is set', () => {
    const lifted = withRate(spend(emptyBucket(1, 0), 60, 0), null, 0);
    expect(waitMs(lifted, 0)).toBe(0);
    expect(waitMs(spend(lifted, 1e12, 0), 0)).toBe(0);
    const again = withRate(spend(lifted, 1e12, 0), 2, 10_000);
    expect(waitMs(spend(again, 1, 10_000), 10_000)).toBeCloseTo(500);
  });

  it('takes no more along than the burst of the new rate', () => {
    const rested: TokenBucket = emptyBucket(1000, 0);
    const slow = withRate(rested, 10, 60_000);
    expect(waitMs(spend(slow, 2, 60_000), 60_000)).toBeCloseTo(100);
  });
});
