/** Tasks of the service on workers: their whole life, workers that die or freeze, a store that is away, trouble and recovery. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { changeConnection } from '../src/service/connection/saved-connections.ts';
import { tryAgainNow } from '../src/service/store/task/try-again-now.ts';
import { freshDatabase, freshPair, type DatabasePair, type TestDatabase } from './database.ts';
import { eventually, startFleet, type TestFleet } from './fleet.ts';
import { ownServer } from './own-server.ts';
import { cliHome } from './spawn-cli.ts';
import { catalog } from './source-catalog.ts';

const TABLES = `
  CREATE SCHEMA shop;
  CREATE TABLE shop.item (id int PRIMARY KEY, name text, price numeric);
  CREATE TABLE shop.sale (id int PRIMARY KEY, item int REFERENCES shop.item, at timestamptz DEFAULT now());
  INSERT INTO shop.item SELECT g, 'item ' || g, g / 3.0 FROM generate_series(1, 1000) g;
  INSERT INTO shop.sale SELECT g, 1 + g % 1000 FROM generate_series(1, 5000) g`;

const count = async (session: { one(sql: string): Promise<Record<string, string | null>> }, table: string) =>
  Number((await session.one(`SELECT count(*)::text AS n FROM ${table}`)).n);

/** About 6 MB, in pieces of about one. */
const LARGE = `
  CREATE TABLE big (id int PRIMARY KEY, v text);
  INSERT INTO big SELECT g, repeat(md5(g::text), 3) FROM generate_series(1, 60000) g; ANALYZE big`;
const SLOWLY = { throttle: { megabytes: 1.2 }, chunkMegabytes: 1 } as const;

async function expectSame({ source, target }: DatabasePair, table: string): Promise<void> {
  const digest = `SELECT md5(string_agg(t::text, '' ORDER BY id)) AS digest FROM ${table} t`;
  const wanted = await source.session.one(digest);
  await eventually(
    () => target.session.one(digest),
    (found) => found.digest === wanted.digest,
  );
}

/** Of the table's changes each is in the account, once. */
async function expectAccounted({ target }: DatabasePair, table: string, inserts: number): Promise<void> {
  const account = await target.session.one(
    `SELECT inserts::text, (received = applied + folded + filtered + invisible + repeated + dead)::text AS balanced
       FROM _opendts.account WHERE source_table = '${table}'`,
  );
  expect(account).toEqual({ inserts: String(inserts), balanced: 'true' });
}

async function copying(fleet: TestFleet, id: string, target: DatabasePair['target']): Promise<void> {
  await fleet.until(id, 'migrating');
  const chunks = async () => {
    const { yes } = await target.session.one("SELECT to_regclass('_opendts.copy_chunk') IS NOT NULL AS yes");
    return yes === 't' ? count(target.session, '_opendts.copy_chunk') : 0;
  };
  await eventually(chunks, (n) => n > 0);
}

/** A role goes when nobody is connected as it any more. */
function dropping({ session }: TestDatabase, role: string): AsyncDisposable {
  const ended = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${role}'`;
  return {
    [Symbol.asyncDispose]: async () => {
      await session.query(ended);
      await session.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    },
  };
}

