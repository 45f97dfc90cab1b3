/** How long we wait before the next attempt. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { backoffMs } from './backoff.ts';

const OPTIONS = { firstMs: 100, maxMs: 5_000 };

describe('the pause before an attempt', () => {
  it('doubles from the first up to the longest', () => {
    const pauses = [1, 2, 3, 4, 5, 6, 7, 8].map((attempt) => backoffMs(attempt, OPTIONS, 0));
    expect(pauses).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  });

  it('is shortened by a quarter at most', () => {
    expect(backoffMs(3, OPTIONS, 0.999)).toBe(300);
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 5_000 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (attempt, random) => {
          const longest = backoffMs(attempt, OPTIONS, 0);
          const pause = backoffMs(attempt, OPTIONS, random);
          expect(pause).toBeGreaterThanOrEqual(Math.floor(longest * 0.75));
          expect(pause).toBeLessThanOrEqual(longest);
        },
      ),
    );
  });
});
