/** `opendts serve` as a process: its first start, its end, and its start after it was killed. */
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { isRunning } from '../src/base/runtime/process-mark.ts';
import { freshDatabase } from './database.ts';
import { cliHome, type RunningCli } from './spawn-cli.ts';

const home = cliHome();
/** Open to the user that the embedded PostgreSQL runs as under root. */
const dataDir = mkdtempSync(join(tmpdir(), 'opendts-data-'));
chmodSync(dataDir, 0o755);
const auditLog = join(home.folder, 'audit.jsonl');
/** The embedded server, which outlives a node that is killed. */
const postmaster = () =>
  Number(readFileSync(join(dataDir, 'postgres', 'data', 'postmaster.pid'), 'utf8').split('\n')[0]);

afterAll(() => {
  // A test that failed half-way leaves them running.
  for (const { child } of nodes) child.kill('SIGKILL');
  const left = existsSync(join(dataDir, 'postgres', 'data', 'postmaster.pid')) ? postmaster() : 0;
  if (isRunning(`${left} -`)) process.kill(left, 'SIGQUIT');
  home[Symbol.dispose]();
  rmSync(dataDir, { recursive: true, force: true });
});

async function started(cli: RunningCli): Promise<{ url: string; password: string | undefined }> {
  await expect.poll(() => cli.output().stdout, { timeout: 90_000, interval: 100 }).toContain('listening on ');
  const { stdout } = cli.output();
  return {
    url: /listening on (\S+)/.exec(stdout)?.[1] ?? '',
    password: /one-time password (\S+)/.exec(stdout)?.[1],
  };
}

const nodes: RunningCli[] = [];
function serve(): RunningCli {
  const node = home.start(['serve', '--port', '0', '--data-dir', dataDir, '--audit-log', auditLog]);
  nodes.push(node);
  return node;
}

