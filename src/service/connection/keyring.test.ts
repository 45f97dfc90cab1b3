import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { addKey, Keyring, makeKeyFile } from './keyring.ts';

const folder = mkdtempSync(join(tmpdir(), 'opendts-key-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const oneKey = () => new Keyring({ text: randomBytes(32).toString('base64') });

describe('a keyring', () => {
  it('opens what it sealed, for the same connection only', () => {
    const keyring = oneKey();
    const sealed = keyring.seal('pä$$ wörd', 'a');
    expect(sealed.sealed).not.toContain(Buffer.from('pä$$ wörd').toString('base64').slice(0, 8));
    expect(keyring.open(sealed, 'a')).toBe('pä$$ wörd');
    expect(() => keyring.open(sealed, 'b')).toThrow(expect.objectContaining({ code: 'SEALING_KEY_UNKNOWN' }));
    expect(keyring.seal('pä$$ wörd', 'a').sealed).not.toBe(sealed.sealed);
  });

  it('refuses what was tampered with, at every byte', () => {
    const keyring = oneKey();
    const sealed = keyring.seal('secret', 'a');
    const bytes = Buffer.from(sealed.sealed, 'base64');
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      const tampered = { ...sealed, sealed: changed.toString('base64') };
      expect(() => keyring.open(tampered, 'a')).toThrow(
        expect.objectContaining({ code: 'SEALING_KEY_UNKNOWN' }),
      );
    }
  });

  it('refuses what another key sealed', () => {
    expect(() => oneKey().open(oneKey().seal('secret', 'a'), 'a')).toThrow(
      expect.objectContaining({ code: 'SEALING_KEY_UNKNOWN' }),
    );
  });

  it('keeps its file to its owner, and learns of a key that was added there', () => {
    const file = join(folder, 'key');
    makeKeyFile(file);
    makeKeyFile(file);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const before = new Keyring({ file });
    const old = before.seal('secret', 'a');
    addKey(file);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const after = new Keyring({ file });
    expect(after.activeId).not.toBe(before.activeId);
    expect(after.open(old, 'a')).toBe('secret');
    expect(before.open(after.seal('other', 'a'), 'a')).toBe('other');
  });

  it.each(['', 'short', randomBytes(31).toString('base64'), `${randomBytes(32).toString('base64')} x`])(
    'refuses %j without quoting it',
    (text) => {
      const make = () => new Keyring({ text });
      expect(make).toThrow(expect.objectContaining({ code: 'SEALING_KEY_INVALID' }));
      if (text !== '') expect(make).not.toThrow(text);
    },
  );
});
