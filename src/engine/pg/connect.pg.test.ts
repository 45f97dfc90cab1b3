/** Connections to real servers: roles, failures and their words, and TLS with certificates of test/tls/. */
import { randomBytes } from 'node:crypto';
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import { MAJORS } from '../../../test/global-setup.ts';
import { AppError } from '../../base/errors/app-error.ts';
import { startEmbedded, type EmbeddedServer } from '../../base/embedded/server.ts';
import type { ErrorCode } from '../../base/errors/errors.ts';
import type { ConnInfo } from './conninfo/conninfo.ts';
import { parseConninfo } from './conninfo/parse.ts';
import { connect } from './connect.ts';
import { ident } from './ident.ts';
import type { Session } from './session.ts';

const MARKER = 'M4rkerOfTheSecret';

function open(info: ConnInfo | string, replication = false): Promise<Session> {
  const parsed = typeof info === 'string' ? parseConninfo(info, 'source') : info;
  return connect(parsed, { side: 'source', applicationName: 'opendts:test:connect', replication });
}

/** The error of a connection that must fail, after checking that nothing of it holds the marker password. */
async function failure(info: ConnInfo | string, replication = false): Promise<AppError> {
  let session: Session;
  try {
    session = await open(info, replication);
  } catch (thrown) {
    if (!(thrown instanceof AppError)) throw thrown;
    const everything = `${inspect(thrown, { depth: 12, showHidden: true })}${thrown.remedy}${JSON.stringify(thrown)}`;
    expect(everything).not.toContain(MARKER);
    return thrown;
  }
  await session.end();
  throw new Error('connected, but it should have failed');
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (typeof address !== 'object' || !address) throw new Error('no port');
  return address.port;
}

async function closedPort(): Promise<number> {
  const server = createServer();
  const port = await listening(server);
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}

describe.each(MAJORS)('a connection to PostgreSQL %i', (major) => {
  it('sets what every session of ours sets, also for replication', async () => {
    await using db = await freshDatabase(major);
    for (const replication of [false, true]) {
      await using session = await open(db.info, replication);
      expect(await session.one('SHOW search_path')).toEqual({ search_path: '""' });
      expect(await session.one('SHOW application_name')).toEqual({
        application_name: 'opendts:test:connect',
      });
    }
  });

  it('hands libpq options to the server', async () => {
    await using db = await freshDatabase(major);
    await using session = await open({ ...db.info, options: '-c work_mem=123MB' });
    expect(await session.one('SHOW work_mem')).toEqual({ work_mem: '123MB' });
  });

  it('says what is wrong with password, database, user and rights', async () => {
    await using db = await freshDatabase(major);
    const role = `r_${randomBytes(4).toString('hex')}`;
    await db.session.query(`CREATE ROLE ${role} LOGIN PASSWORD '${MARKER}'`);
    try {
      const mine = { ...db.info, user: role, password: MARKER };
      const expected: [ConnInfo, boolean, ErrorCode, RegExp, RegExp][] = [
        [
          { ...db.info, password: MARKER },
          false,
          'CONNECT_REFUSED_LOGIN',
          /password authentication failed/,
          /password file/,
        ],
        [{ ...mine, password: null }, false, 'CONNECT_REFUSED_LOGIN', /none was given/, /password file/],
        [{ ...mine, database: 'nowhere' }, false, 'DATABASE_MISSING', /"nowhere" does not exist/, /createdb/],
        [mine, true, 'NO_REPLICATION_RIGHT', /may not use replication/, /ALTER ROLE "r_\w+" REPLICATION/],
      ];
      for (const [info, replication, code, message, remedy] of expected) {
        const error = await failure(info, replication);
        expect([error.code, error.message, error.remedy]).toEqual([
          code,
          expect.stringMatching(message),
          expect.stringMatching(remedy),
        ]);
      }
      await db.session.query(`REVOKE CONNECT ON DATABASE ${ident(db.name)} FROM PUBLIC`);
      const refused = await failure(mine);
      expect(refused.code).toBe('CONNECT_REFUSED_LOGIN');
      expect(refused.remedy).toContain(`GRANT CONNECT ON DATABASE "${db.name}" TO "${role}"`);
      await db.session.query(`ALTER ROLE ${role} NOLOGIN`);
      expect((await failure(mine)).message).toContain('not permitted to log in');
    } finally {
      await db.session.query(`DROP ROLE ${role}`);
    }
  });
});

