import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { databaseUrlOf, keyOf, readServeOptions } from './serve-options.ts';

const folder = mkdtempSync(join(tmpdir(), 'opendts-options-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(text: string): string {
  const path = join(folder, `${Math.random()}.yaml`);
  writeFileSync(path, text);
  return path;
}

describe('the options of serve', () => {
  it('have defaults that listen to this machine only', () => {
    expect(readServeOptions({}, {})).toMatchObject({
      host: '127.0.0.1',
      port: 8620,
      allowNetwork: [],
      secure: false,
    });
  });

  it('come from the file, over it the environment, over both the flags', () => {
    const config = file('port: 1\nhost: file\nallowNetwork: [10.0.0.0/8]\nlogLevel: debug\nsecure: true\n');
    const env = { OPENDTS_HOST: 'environment', OPENDTS_PORT: '2', OPENDTS_LOG_LEVEL: '', DATABASE_URL: 'x' };
    expect(readServeOptions({ config, port: '3' }, env)).toMatchObject({
      port: 3,
      host: 'environment',
      allowNetwork: ['10.0.0.0/8'],
      logLevel: 'debug',
      secure: true,
      databaseUrl: 'x',
    });
  });

  it('take lists separated by commas', () => {
    expect(readServeOptions({ allowNetwork: '10.0.0.0/8, ::1' }, {}).allowNetwork).toEqual([
      '10.0.0.0/8',
      '::1',
    ]);
  });

  it.each([
    [{ port: 'MARKER' }, {}, 'USAGE', '--port: '],
    [{ port: '70000' }, {}, 'USAGE', '--port: '],
    [{}, { OPENDTS_DRAIN_SECONDS: '-1' }, 'CONFIG_INVALID', 'variable OPENDTS_DRAIN_SECONDS: '],
    [{}, { OPENDTS_SECURE: 'MARKER' }, 'CONFIG_INVALID', 'variable OPENDTS_SECURE: '],
    [{}, { OPENDTS_CONFIG: '/no/such.yaml' }, 'CONFIG_INVALID', 'file /no/such.yaml: there is no such file'],
    [{ config: 'key: MARKER: x' }, {}, 'CONFIG_INVALID', 'it is not readable YAML'],
    [{ config: 'key: [MARKER]' }, {}, 'CONFIG_INVALID', 'key: '],
    [{ config: 'MARKER' }, {}, 'CONFIG_INVALID', 'expected object'],
    [{ config: 'prot: 1' }, {}, 'CONFIG_INVALID', 'Unrecognized key: "prot"'],
  ])('%j and %j are refused without quoting a value', (given, env, code, problem) => {
    const flags = 'config' in given ? { config: file(given.config) } : given;
    const read = () => readServeOptions(flags, env);
    expect(read).toThrow(expect.objectContaining({ code, message: expect.stringContaining(problem) }));
    expect(read).not.toThrow('MARKER');
  });

  it('name a secret or a file that holds it, not both', () => {
    const path = file('postgresql://u@h/d\n');
    expect(databaseUrlOf(readServeOptions({}, { DATABASE_URL_FILE: path }))).toBe('postgresql://u@h/d');
    expect(databaseUrlOf(readServeOptions({}, {}))).toBeNull();
    expect(keyOf(readServeOptions({ keyFile: 'x' }, {}))).toEqual({ file: 'x' });
    expect(keyOf(readServeOptions({}, { OPENDTS_KEY: 'x' }))).toEqual({ text: 'x' });
    expect(() => databaseUrlOf(readServeOptions({}, { DATABASE_URL: 'x', DATABASE_URL_FILE: path }))).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    );
    expect(() => keyOf(readServeOptions({ keyFile: 'x' }, { OPENDTS_KEY: 'x' }))).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    );
  });
});