/** Single tables of a task that runs; what was asked for, and when it was done, is told. */
async function pauseSkipAndRecopy(
  { source, target }: DatabasePair,
  cli: (args: readonly string[]) => Promise<string>,
): Promise<void> {
  const tables = (...choice: string[]) => cli(['task', 'tables', 'shop', ...choice]);
  const rows = (table: string, wanted: number) =>
    eventually(
      () => count(target.session, table),
      (found) => found === wanted,
    );
  await tables('--pause', 'shop.item');
  await eventually(tables, (found) => /shop\.item +paused/.test(found));
  await source.session.query(
    "INSERT INTO shop.item VALUES (2001, 'waits', 1); INSERT INTO shop.sale VALUES (9001, 2001)",
  );
  await rows('shop.sale', 5001);
  expect(await count(target.session, 'shop.item')).toBe(1001);
  await tables('--resume', 'shop.item', '--skip', 'shop.sale');
  await rows('shop.item', 1002);
  await eventually(tables, (found) => /shop\.sale +left out/.test(found));
  await source.session.query('INSERT INTO shop.sale VALUES (9002, 2001)');
  await tables('--recopy', 'shop.sale', 'shop.item');
  await rows('shop.sale', 5002);
  await eventually(tables, (found) => !/left out|asked for|TABLE_/.test(found));
  await rows('shop.item', 1002);
  const events = await cli(['task', 'events', 'shop']);
  expect(events).toMatch(/tables-chosen +admin +wish=pause tables=\["shop\.item"\]/);
  expect(events).toContain('shop.item is paused');
  expect(events).toContain('shop.sale is copied again');
}

const home = cliHome();
afterAll(() => home[Symbol.dispose]());

describe.concurrent('opendts serve and the command line', () => {
  it('bring a task from its precheck to its release', async () => {
    await using pair = await freshPair(17, 18, TABLES);
    const before = await catalog(pair.source);
    const dataDir = mkdtempSync(join(tmpdir(), 'opendts-data-'));
    chmodSync(dataDir, 0o755);
    const node = home.start(['serve', '--port', '0', '--data-dir', dataDir]);
    try {
      await eventually(
        () => node.output().stdout,
        (found) => found.includes('listening on '),
      );
      const { stdout } = node.output();
      const env = { OPENDTS_SERVER: /listening on (\S+)/.exec(stdout)?.[1] ?? '' };
      const password = /one-time password (\S+)/.exec(stdout)?.[1] ?? '';
      const said: string[] = [];
      const cli = async (args: readonly string[], input?: string) => {
        const result = await home.run(args, { env, ...(input === undefined ? {} : { input }) });
        said.push(`${args.join(' ')}\n${result.stdout}${result.stderr}`);
        if (result.code !== 0) throw new Error(`${said.join('\n')}\n${node.output().stderr}`);
        return result.stdout;
      };
      await cli(['login'], `${password}\na password of my own\n`);
      for (const name of ['source', 'target'] as const) {
        const url = new URL(pair[name].uri);
        const secret = decodeURIComponent(url.password);
        url.password = '';
        await cli(['connection', 'create', name, url.href, '--password-stdin'], `${secret}\n`);
      }
      await cli(['task', 'create', 'shop', '--source', 'source', '--target', 'target']);
      await cli(['task', 'precheck', 'shop']);
      await cli(['task', 'watch', 'shop', '--until', 'prechecked', '--timeout', '60']);
      expect(await cli(['task', 'checks', 'shop'])).toContain('passed');
      await cli(['task', 'start', 'shop']);
      await cli(['task', 'watch', 'shop', '--until', 'running', '--timeout', '60']);
      await pair.source.session.query("INSERT INTO shop.item VALUES (2000, 'late', 1)");
      await eventually(
        () => count(pair.target.session, 'shop.item'),
        (found) => found === 1001,
      );
      expect(await cli(['worker', 'list'])).toContain('shop (running)');
      await pauseSkipAndRecopy(pair, cli);
      for (const [verb, state] of [
        ['pause', 'paused'],
        ['resume', 'running'],
        ['stop', 'stopped'],
        ['release', 'released'],
      ] as const) {
        await cli(['task', verb, 'shop']);
        await cli(['task', 'watch', 'shop', '--until', state, '--timeout', '60']);
        // Asked for while nobody has the task.
        if (verb === 'pause') await cli(['task', 'tables', 'shop', '--skip', 'shop.item']);
        if (verb === 'resume')
          await eventually(
            () => cli(['task', 'tables', 'shop']),
            (found) => /shop\.item +left out/.test(found),
          );
      }
      expect(await catalog(pair.source)).toEqual(before);
    } finally {
      node.child.kill('SIGTERM');
      await node.finished;
      rmSync(dataDir, { recursive: true, force: true });
    }
  }, 240_000);
});