describe('a server that cannot be reached', () => {
  it.each<[string, () => Promise<string>, RegExp, RegExp]>([
    ['unknown name', async () => 'no-such-host.invalid:5432', /no-such-host\.invalid/, /name service/],
    ['refused', async () => `127.0.0.1:${await closedPort()}`, /ECONNREFUSED/, /listen_addresses/],
    ['no socket', async () => '%2Fnonexistent:5432', /\/nonexistent\/\.s\.PGSQL\.5432/, /socket folder/],
  ])('is named with what to check: %s', async (_name, host, message, remedy) => {
    const error = await failure(`postgresql://u:${MARKER}@${await host()}/d`);
    expect(error.code).toBe('CONNECT_FAILED');
    expect(error.message).toMatch(message);
    expect(error.remedy).toMatch(remedy);
  });

  it.each(['disable', 'require', 'prefer'])(
    'is given up after connect_timeout with sslmode=%s',
    async (mode) => {
      const silent = createServer((socket) => socket.on('error', () => {}));
      const port = await listening(silent);
      const started = Date.now();
      const error = await failure(
        `postgresql://u:${MARKER}@127.0.0.1:${port}/d?connect_timeout=1&sslmode=${mode}`,
      );
      expect(error.message).toContain('no answer within 1 s');
      expect(error.remedy).toContain('connect_timeout');
      expect(Date.now() - started).toBeLessThan(5_000);
      silent.close();
    },
  );

  it('that hangs up or speaks another protocol is a failure, not a crash', async () => {
    for (const answer of ['', 'HTTP/1.1 400 Bad Request\r\n\r\n']) {
      const other = createServer((socket) =>
        socket.on('error', () => {}).once('data', () => socket.end(answer)),
      );
      const port = await listening(other);
      const uri = `postgresql://u:${MARKER}@127.0.0.1:${port}/d?connect_timeout=2`;
      expect((await failure(`${uri}&sslmode=disable`)).code).toBe('CONNECT_FAILED');
      expect((await failure(`${uri}&sslmode=require`)).code).toBe('CONNECT_FAILED');
      other.close();
    }
  });
});

describe('several hosts', () => {
  const hosts = async (info: ConnInfo): Promise<ConnInfo> => {
    const [first] = info.hosts;
    if (!first) throw new Error('no host');
    return { ...info, hosts: [{ ...first, port: await closedPort() }, first] };
  };

  it('are tried in their order until one has the wanted role', async () => {
    await using db = await freshDatabase(17);
    const info = await hosts(db.info);
    for (const targetSessionAttrs of ['any', 'read-write', 'primary', 'prefer-standby'] as const) {
      await using session = await open({ ...info, targetSessionAttrs });
      expect(session.pid).toBeGreaterThan(0);
    }
    for (const targetSessionAttrs of ['standby', 'read-only'] as const) {
      const error = await failure({ ...info, targetSessionAttrs });
      expect(error.message).toMatch(/ECONNREFUSED.*; .*the server is not/);
      expect(error.message).toContain(`target_session_attrs=${targetSessionAttrs}`);
    }
  });

  it('count a server with default_transaction_read_only as read-only', async () => {
    await using db = await freshDatabase(17);
    await db.session.query(`ALTER DATABASE ${ident(db.name)} SET default_transaction_read_only = on`);
    await using session = await open({ ...db.info, targetSessionAttrs: 'read-only' });
    expect(session.pid).toBeGreaterThan(0);
    expect((await failure({ ...db.info, targetSessionAttrs: 'read-write' })).message).toContain(
      'is read-only',
    );
  });

  it('are not asked on after a refused password', async () => {
    await using db = await freshDatabase(17);
    const [first] = db.info.hosts;
    if (!first) throw new Error('no host');
    const wrong = { ...first, password: MARKER };
    const error = await failure({ ...db.info, hosts: [wrong, first] });
    expect(error.code).toBe('CONNECT_REFUSED_LOGIN');
    await using session = await open({
      ...db.info,
      password: MARKER,
      hosts: [{ ...first, password: db.info.password }],
    });
    expect(session.pid).toBeGreaterThan(0);
  });
});

