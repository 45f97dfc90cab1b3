import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parseConninfo } from '../../engine/pg/conninfo/parse.ts';
import type { StoredConnection } from '../store/connection/connection-row.ts';
import type { Db } from '../store/store.ts';
import { addressesOf, isNetwork, judgeConninfo, type EndpointPolicy } from './endpoint-policy.ts';
import { Keyring } from './keyring.ts';
import { readSecret, storedSecret } from './secret.ts';

const store = {
  systemIdentifier: '1',
  database: 'd',
  databaseOid: '5',
  startedAt: '',
  isStandby: false,
  versionText: '',
};
const policy = (given: Partial<EndpointPolicy> = {}): EndpointPolicy => ({
  networks: [],
  certificateDir: null,
  store,
  ...given,
});
const host = (name: string) => ({ host: name, address: null, port: 5432, password: null });

describe('where a connection may lead', () => {
  it.each([
    ['10.0.0.0/8', '10.1.2.3', true],
    ['10.0.0.0/8', '11.1.2.3', false],
    ['10.0.0.0/8', '::ffff:10.1.2.3', true],
    ['10.0.0.0/8', '::ffff:11.1.2.3', false],
    ['192.0.2.7', '192.0.2.7', true],
    ['192.0.2.7', '192.0.2.8', false],
    ['fd00::/8', 'fd12::1', true],
    ['fd00::/8', '::1', false],
    ['10.0.0.0/8', 'localhost', false],
  ])('with %s allowed, %s: %j', async (network, name, allowed) => {
    const found = addressesOf(host(name), policy({ networks: [network] }));
    if (allowed) await expect(found).resolves.toEqual([{ ...host(name), address: name }]);
    else await expect(found).rejects.toMatchObject({ code: 'NETWORK_REFUSED' });
  });

  it('is everywhere when no network is given', async () => {
    expect((await addressesOf(host('localhost'), policy())).map(({ address }) => address)).toContain(
      '127.0.0.1',
    );
  });

  it.each(['169.254.169.254', '::ffff:169.254.169.254', '::ffff:a9fe:a9fe', 'fe80::1', '100.100.100.200'])(
    'is not %s, where clouds keep keys, unless that is allowed by name',
    async (address) => {
      await expect(addressesOf(host(address), policy())).rejects.toMatchObject({ code: 'NETWORK_REFUSED' });
      const networks = ['169.254.0.0/16', 'fe80::/10', '100.64.0.0/10'];
      await expect(addressesOf(host(address), policy({ networks }))).resolves.toHaveLength(1);
    },
  );

  it.each([
    ['10.0.0.0/8', true],
    ['fd00::/8', true],
    ['::1', true],
    ['10.0.0.0/40', false],
    ['10.0.0.0/x', false],
    ['10.0.0.0/', false],
    ['example.com', false],
    ['', false],
  ])('%j is a network: %j', (text, is) => {
    expect(isNetwork(text)).toBe(is);
  });

  it('is no socket of the server, and no certificate file from anywhere', () => {
    const judge = (text: string, given = {}) => judgeConninfo(parseConninfo(text, 'source'), policy(given));
    expect(() => judge('host=/tmp user=u')).toThrow(expect.objectContaining({ code: 'HOST_REFUSED' }));
    const asking = 'host=h user=u sslmode=verify-full sslrootcert=/etc/certs/ca.crt';
    expect(() => judge(asking)).toThrow(expect.objectContaining({ code: 'FILE_REFUSED' }));
    expect(() => judge(asking, { certificateDir: '/etc/certs' })).not.toThrow();
    expect(() => judge(asking, { certificateDir: '/etc/cert' })).toThrow();
    expect(() =>
      judge('host=h user=u sslrootcert=/etc/certs/../shadow', { certificateDir: '/etc/certs' }),
    ).toThrow();
    expect(() => judge('host=h user=u sslmode=verify-full sslrootcert=system')).not.toThrow();
  });
});

describe('a secret that is kept elsewhere', () => {
  const folder = mkdtempSync(join(tmpdir(), 'opendts-secrets-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const secrets = join(folder, 'secrets');
  mkdirSync(secrets);
  writeFileSync(join(secrets, 'one'), 'from a file\n');
  writeFileSync(join(folder, 'outside'), 'MARKER');
  symlinkSync(join(folder, 'outside'), join(secrets, 'link'));
  const sources = { folder: secrets, env: { OPENDTS_PASSWORD_A: 'from a variable', HOME: '/root' } };
  const keyring = new Keyring({ text: Buffer.alloc(32, 1).toString('base64') });
  const db: Db = { query: async () => [] };
  const named = (secretKind: 'file' | 'env', secretReference: string) =>
    readSecret(db, { id: 'x', secretKind, secretReference } as StoredConnection, keyring, sources);

  it('is read when it is needed', async () => {
    expect(await named('file', join(secrets, 'one'))).toBe('from a file');
    expect(await named('env', 'OPENDTS_PASSWORD_A')).toBe('from a variable');
    await expect(named('env', 'OPENDTS_PASSWORD_B')).rejects.toMatchObject({ code: 'SECRET_UNREADABLE' });
    await expect(named('file', join(secrets, 'none'))).rejects.toMatchObject({ code: 'SECRET_UNREADABLE' });
  });

  it('is read from nowhere else, also by way of a link', async () => {
    await expect(named('file', join(secrets, 'link'))).rejects.toMatchObject({ code: 'FILE_REFUSED' });
    await expect(named('file', join(folder, 'outside'))).rejects.toMatchObject({ code: 'FILE_REFUSED' });
    const store = (passwordFile: string) => storedSecret({ passwordFile }, 'x', keyring, sources);
    expect(store('one')).toMatchObject({ kind: 'file', reference: join(secrets, 'one') });
    for (const path of ['../outside', '/etc/passwd', `${secrets}/../outside`, secrets, '..', '.'])
      expect(() => store(path)).toThrow(expect.objectContaining({ code: 'FILE_REFUSED' }));
    expect(() => storedSecret({ passwordFile: 'one' }, 'x', keyring, { ...sources, folder: null })).toThrow(
      expect.objectContaining({ code: 'FILE_REFUSED' }),
    );
  });
});