describe.concurrent('workers', () => {
  it('take over from one that was killed and from one that stands still, which commits nothing when it wakes', async () => {
    await using store = await freshDatabase(17);
    await using pair = await freshPair(17, 18, LARGE);
    await using fleet = await startFleet(store);
    const ends = { source: await fleet.connection(pair.source), target: await fleet.connection(pair.target) };
    const id = await fleet.task(ends, { spec: SLOWLY });
    const start = (name: string, ...more: string[]) =>
      home.start(['worker', '--name', name, ...more], { env: fleet.env });
    const first = start('first');
    await fleet.ask(id, 'start');
    await copying(fleet, id, pair.target);
    const { workerId: firstId, fence } = await fleet.show(id);
    const second = start('second', '--drain-seconds', '0');
    first.child.kill('SIGKILL');
    const taken = async () => (await fleet.show(id)).workerId;
    await eventually(taken, (found) => found !== firstId);
    expect(BigInt((await fleet.show(id)).fence)).toBeGreaterThan(BigInt(fence));
    const { workerId: secondId } = await fleet.until(id, 'running');
    await expectSame(pair, 'big');

    const third = start('third');
    try {
      await eventually(
        () => third.output().stdout,
        (found) => found.includes('runs'),
      );
      await pair.source.session.query('INSERT INTO big SELECT g, g FROM generate_series(100001, 100100) g');
      second.child.kill('SIGSTOP');
      await eventually(taken, (found) => found !== secondId);
      await pair.source.session.query('INSERT INTO big SELECT g, g FROM generate_series(100101, 100200) g');
      await fleet.until(id, 'running');
      const { fence: theirs } = await fleet.show(id);
      second.child.kill('SIGCONT');
      await pair.source.session.query('INSERT INTO big SELECT g, g FROM generate_series(100201, 100300) g');
      await expectSame(pair, 'big');
      await eventually(
        () => second.output().stderr,
        (found) => found.includes('another worker'),
      );
      await expectAccounted(pair, 'public.big', 300);
      expect(await fleet.show(id)).toMatchObject({ fence: theirs, state: 'running', failure: null });
      // It drains: what it has is left at a safe point.
      third.child.kill('SIGTERM');
      expect((await third.finished).code).toBe(0);
      await eventually(taken, (found) => found === secondId);
      // It has no time to.
      second.child.kill('SIGTERM');
      expect((await second.finished).code).toBe(0);
    } finally {
      for (const worker of [second, third]) worker.child.kill('SIGKILL');
    }
  }, 240_000);

  it('go on while the store is away, in the copy and in the stream', async () => {
    await using server = await ownServer(17);
    await using pair = await freshPair(17, 18, LARGE);
    await using fleet = await startFleet(server.database);
    const ends = { source: await fleet.connection(pair.source), target: await fleet.connection(pair.target) };
    const id = await fleet.task(ends, { spec: SLOWLY });
    await fleet.worker();
    await fleet.ask(id, 'start');
    await copying(fleet, id, pair.target);
    const pause = () => new Promise<void>((resolve) => setTimeout(resolve, 3_000));
    await server.crash(pause);
    await fleet.until(id, 'running');
    await server.crash(async () => {
      await pair.source.session.query("INSERT INTO big VALUES (200000, 'while it is away')");
      await expectSame(pair, 'big');
      await pause();
    });
    await fleet.ask(id, 'stop');
    await fleet.until(id, 'stopped');
    await expectSame(pair, 'big');
    await expectAccounted(pair, 'public.big', 1);
  }, 240_000);
});

