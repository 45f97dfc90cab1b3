/** Numbers as people read them. */
import { describe, expect, it } from 'vitest';
import { count, duration, many, percent, secondsRange, size, timeLeft } from './quantities.ts';

describe('quantities', () => {
  it.each([
    [0n, '0'],
    [999n, '999'],
    [1000n, '1,000'],
    [9_007_199_254_740_993n, '9,007,199,254,740,993'],
  ])('count %s is %s', (value, text) => expect(count(value)).toBe(text));

  it.each([
    [0n, '0 B'],
    [999n, '999 B'],
    [1000n, '1.0 kB'],
    [1_234_567n, '1.2 MB'],
    [999_999n, '1.0 MB'],
    [123_456_789_012n, '123.5 GB'],
    [2n ** 70n, '1,180.6 EB'],
  ])('size of %s bytes is %s', (value, text) => expect(size(value)).toBe(text));

  it.each([
    [0, '0 ms'],
    [999, '999 ms'],
    [12_340, '12.3 s'],
    [59_990, '0 min 59 s'],
    [245_000, '4 min 5 s'],
    [12_000_000, '3 h 20 min'],
  ])('%s ms is %s', (ms, text) => expect(duration(ms)).toBe(text));

  it.each([
    [[1, 6], '1–6 s'],
    [[0.2, 0.9], '1 s'],
    [[80, 600], '1.3–10 min'],
    [[1440, 6840], '0.4–1.9 h'],
  ] as const)('the range %s is %s', (range, text) => expect(secondsRange(range)).toBe(text));

  it.each([
    [{ low: 720, high: 1080 }, '12 to 18 min left'],
    [{ low: 3, high: 9 }, '3 to 9 s left'],
    [{ low: 3000, high: 9000 }, '0.8 to 2.5 h left'],
    [{ low: 0, high: 0 }, '0 s left'],
    [null, 'time left unknown'],
  ])('the time left of %o is %s', (seconds, text) => expect(timeLeft(seconds)).toBe(text));

  it.each([
    [0, '0 %'],
    [0.9999, '99 %'],
    [1, '100 %'],
  ])('the share %s is %s', (share, text) => expect(percent(share)).toBe(text));

  it('has a plural', () =>
    expect([many(1, 'row'), many(0n, 'row'), many(2000n, 'row')]).toEqual(['1 row', '0 rows', '2,000 rows']));
});
