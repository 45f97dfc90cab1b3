import { describe, expect, it } from 'vitest';
import { networkOf } from './check-password.ts';
import { hashPassword, isPassword } from './password.ts';
import { csrfTokenOf, isApiToken, isCsrfTokenOf, newApiToken, newToken } from './tokens.ts';

describe('a password', () => {
  it('is known again, and no other is', async () => {
    const hash = await hashPassword('correct horse battery');
    expect(hash).toMatch(/^scrypt\$15\$8\$3\$/);
    expect(await isPassword('correct horse battery', hash)).toBe(true);
    expect(await isPassword('correct horse batterz', hash)).toBe(false);
    expect(await hashPassword('correct horse battery')).not.toBe(hash);
  });

  it('is the same however its accents are composed', async () => {
    expect(await isPassword('cafe\u0301 au lait', await hashPassword('caf\u00e9 au lait'))).toBe(true);
  });

  it('of an account without one is never right', async () => {
    expect(await isPassword('', null)).toBe(false);
    expect(await isPassword('none', 'none')).toBe(false);
  });
});

describe('a token', () => {
  it('of the API is known by its form', () => {
    const { token, prefix } = newApiToken();
    expect(isApiToken(token)).toBe(true);
    expect(token.startsWith(prefix)).toBe(true);
    expect(isApiToken(token.slice(1))).toBe(false);
  });

  it('against forged requests belongs to one session', () => {
    const [one, other] = [newToken(), newToken()];
    expect(isCsrfTokenOf(one, csrfTokenOf(one))).toBe(true);
    expect(isCsrfTokenOf(one, csrfTokenOf(other))).toBe(false);
    expect(isCsrfTokenOf(one, '')).toBe(false);
  });
});

describe('attempts from one network', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:0001:2::6', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ])('%s counts as %s', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});