it('PGPASSWORD and PGSSLNEGOTIATION do not reach the driver behind our back', async () => {
  const { PGPASSWORD, PGSSLNEGOTIATION } = process.env;
  const info = parseConninfo(inject('servers')[17], 'source');
  process.env.PGPASSWORD = info.password ?? '';
  process.env.PGSSLNEGOTIATION = 'direct';
  try {
    expect((await failure({ ...info, password: null })).message).toContain('none was given');
    await (await open(info)).end();
  } finally {
    for (const [name, value] of Object.entries({ PGPASSWORD, PGSSLNEGOTIATION })) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
});

describe('TLS', () => {
  const certificate = (name: string) => join(import.meta.dirname, '../../../test/tls', name);
  let server: EmbeddedServer;
  let folder = '';
  const key = () => join(folder, 'client.key');

  /** `plain`: only without TLS; `tls`: only with; `cert`: only with a client certificate; `either`: both. */
  const HBA = `local all all trust
hostnossl plain all 127.0.0.1/32 trust
hostssl tls all 127.0.0.1/32 trust
hostssl cert all 127.0.0.1/32 trust clientcert=verify-ca
host either all 127.0.0.1/32 trust
`;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'opendts-tls-'));
    copyFileSync(certificate('client.key'), key());
    chmodSync(key(), 0o600);
    const read = (name: string) => readFileSync(certificate(name), 'utf8');
    server = await startEmbedded({
      major: 17,
      settings: { ssl: 'on', ssl_cert_file: 'server.crt', ssl_key_file: 'server.key', ssl_ca_file: 'ca.crt' },
      files: {
        'server.crt': read('server.crt'),
        'server.key': read('server.key'),
        'ca.crt': read('ca.crt'),
        'pg_hba.conf': HBA,
      },
    });
    await using local = await open(`user=postgres dbname=postgres host=${server.folder} port=${server.port}`);
    for (const name of ['plain', 'tls', 'cert', 'either'])
      await local.query(`CREATE DATABASE ${ident(name)}`);
  });
  afterAll(async () => {
    await server?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  const at = (database: string, rest: string, host = 'host=127.0.0.1') =>
    `user=postgres password=${MARKER} dbname=${database} ${host} port=${server.port} ${rest}`;
  const named = 'host=db.opendts.test hostaddr=127.0.0.1';

  async function encrypted(dsn: string): Promise<boolean> {
    await using session = await open(dsn);
    const row = await session.one(
      'SELECT ssl::text FROM pg_catalog.pg_stat_ssl WHERE pid = pg_catalog.pg_backend_pid()',
    );
    return row.ssl === 'true';
  }

  it.each([
    ['either', 'disable', false],
    ['either', 'allow', false],
    ['either', 'prefer', true],
    ['either', 'require', true],
    ['plain', 'allow', false],
    ['plain', 'prefer', false],
    ['tls', 'allow', true],
    ['tls', 'prefer', true],
    ['tls', 'require', true],
  ])('database %s with sslmode=%s: encrypted %s', async (database, mode, expected) => {
    expect(await encrypted(at(database, `sslmode=${mode}`))).toBe(expected);
  });

  it('is refused as asked when the server wants the other kind', async () => {
    const plain = await failure(at('tls', 'sslmode=disable'));
    expect([plain.code, plain.remedy]).toEqual([
      'CONNECT_REFUSED_LOGIN',
      expect.stringContaining('sslmode=require'),
    ]);
    expect((await failure(at('plain', 'sslmode=require'))).code).toBe('CONNECT_REFUSED_LOGIN');
  });

  it('that the server has switched off is said so, and prefer goes on without', async () => {
    const off = inject('servers')[17];
    const error = await failure(`${off}?sslmode=require`);
    expect(error.code).toBe('CONNECT_FAILED');
    expect(error.remedy).toContain('set ssl = on');
    expect(await encrypted(`${off}?sslmode=prefer`)).toBe(false);
  });

  it.each([
    ['require sslrootcert=', 'ca.crt', 'host=127.0.0.1'],
    ['verify-ca sslrootcert=', 'ca.crt', 'host=127.0.0.1'],
    ['verify-full sslrootcert=', 'ca.crt', named],
    ['verify-full sslnegotiation=direct sslrootcert=', 'ca.crt', named],
    ['verify-full ssl_min_protocol_version=TLSv1.3 sslrootcert=', 'ca.crt', named],
  ])('trusts the server with sslmode=%s%s over %s', async (mode, root, host) => {
    expect(await encrypted(at('either', `sslmode=${mode}${certificate(root)}`, host))).toBe(true);
  });

  it.each([
    ['verify-full', 'ca.crt', 'host=127.0.0.1', /altnames|IP/i],
    ['verify-full', 'ca.crt', 'host=other.opendts.test hostaddr=127.0.0.1', /altnames/i],
    ['verify-full', 'other-ca.crt', named, /certificate/],
    ['verify-ca', 'other-ca.crt', named, /certificate/],
    ['require', 'other-ca.crt', named, /certificate/],
  ])('does not trust the server with sslmode=%s %s over %s', async (mode, root, host, message) => {
    const error = await failure(at('either', `sslmode=${mode} sslrootcert=${certificate(root)}`, host));
    expect(error.code).toBe('CONNECT_FAILED');
    expect(error.message).toMatch(message);
    expect(error.remedy).toContain('sslrootcert');
  });

  it('does not trust a certificate of our own with those of the machine', async () => {
    expect((await failure(at('either', 'sslrootcert=system', named))).code).toBe('CONNECT_FAILED');
  });

  it('shows the client certificate when the server asks for one', async () => {
    const own = `sslmode=require sslcert=${certificate('client.crt')} sslkey=${key()}`;
    expect(await encrypted(at('cert', own))).toBe(true);
    expect((await failure(at('cert', 'sslmode=require'))).code).toBe('CONNECT_REFUSED_LOGIN');
  });

  it('refuses certificate files that are missing, half given or readable by others', async () => {
    const missing = await failure(at('either', 'sslmode=require sslrootcert=/nonexistent.crt'));
    expect([missing.code, missing.message]).toEqual(['CONNINFO_INVALID', expect.stringContaining('ENOENT')]);
    const half = await failure(at('either', `sslmode=require sslcert=${certificate('client.crt')}`));
    expect(half.message).toContain('without its key');
    const shared = join(folder, 'open.key');
    copyFileSync(certificate('client.key'), shared);
    chmodSync(shared, 0o644);
    const readable = await failure(
      at('either', `sslmode=require sslcert=${certificate('client.crt')} sslkey=${shared}`),
    );
    expect(readable.message).toContain(`chmod 600 ${shared}`);
  });

  it('is never spoken over a unix socket', async () => {
    const socket = `user=postgres dbname=either host=${server.folder} port=${server.port}`;
    expect(await encrypted(`${socket} sslmode=require`)).toBe(false);
  });
});
