/** Saved connections against real servers: the test ladder, where connections may not lead, and another key for their secrets. */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestStep } from '../src/contract/api/connection-operations.ts';
import { addKey, Keyring } from '../src/service/connection/keyring.ts';
import { requireKeys, sealAnew } from '../src/service/connection/rotate.ts';
import { startEmbedded } from '../src/base/embedded/server.ts';
import { parseConninfo } from '../src/engine/pg/conninfo/parse.ts';
import { freshDatabase, type TestDatabase } from './database.ts';
import { startService, type TestService } from './service.ts';

const folder = mkdtempSync(join(tmpdir(), 'opendts-service-'));
/** Certificates that a connection may name. */
const certificateDir = join(import.meta.dirname, 'tls');
const keyFile = join(folder, 'key');
writeFileSync(keyFile, randomBytes(32).toString('base64'));
writeFileSync(join(folder, 'password'), 'no password of anybody\n');

let service: TestService;
let database: TestDatabase;
let token: string;
beforeAll(async () => {
  service = await startService(18, { key: { file: keyFile }, secretDir: folder, certificateDir });
  database = await freshDatabase(17);
  token = (await service.account({ isAdministrator: true })).token;
});
afterAll(async () => {
  await database[Symbol.asyncDispose]();
  await service[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const collection = '/groups/default/connections';

async function saved(body: object): Promise<string> {
  const name = randomUUID().slice(0, 13);
  const made = await service.send(`POST ${collection}`, { token, body: { name, ...body } });
  expect([made.status, made.text]).toEqual([201, expect.any(String)]);
  return name;
}

async function tested(name: string): Promise<{ passed: boolean; steps: TestStep[] }> {
  const { status, body } = await service.send(`POST ${collection}/${name}/test`, { token });
  expect(status).toBe(200);
  return body;
}

const results = ({ steps }: { steps: TestStep[] }) => steps.map(({ result }) => result).join(' ');
const failure = ({ steps }: { steps: TestStep[] }) => steps.find(({ result }) => result === 'failed')?.error;

describe('the test of a connection', () => {
  it('passes step by step where all is well, and says what it found', async () => {
    const found = await tested(await saved({ conninfo: database.uri }));
    expect(found.passed).toBe(true);
    expect(results(found)).toBe('passed passed alert passed passed passed passed');
    const [, tcp, tls, login, version, rights, settings] = found.steps;
    expect(tcp?.detail).toContain('127.0.0.1');
    expect(tls?.detail).toContain('sslmode=prefer goes on without');
    expect(login?.detail).toContain(`in ${database.name}, a primary`);
    expect(version?.detail).toContain('PostgreSQL 17');
    expect(rights?.detail).toBe('may use replication, may create in the database');
    expect(settings?.detail).toContain('wal_level = logical');
  });

  it('ends at the step that fails, with an error of the table', async () => {
    const { hosts, user, password } = parseConninfo(database.uri, 'source');
    const at = (host: string, port: number, given = '') =>
      `host=${host} port=${port} user=${user} dbname=${database.name} ${given}`;
    const port = hosts[0]!.port;
    const cases = [
      [
        at('no-such-host.invalid', port),
        'failed skipped skipped skipped skipped skipped skipped',
        'CONNECT_FAILED',
      ],
      [at('127.0.0.1', 1), 'passed failed skipped skipped skipped skipped skipped', 'CONNECT_FAILED'],
      [
        at('127.0.0.1', port, 'sslmode=require'),
        'passed passed failed skipped skipped skipped skipped',
        'CONNECT_FAILED',
      ],
      [
        at('127.0.0.1', port, 'password=wrong'),
        'passed passed alert failed skipped skipped skipped',
        'CONNECT_REFUSED_LOGIN',
      ],
      [at('127.0.0.1', port), 'passed passed alert failed skipped skipped skipped', 'CONNECT_REFUSED_LOGIN'],
    ] as const;
    for (const [conninfo, wanted, code] of cases) {
      const found = await tested(await saved({ conninfo }));
      expect([conninfo, results(found), failure(found)?.code]).toEqual([conninfo, wanted, code]);
      expect(found.passed).toBe(false);
      expect(failure(found)?.message).not.toContain('source');
    }
    const missing = at('127.0.0.1', port).replace(database.name, 'no_such_database');
    const found = await tested(await saved({ conninfo: missing, password }));
    expect(failure(found)?.code).toBe('DATABASE_MISSING');
  });

  it('says whose certificate it was shown, and whether it is trusted', async () => {
    const pem = (name: string) => readFileSync(join(certificateDir, name), 'utf8');
    const server = await startEmbedded({
      major: 18,
      settings: { ssl: 'on', ssl_cert_file: 'server.crt', ssl_key_file: 'server.key' },
      files: { 'server.crt': pem('server.crt'), 'server.key': pem('server.key') },
    });
    try {
      const base = `host=db.opendts.test hostaddr=127.0.0.1 port=${server.port} user=postgres dbname=postgres sslmode=verify-full`;
      const saveFor = (file: string) =>
        saved({ conninfo: `${base} sslrootcert=${join(certificateDir, file)}`, password: server.password });
      const trusted = await tested(await saveFor('ca.crt'));
      expect([results(trusted), trusted.steps[2]?.detail]).toEqual([
        'passed passed passed passed passed passed alert',
        expect.stringMatching(
          /^TLSv1\.3, certificate of db\.opendts\.test until 2\d{3}-\d\d-\d\d, verified$/,
        ),
      ]);
      const strange = await tested(await saveFor('other-ca.crt'));
      expect(results(strange)).toBe('passed passed failed skipped skipped skipped skipped');
      expect(failure(strange)).toMatchObject({
        code: 'CONNECT_FAILED',
        remedy: expect.stringContaining('sslrootcert'),
      });
    } finally {
      await server.remove();
    }
  });

  it('uses a password that is kept in a file of the server', async () => {
    const without = database.uri.replace(/:[^:@/]*@/, '@');
    const wrong = await tested(await saved({ conninfo: without, passwordFile: 'password' }));
    expect(failure(wrong)?.code).toBe('CONNECT_REFUSED_LOGIN');
    writeFileSync(join(folder, 'right'), `${parseConninfo(database.uri, 'source').password}\n`);
    expect((await tested(await saved({ conninfo: without, passwordFile: 'right' }))).passed).toBe(true);
  });

  it('never reaches the metadata database, by whichever name', async () => {
    for (const uri of [service.database.uri, service.database.uri.replace('127.0.0.1', 'localhost')]) {
      const found = await tested(await saved({ conninfo: uri }));
      expect([results(found).split(' ')[3], failure(found)?.code]).toEqual(['failed', 'STORE_AS_ENDPOINT']);
    }
  });
});

describe('a secret of the server', () => {
  it('is named by who administers it, and by nobody who edits connections of a group', async () => {
    const editor = (await service.account({ group: 'default', role: 'admin' })).token;
    const edit = (line: string, body: object) => service.send(line, { token: editor, body });
    const base = 'host=127.0.0.1 port=1 user=u dbname=d';
    const own = `sslmode=require sslcert=${join(certificateDir, 'client.crt')} sslkey=${join(certificateDir, 'client.key')}`;
    const refused = [
      { conninfo: base, passwordFile: 'password' },
      { conninfo: base, passwordVariable: 'OPENDTS_PASSWORD_X' },
      { conninfo: `${base} ${own}` },
    ];
    for (const body of refused) {
      const made = await edit(`POST ${collection}`, { name: 'refused', ...body });
      expect([body, made.status, made.body.code]).toEqual([body, 403, 'FORBIDDEN']);
    }
    const name = await saved({ conninfo: `${base} ${own}`, passwordFile: 'password' });
    const change = (body: object) => edit(`PATCH ${collection}/${name}`, body);
    // What is named stays, and stays with the server that it was named for.
    expect((await change({ version: 1, region: 'r' })).body).toMatchObject({ version: 2, secret: 'file' });
    expect(
      (await change({ version: 2, conninfo: `${base} ${own}`.replace('port=1', 'port=2') })).body.code,
    ).toBe('FORBIDDEN');
    expect((await change({ version: 2, conninfo: base })).body.code).toBe('SECRET_NEEDED');
    expect((await change({ version: 2, conninfo: base, password: 'mine' })).body).toMatchObject({
      secret: 'sealed',
    });
  });
});

describe('a connection', () => {
  it('leads only into allowed networks', async () => {
    await using walled = await startService(18, { networks: ['10.0.0.0/8'] });
    const admin = (await walled.account({ isAdministrator: true })).token;
    await walled.send(`POST ${collection}`, { token: admin, body: { name: 'x', conninfo: database.uri } });
    const { body } = await walled.send(`POST ${collection}/x/test`, { token: admin });
    expect([results(body), failure(body)?.code]).toEqual([
      'failed skipped skipped skipped skipped skipped skipped',
      'NETWORK_REFUSED',
    ]);
  });

  it('still opens after its secret was sealed with a new key, and a node without that key does not start', async () => {
    const name = await saved({ conninfo: database.uri });
    const before = new Keyring({ text: readFileSync(keyFile, 'utf8') });
    addKey(keyFile);
    const { store } = service.node.services;
    expect(await sealAnew(store, new Keyring({ file: keyFile }))).toBeGreaterThan(0);
    expect(await sealAnew(store, new Keyring({ file: keyFile }))).toBe(0);
    // The node that runs has not been told: it reads its key file again.
    expect((await tested(name)).passed).toBe(true);
    await expect(requireKeys(store, before)).rejects.toMatchObject({ code: 'SEALING_KEY_UNKNOWN' });
  });
});
