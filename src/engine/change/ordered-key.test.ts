/** The order of key values: as the server sorts them (ordered-key.pg.test.ts compares with real ones). */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareKeys, keyOrderOf } from './ordered-key.ts';

const sign = (value: number) => Math.sign(value);

describe('the order of keys', () => {
  it('of integers is that of their numbers, whatever their length', () => {
    const int8 = fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n });
    fc.assert(
      fc.property(int8, int8, (a, b) => {
        expect(sign(compareKeys('integer', String(a), String(b)))).toBe(a < b ? -1 : a > b ? 1 : 0);
      }),
    );
  });

  it('of timestamps knows BC, years beyond 9999, fractions and both infinities', () => {
    const rising = [
      '-infinity',
      '4713-01-01 00:00:00 BC',
      '0044-03-15 00:00:00 BC',
      '0001-12-31 00:00:00 BC',
      '0001-01-01 00:00:00',
      '1999-12-31 23:59:59.999999+00',
      '2000-01-01 00:00:00+00',
      '2000-01-01 00:00:00.25+00',
      '2000-01-01 00:00:00.3+00',
      '2000-01-01 00:00:01+00',
      '10000-01-01 00:00:00+00',
      'infinity',
    ];
    for (const [i, a] of rising.entries())
      for (const [j, b] of rising.entries())
        expect(sign(compareKeys('timestamp', a, b)), `${a} and ${b}`).toBe(Math.sign(i - j));
  });

  it('is not known for types that sort by a collation', () => {
    expect([25, 1043, 1700, 701].map(keyOrderOf)).toEqual([null, null, null, null]);
  });

  it('refuses a text that our sessions would not send', () => {
    expect(() => compareKeys('timestamp', '01/02/2003', 'infinity')).toThrow('not a date');
  });
});
