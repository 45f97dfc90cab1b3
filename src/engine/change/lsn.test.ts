/** LSNs as text. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatLsn, lsnFrom, parseLsn } from './lsn.ts';

describe('an LSN', () => {
  it('comes back from its text, over all 64 bits', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), (value) => {
        expect(parseLsn(formatLsn(lsnFrom(value)))).toBe(value);
      }),
    );
  });

  it('is written as the server writes it', () => {
    expect(formatLsn(parseLsn('16/B374D848'))).toBe('16/B374D848');
    expect(formatLsn(lsnFrom(0n))).toBe('0/0');
    expect(parseLsn('1/0')).toBe(1n << 32n);
  });

  it.each(['', '0', '0/', '/0', '0/0/0', '123456789/0', '0/G', ' 0/0'])('is not %j', (text) => {
    expect(() => parseLsn(text)).toThrow('not an LSN');
  });
});