describe.concurrent('a task in trouble', () => {
  it('is tried again until its server is back, fails at once without its password, and goes on when the connection has it', async () => {
    await using store = await freshDatabase(17);
    await using server = await ownServer(18);
    await using source = await freshDatabase(17);
    await source.session.query(TABLES);
    const role = `r_${source.name}`;
    await source.session.query(`CREATE ROLE ${role} SUPERUSER LOGIN PASSWORD 'first'`);
    await using _role = dropping(source, role);
    await using fleet = await startFleet(store);
    const { services } = fleet.node;
    const url = new URL(source.uri);
    url.username = role;
    const from = await fleet.connection({ ...source, uri: url.href }, { password: 'first' });
    const to = await fleet.connection(server.database);
    const id = await fleet.task({ source: from, target: to });
    await fleet.worker();
    await fleet.ask(id, 'start');
    await fleet.until(id, 'running');

    await server.crash(async () => {
      expect((await fleet.until(id, 'retrying', 'failed')).state).toBe('retrying');
    });
    await fleet.until(id, 'running');

    await source.session.query(`ALTER ROLE ${role} PASSWORD 'second'`);
    await source.session.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${role}'`,
    );
    const failed = await fleet.until(id, 'failed');
    expect([failed.failure?.code, failed.nextAttemptAt, failed.stoppedBy]).toEqual([
      'CONNECT_REFUSED_LOGIN',
      null,
      'failure',
    ]);
    const { version } = from;
    const settings = { ...services.connections, mayName: true };
    const input = { connection: from.id, version, password: 'second' };
    await changeConnection(services.store, from, input, settings);
    await tryAgainNow(services.store, from.id);
    await fleet.until(id, 'running');
    await source.session.query("INSERT INTO shop.item VALUES (2000, 'late', 1)");
    await eventually(
      () => count(server.database.session, 'shop.item'),
      (found) => found === 1001,
    );
    const codes = (await fleet.events(id)).map(({ facts }) => facts.code);
    expect(codes).toContain('CONNECT_REFUSED_LOGIN');
    expect(fleet.log() + JSON.stringify(await fleet.events(id))).not.toMatch(/first|second/);
    await fleet.ask(id, 'stop');
    await fleet.until(id, 'stopped');
    await fleet.ask(id, 'release');
    await fleet.until(id, 'released');
  }, 180_000);

  it('waits for its cluster, and for room on a connection that others use', async () => {
    await using store = await freshDatabase(17);
    await using pair = await freshPair(17, 18, TABLES);
    await using other = await freshDatabase(18);
    await using fleet = await startFleet(store);
    const source = await fleet.connection(pair.source, { maxConnections: 10 });
    const first = await fleet.task({ source, target: await fleet.connection(pair.target) });
    const second = await fleet.task({ source, target: await fleet.connection(other) }, { cluster: 'night' });
    await fleet.worker();
    for (const id of [first, second]) await fleet.ask(id, 'start');
    await fleet.until(first, 'running');
    expect(await fleet.show(second)).toMatchObject({ state: 'prechecking', workerId: null });
    await fleet.worker({ cluster: 'night', name: 'there' });
    await fleet.until(second, 'migrating');
    const kinds = async () => (await fleet.events(second)).map(({ kind }) => kind);
    await eventually(kinds, (found) => found.includes('waits-for-connections'));
    const { n } = await pair.source.session.one(
      `SELECT count(*)::text AS n FROM pg_stat_activity WHERE datname = '${pair.source.name}' AND application_name LIKE 'opendts:%'`,
    );
    expect(Number(n)).toBeLessThanOrEqual(10);
    await fleet.ask(first, 'pause');
    await fleet.until(first, 'paused');
    await fleet.until(second, 'running');
    expect(await count(other.session, 'shop.sale')).toBe(5000);
    for (const id of [first, second]) {
      await fleet.ask(id, 'stop');
      await fleet.until(id, 'stopped');
      await fleet.ask(id, 'release');
      await fleet.until(id, 'released');
    }
  }, 180_000);
});
