import { describe, expect, it } from 'vitest';
import { forecast, roughly } from './one-piece.ts';

describe('a table that is copied in one piece', () => {
  it('takes its size over the speed of the copy, and makes the source keep what it writes meanwhile', () => {
    expect(forecast(120_000_000_000n, { copyBytes: 40e6, walBytes: 5e6 })).toEqual({
      seconds: 3_000,
      walBytes: 15_000_000_000n,
    });
    expect(forecast(1n, { copyBytes: 0, walBytes: 1 })).toBeNull();
    expect(forecast(1_000n, { copyBytes: 1_000, walBytes: -3 })).toEqual({ seconds: 1, walBytes: 0n });
  });

  it('takes so many seconds, minutes or hours', () => {
    expect([0.2, 61, 600, 9_000].map(roughly)).toEqual(['1 s', '61 s', '10 min', '2.5 h']);
  });
});