describe('opendts serve', () => {
  it('brings its own database and keeps it running, tells a password once, keeps what it is told by the command line, and is adopted after kill -9', async () => {
    await using database = await freshDatabase(17);
    const secret = decodeURIComponent(new URL(database.uri).password);
    const first = serve();
    const { url, password = '' } = await started(first);
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(password).toMatch(/^\S{24}$/);
    const other = await serve().finished;
    expect([other.code, other.stderr]).toEqual([
      2,
      expect.stringContaining('is running with data directory'),
    ]);

    const env = { OPENDTS_SERVER: url };
    const said: string[] = [];
    const cli = async (
      args: readonly string[],
      given: { input?: string; env?: Readonly<Record<string, string>> } = {},
    ) => {
      const result = await home.run(args, { env, ...given });
      said.push(result.stdout, result.stderr);
      return result;
    };
    expect((await cli(['login'], { input: `${password}x\n` })).stderr).toContain(
      'Name or password is wrong.',
    );
    const login = await cli(['login'], { input: `${password}\na password of my own\n` });
    expect([login.stdout, login.code]).toEqual([`logged in to ${url} as admin for 30 days\n`, 0]);
    const conninfo = database.uri.replace(`:${secret}@`, '@');
    const create = [
      'connection',
      'create',
      'shop',
      conninfo,
      '--password-stdin',
      '--region',
      'cn-hangzhou',
      '--json',
    ];
    const created = await cli(create, { input: `${secret}\n` });
    expect(JSON.parse(created.stdout)).toMatchObject({
      kind: 'Connection',
      data: { secret: 'sealed', region: 'cn-hangzhou', version: 1 },
    });
    const updated = await cli(['connection', 'update', 'shop', '--rename', 'old shop']);
    expect(updated.stdout).toContain('name: old shop\n');

    const pid = postmaster();
    for (const one of [first.child.pid, pid])
      expect(readFileSync(`/proc/${one}/cmdline`, 'utf8')).not.toContain(password);
    process.kill(pid, 'SIGKILL');
    const ready = () => fetch(`${url}/readyz`).then(({ status }) => status);
    await expect.poll(ready, { timeout: 60_000, interval: 500 }).toBe(200);
    const restarted = postmaster();
    expect(restarted).not.toBe(pid);
    first.child.kill('SIGKILL');
    const killed = await first.finished;
    const second = serve();
    const again = await started(second);
    expect(again.password).toBeUndefined();
    expect(postmaster()).toBe(restarted);
    // A token is shown to the server that it is of, and another port is another server.
    const there = { env: { OPENDTS_SERVER: again.url } };
    expect((await cli(['connection', 'list'], there)).stderr).toContain('There is no token');
    const { token } = JSON.parse(
      readFileSync(join(home.folder, '.config', 'opendts', 'login.json'), 'utf8'),
    ) as { token: string };
    const known = { env: { OPENDTS_SERVER: again.url, OPENDTS_TOKEN: token } };
    expect((await cli(['connection', 'list'], known)).stdout).toContain('old shop');
    const log = (await cli(['audit', 'export'], known)).stdout.trim().split('\n');
    const entries = log.map((line) => JSON.parse(line) as { operation: string });
    const loggedIn = [
      'session.create',
      'session.create',
      'password.change',
      'session.create',
      'token.create',
    ];
    const done = [...loggedIn, 'session.delete', 'connection.create', 'connection.update'];
    expect(entries.map(({ operation }) => operation).toReversed()).toEqual(done);
    second.child.kill('SIGTERM');
    const ended = await second.finished;
    expect([ended.code, ended.signal]).toEqual([0, null]);
    expect(isRunning(`${restarted} -`)).toBe(false);
    // Of two nodes, the first of which was killed: a line that was just being written may be there twice.
    const written = new Set(readFileSync(auditLog, 'utf8').trim().split('\n'));
    expect([...written].toReversed()).toEqual(log);

    expect((await cli(['keys', 'rotate', '--data-dir', dataDir])).stdout).toContain(
      '1 secret sealed with a new key',
    );
    const third = serve();
    const rotated = await started(third);
    const tested = await cli(['connection', 'test', 'old shop'], {
      env: { OPENDTS_SERVER: rotated.url, OPENDTS_TOKEN: token },
    });
    expect([tested.code, tested.stdout]).toEqual([0, expect.stringContaining('login')]);
    const deleted = await cli(['connection', 'delete', 'old shop'], {
      env: { OPENDTS_SERVER: rotated.url, OPENDTS_TOKEN: token },
    });
    expect([deleted.stdout, deleted.code]).toEqual(['deleted old shop\n', 0]);
    third.child.kill('SIGTERM');
    said.push(killed.stderr, ended.stdout, ended.stderr, (await third.finished).stderr);
    for (const hidden of [password, secret, token, 'a password of my own'])
      expect(said.join('')).not.toContain(hidden);
  }, 300_000);

  it('tells the first password also where it cannot listen, and why that is', async () => {
    await using database = await freshDatabase(17);
    const busy = createServer().listen(0, '127.0.0.1');
    await once(busy, 'listening');
    const { port } = busy.address() as AddressInfo;
    const env = { DATABASE_URL: database.uri, OPENDTS_KEY: Buffer.alloc(32, 1).toString('base64') };
    const ended = await home.run(['serve', '--no-worker', '--port', String(port)], { env });
    busy.close();
    expect(ended.stdout).toMatch(/^first login: name admin, one-time password \S{24} /);
    expect(ended.stderr).toContain(`port ${port}: another program does; give another with --port.`);
    expect(ended.code).toBe(2);
  });

  it('without a key for a database that may be shared does not start', async () => {
    const env = { DATABASE_URL: 'postgresql://u:MARKER@127.0.0.1:1/d' };
    const ended = await home.run(['serve', '--data-dir', dataDir], { env });
    expect(ended.stderr).toContain('The key for secrets cannot be used: none is given');
    expect(ended.stderr).not.toContain('MARKER');
    expect(ended.code).toBe(2);
  });
});
