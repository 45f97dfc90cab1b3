/** Tasks of the service on workers: their whole life, workers that are drained, trouble and recovery. Kills and freezes: kill-fleet.pg.test.ts. */
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { changeConnection, requireConnection } from '../src/service/connection/saved-connections.ts';
import { setStart } from '../src/service/store/task/set-start.ts';
import { tryAgainNow } from '../src/service/store/task/owner/try-again-now.ts';
import { setDraining } from '../src/service/store/worker/set-draining.ts';
import { freshDatabase, freshPair, type DatabasePair, type TestDatabase } from './database.ts';
import { eventually, startFleet, type TestFleet } from './fleet.ts';
import { ownServer } from './own-server.ts';
import { argumentsOf } from './process-arguments.ts';
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

/** About 6 MB, in pieces of about one. */
const LARGE = `
  CREATE TABLE big (id int PRIMARY KEY, v text);
  INSERT INTO big SELECT g, repeat(md5(g::text), 3) FROM generate_series(1, 60000) g; ANALYZE big`;

/** Somebody changes the connection. */
async function lead(
  fleet: TestFleet,
  { id }: { id: string },
  { uri }: Pick<TestDatabase, 'uri'>,
): Promise<void> {
  const { store, connections } = fleet.node.services;
  const before = await requireConnection(store, fleet.groupId, id);
  const { version } = before;
  await changeConnection(store, before, { version, conninfo: uri }, { ...connections, mayName: true });
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
    const node = home.start(['serve', '--port', '0', '--data-dir', dataDir, '--name', 'here']);
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
      await cli(['worker', 'drain', 'here']);
      await eventually(
        () => cli(['worker', 'list']),
        (said) => said.includes('draining') && !said.includes('shop'),
      );
      await cli(['worker', 'undrain', 'here']);
      await cli(['task', 'watch', 'shop', '--until', 'running', '--timeout', '60']);
      await eventually(
        () => cli(['worker', 'list']),
        (said) => said.includes('shop (running)'),
      );
      // While all of it is in use: the node, its PostgreSQL with the sessions, and what is told to others.
      const { token } = JSON.parse(
        readFileSync(join(home.folder, '.config', 'opendts', 'login.json'), 'utf8'),
      ) as { token: string };
      const headers = { authorization: `Bearer ${token}` };
      const metrics = await (await fetch(`${env.OPENDTS_SERVER}/metrics`, { headers })).text();
      expect(metrics).toContain('opendts_task_info{');
      const processes = argumentsOf(node.child.pid ?? 0);
      expect([...processes.values()].filter((line) => line.startsWith('postgres: ')).length).toBeGreaterThan(
        5,
      );
      for (const [what, one] of [
        ['task', 'show'],
        ['task', 'events'],
        ['task', 'tables'],
        ['connection', 'show'],
      ] as const)
        await cli([what, one, what === 'task' ? 'shop' : 'source', '--json']);
      await cli(['audit', '--json']);
      await cli(['export']);
      const key = readFileSync(join(dataDir, 'key'), 'utf8').trim();
      const store = readFileSync(join(dataDir, 'postgres', 'password'), 'utf8').trim();
      const ends = [pair.source, pair.target].map(({ uri }) => decodeURIComponent(new URL(uri).password));
      for (const secret of [password, 'a password of my own', token, key, store, ...ends]) {
        expect(secret.length).toBeGreaterThan(10);
        for (const text of [...processes.values(), ...said, metrics, node.output().stderr])
          expect(text).not.toContain(secret);
      }
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
  it('leave tasks at a safe point when they are drained, by a person or a signal, and where they stand when there is no time', async () => {
    await using db = await freshDatabase(17);
    await using pair = await freshPair(17, 18, TABLES);
    await using fleet = await startFleet(db);
    const { store } = fleet.node.services;
    const ends = await fleet.ends(pair);
    const id = await fleet.task(ends);
    const owner = async () => (await fleet.show(id)).workerId;
    const start = async (name: string, ...more: string[]) => {
      const { child, output, finished } = home.start(['worker', '--name', name, ...more], { env: fleet.env });
      await eventually(
        () => output().stdout,
        (said) => said.includes('runs'),
      );
      return { id: /worker (\S+) runs/.exec(output().stdout)?.[1], child, output, finished };
    };
    await using left = new AsyncDisposableStack();
    const killed = (worker: Awaited<ReturnType<typeof start>>) => {
      left.defer(() => void worker.child.kill('SIGKILL'));
      return worker;
    };
    const first = killed(await start('first'));
    await fleet.ask(id, 'start');
    await fleet.until(id, 'running');
    const second = killed(await start('second', '--drain-seconds', '0'));
    await setDraining(store, 'first', true);
    await eventually(owner, (found) => found === second.id);
    await fleet.until(id, 'running');
    await pair.source.session.query('INSERT INTO shop.sale SELECT g, 1 FROM generate_series(5001, 5100) g');
    await setDraining(store, 'first', false);
    second.child.kill('SIGTERM');
    expect((await second.finished).code).toBe(0);
    expect(second.output().stderr).toContain('no time to drain');
    expect(second.output().stderr).not.toContain('another worker');
    await eventually(owner, (found) => found === first.id);
    await fleet.until(id, 'running');
    await pair.source.session.query('INSERT INTO shop.sale SELECT g, 1 FROM generate_series(5101, 5200) g');
    await expectSame(pair, 'shop.sale');
    await expectAccounted(pair, 'shop.sale', 200);
    first.child.kill('SIGTERM');
    expect((await first.finished).code).toBe(0);
    expect(await fleet.show(id)).toMatchObject({ workerId: null, state: 'running', failure: null });
  }, 240_000);

  it('take their tasks anew when the store has forgotten them, and no more once the store is not for their version', async () => {
    await using db = await freshDatabase(17);
    await using pair = await freshPair(17, 18, TABLES);
    await using fleet = await startFleet(db);
    const ends = await fleet.ends(pair);
    const id = await fleet.task(ends);
    const worker = await fleet.worker();
    await fleet.ask(id, 'start');
    const { fence } = await fleet.until(id, 'running');
    await db.session.query('DELETE FROM opendts.worker');
    await eventually(
      () => fleet.show(id),
      (task) => BigInt(task.fence) > BigInt(fence),
    );
    expect(fleet.log()).toContain('the store has forgotten this worker');
    const inStep = async () => (await fleet.events(id)).filter(({ kind }) => kind === 'in-step');
    await eventually(inStep, (found) => found.length === 2);
    expect(await fleet.show(id)).toMatchObject({ workerId: worker.id, state: 'running' });
    await db.session.query("INSERT INTO opendts.migration VALUES (999, 'later.sql', 'x', now(), 'a reason')");
    await eventually(
      () => fleet.show(id),
      ({ workerId }) => workerId === null,
    );
    expect(fleet.log()).toContain('the store is of a newer version by now');
    await pair.source.session.query("INSERT INTO shop.item VALUES (2000, 'late', 1)");
    // Rounds in which it would be taken again.
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    expect(await fleet.show(id)).toMatchObject({ workerId: null, state: 'running' });
  }, 120_000);
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

  it('has failed when its retry time is over, and is recovered by itself with less at once, also where the target has last heard of a pause', async () => {
    await using db = await freshDatabase(17);
    await using server = await ownServer(17);
    await server.database.session.query(TABLES);
    await using target = await freshDatabase(18);
    await using fleet = await startFleet(db);
    const ends = { source: await fleet.connection(server.database), target: await fleet.connection(target) };
    const id = await fleet.task(ends, { spec: { jobs: 4, lanes: 2 } });
    /** All that the store says of its trouble was so much longer ago. */
    const pass = (minutes: number) =>
      db.session.query(`UPDATE opendts.task SET failed_since = failed_since - interval '${minutes} min',
        next_attempt_at = next_attempt_at - interval '${minutes} min' WHERE id = '${id}'`);
    await fleet.worker();
    await fleet.ask(id, 'start');
    await fleet.until(id, 'running');
    await fleet.ask(id, 'pause');
    await fleet.until(id, 'paused');
    await server.crash(async () => {
      await fleet.ask(id, 'resume');
      await fleet.until(id, 'retrying');
      await pass(721);
      const failed = await fleet.until(id, 'failed');
      expect(failed).toMatchObject({
        attempts: 0,
        stoppedBy: 'failure',
        failure: { code: 'CONNECT_FAILED' },
        adjustments: { jobs: 2, lanes: 1, chunkMegabytes: 32 },
      });
      expect(Date.parse(failed.nextAttemptAt ?? '') - Date.now()).toBeGreaterThan(80_000);
      await pass(3);
      const again = await eventually(
        () => fleet.show(id),
        ({ attempts, state }) => attempts === 1 && state === 'failed',
      );
      expect(again.adjustments).toEqual({ jobs: 1, lanes: 1, chunkMegabytes: 16 });
      expect(Date.parse(again.nextAttemptAt ?? '') - Date.now()).toBeGreaterThan(160_000);
      // Another connection is another trouble.
      await tryAgainNow(fleet.node.services.store, ends.source.id);
      expect(await fleet.until(id, 'retrying')).toMatchObject({ adjustments: {} });
      await pass(721);
      await fleet.until(id, 'failed');
    });
    await pass(3);
    await fleet.until(id, 'running');
    const began = (await fleet.events(id)).filter(({ kind }) => kind === 'began').at(-1);
    expect(began?.facts).toMatchObject({ recovery: 0, adjustments: { jobs: 2, lanes: 1 } });
    await server.database.session.query("INSERT INTO shop.item VALUES (2000, 'late', 1)");
    await eventually(
      () => count(target.session, 'shop.item'),
      (found) => found === 1001,
    );
    for (const [wish, state] of [
      ['stop', 'stopped'],
      ['release', 'released'],
    ] as const) {
      await fleet.ask(id, wish);
      await fleet.until(id, state);
    }
  }, 180_000);

  it('starts by itself, and goes slowly in its blackout hours until they end', async () => {
    await using store = await freshDatabase(17);
    await using pair = await freshPair(17, 18, LARGE);
    await using fleet = await startFleet(store);
    const { store: db } = fleet.node.services;
    const ends = await fleet.ends(pair);
    const id = await fleet.task(ends, { spec: { types: ['schema', 'full'], chunkMegabytes: 1 } });
    // Ten minutes for the whole of it.
    const slowly = { from: '00:00', to: '00:00', timeZone: 'UTC', throttle: { megabytes: 0.01 } };
    const black = async (windows: readonly object[]) => {
      await db.query(
        z.unknown(),
        `WITH t AS (UPDATE opendts.task SET blackout = $2::jsonb, version = version + 1 WHERE id = $1 RETURNING id)
         SELECT pg_notify('opendts_task', id::text) FROM t`,
        [id, JSON.stringify(windows)],
      );
    };
    await black([slowly]);
    const by = { accountId: null, accountName: null, workerId: null };
    await setStart(db, { id, startAt: new Date(Date.now() + 1_000).toISOString(), by });
    await fleet.worker();
    await fleet.until(id, 'migrating');
    const phases = async () => (await fleet.events(id)).map(({ facts }) => facts.phase);
    await eventually(phases, (found) => found.includes('copy'));
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect((await fleet.show(id)).state).toBe('migrating');
    await black([]);
    await fleet.until(id, 'completed');
    expect(await count(pair.target.session, 'big')).toBe(60_000);
    const kinds = (await fleet.events(id)).map(({ kind }) => kind);
    expect(kinds.slice(0, 3)).toEqual(['created', 'start-planned', 'start']);
    await fleet.ask(id, 'release');
    await fleet.until(id, 'released');
  }, 180_000);

  it('whose connection is led to another database fails and begins nothing there, and is not released from there', async () => {
    await using store = await freshDatabase(17);
    await using pair = await freshPair(17, 18, TABLES);
    await using elsewhere = await freshPair(17, 18, TABLES);
    await using fleet = await startFleet(store);
    const ends = await fleet.ends(pair);
    const id = await fleet.task(ends);
    await fleet.worker();
    await fleet.ask(id, 'start');
    await fleet.until(id, 'running');
    for (const side of ['source', 'target'] as const) {
      await fleet.ask(id, 'pause');
      await fleet.until(id, 'paused');
      await lead(fleet, ends[side], elsewhere[side]);
      await fleet.ask(id, 'resume');
      const { failure, nextAttemptAt } = await fleet.until(id, 'failed', 'running');
      expect([failure?.code, nextAttemptAt]).toEqual(['TASK_ENDS_OTHER', null]);
      // Of the source the books on the target know which it was.
      const words = side === 'source' ? pair.source.name : `${elsewhere.target.name}" of the target`;
      expect(failure?.message).toContain(`database "${words}`);
      if (side === 'target') break;
      await lead(fleet, ends[side], pair[side]);
      await fleet.ask(id, 'resume');
      await fleet.until(id, 'running');
    }
    const { books } = await elsewhere.target.session.one("SELECT to_regnamespace('_opendts') AS books");
    expect(books).toBeNull();
    const slots = ({ source }: DatabasePair) =>
      source.session.query('SELECT slot_name FROM pg_replication_slots WHERE database = current_database()');
    expect([await slots(elsewhere), (await slots(pair)).length]).toEqual([[], 1]);

    await fleet.ask(id, 'release');
    const { failure } = await fleet.until(id, 'release-failed', 'released');
    expect(failure).toMatchObject({ code: 'TASK_NOT_RELEASED', facts: { database: elsewhere.target.name } });
    await lead(fleet, ends.target, pair.target);
    await fleet.ask(id, 'release');
    await fleet.until(id, 'released');
    expect(await slots(pair)).toEqual([]);
  }, 180_000);

  it('that a store does not know yet has made nothing that could be left behind', async () => {
    await using store = await freshDatabase(17);
    await using pair = await freshPair(17, 18, TABLES);
    await using fleet = await startFleet(store);
    const ends = await fleet.ends(pair);
    const id = await fleet.task(ends);
    // As a store that is away at this moment: what is asked for is seen, what is told is not taken.
    await store.session.query(`
      CREATE FUNCTION away() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'away' USING ERRCODE = 'cannot_connect_now'; END $$;
      CREATE TRIGGER away BEFORE UPDATE OF engine_task_id ON opendts.task FOR EACH ROW EXECUTE FUNCTION away()`);
    await fleet.worker();
    await fleet.ask(id, 'start');
    await fleet.until(id, 'migrating');
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const made = () =>
      pair.target.session
        .one("SELECT to_regnamespace('_opendts') IS NOT NULL AS books")
        .then(({ books }) => books);
    expect([(await fleet.show(id)).state, await made()]).toEqual(['migrating', 'f']);
    await store.session.query('DROP TRIGGER away ON opendts.task');
    await fleet.until(id, 'running');
    expect((await fleet.show(id)).engineTaskId).toMatch(/^\w{10}$/);
    await fleet.ask(id, 'stop');
    await fleet.until(id, 'stopped');
    await fleet.ask(id, 'release');
    await fleet.until(id, 'released');
  }, 120_000);

  it('whose source is gone for good is released with that word, and only with it', async () => {
    await using store = await freshDatabase(17);
    await using pair = await freshPair(17, 18, TABLES);
    await using fleet = await startFleet(store);
    const ends = await fleet.ends(pair);
    const id = await fleet.task(ends);
    await fleet.worker();
    await fleet.ask(id, 'start');
    await fleet.until(id, 'running');
    await fleet.ask(id, 'stop');
    await fleet.until(id, 'stopped');
    for (const host of ['127.0.0.1', 'no-such-host.invalid']) {
      const url = new URL(pair.source.uri);
      url.host = `${host}:1`;
      // Whatever the connection says by now, the books know which database it was.
      url.pathname = '/elsewhere';
      await lead(fleet, ends.source, { uri: url.href });
      await fleet.ask(id, 'release');
      const { failure } = await fleet.until(id, 'release-failed', 'released');
      expect(failure?.code).toMatch(/^(SOURCE_NOT_RELEASED|CONNECT_FAILED)$/);
    }
    await fleet.ask(id, 'release', { sourceGone: true });
    await fleet.until(id, 'released');
    const released = (await fleet.events(id)).find(({ kind }) => kind === 'released');
    expect(JSON.stringify(released?.facts)).toContain(`in database \\"${pair.source.name}\\": SELECT`);
    const { books } = await pair.target.session.one("SELECT to_regnamespace('_opendts') AS books");
    expect(books).toBeNull();
  }, 120_000);

  it('waits for its cluster, and for room on a connection that others use', async () => {
    await using store = await freshDatabase(17);
    await using pair = await freshPair(17, 18, TABLES);
    await using other = await freshDatabase(18);
    await using fleet = await startFleet(store);
    const source = await fleet.connection(pair.source, { maxConnections: 10 });
    const first = await fleet.task({ source, target: await fleet.connection(pair.target) });
    const second = await fleet.task({ source, target: await fleet.connection(other) }, { cluster: 'night' });
    const here = await fleet.worker();
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
    // It is given to others while it runs.
    await store.session.query(
      `UPDATE opendts.task SET cluster = NULL, version = version + 1 WHERE id = '${second}'`,
    );
    await eventually(
      () => fleet.show(second),
      ({ workerId }) => workerId === here.id,
    );
    for (const id of [first, second]) {
      await fleet.ask(id, 'stop');
      await fleet.until(id, 'stopped');
      await fleet.ask(id, 'release');
      await fleet.until(id, 'released');
    }
  }, 180_000);
});
