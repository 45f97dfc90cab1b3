/** One task copied by several workers: each chunk once, whatever becomes of a worker that lends its hands. */
import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { MigrationEvent } from '../src/contract/progress.ts';
import type { Lsn } from '../src/engine/change/lsn.ts';
import { endOfWal } from '../src/engine/pg/wal-position.ts';
import { connectionRoom } from '../src/service/store/connection/connection-room.ts';
import { useConnection } from '../src/service/store/connection/use-connection.ts';
import { hasRoom } from '../src/service/store/connection/has-room.ts';
import { insertHand } from '../src/service/store/copy/insert-hand.ts';
import { insertPass } from '../src/service/store/copy/insert-pass.ts';
import type { MoreHands } from '../src/service/task/copy/more-hands.ts';
import { helpedTask } from './copy-helpers.ts';
import { freshDatabase, type TestDatabase } from './database.ts';
import { startFleet } from './fleet.ts';
import { compare, start } from './migration.ts';

const TABLES = `
  CREATE TABLE large (id int PRIMARY KEY, v text);
  INSERT INTO large SELECT i, repeat(md5(i::text), 20) FROM generate_series(1, 20000) i;
  CREATE TABLE keyless (a int, v text);
  INSERT INTO keyless SELECT i % 9, repeat('x', 700) FROM generate_series(1, 12000) i;
  CREATE TABLE mood (m text); INSERT INTO mood VALUES (NULL), ('');
  ${Array.from({ length: 20 }, (_, at) => `CREATE TABLE s${at} (id int PRIMARY KEY); INSERT INTO s${at} SELECT generate_series(1, 100);`).join('\n')}`;

/** Slow enough for something to happen meanwhile. */
const SLOW = { queriesPerSecond: null, rowsPerSecond: null, bytesPerSecond: 8e6 };

const until = async (what: () => boolean | Promise<boolean>) => {
  for (
    const began = performance.now();
    !(await what());
    await new Promise((resolve) => setTimeout(resolve, 50))
  )
    if (performance.now() - began > 60_000) throw new Error('it does not come');
};

/** A run that hangs fails the test, and lets it end what it has started. */
const soon = <T>(end: Promise<T>) =>
  Promise.race([
    end,
    new Promise<never>((_, reject) => setTimeout(() => reject(new Error('it does not end')), 60_000)),
  ]);

/** Chunks as the target has them, with the transactions that wrote them. */
const chunks = (target: TestDatabase) =>
  target.session.query('SELECT chunk, rows, bytes, xmin::text FROM _opendts.copy_chunk ORDER BY chunk');

const ours = (db: TestDatabase) =>
  db.session.query(
    "SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'opendts:%:hand-%' AND datname = current_database()",
  );

/** A server ends a session a moment after its client did. */
const areGone = (...dbs: TestDatabase[]) =>
  expect.poll(async () => (await Promise.all(dbs.map(ours))).flat(), { timeout: 5_000 }).toEqual([]);

describe('workers of a fleet', () => {
  it('lend hands to the task that one of them runs, unless they are of another cluster', async () => {
    await using source = await freshDatabase(17);
    await using target = await freshDatabase(17);
    await source.session.query(TABLES);
    await using store = await freshDatabase(18);
    await using fleet = await startFleet(store);
    const workers = [await fleet.worker({ capacity: 2 }), await fleet.worker({ capacity: 2 })];
    const elsewhere = await fleet.worker({ capacity: 2, cluster: 'other' });
    const spec = {
      types: ['schema', 'full'],
      jobs: 1,
      chunkMegabytes: 1,
      throttle: { megabytes: 8 },
    } as const;
    const ends = { source: await fleet.connection(source), target: await fleet.connection(target) };
    const id = await fleet.task(ends, { spec: { ...spec, types: [...spec.types] } });
    await fleet.ask(id, 'start');
    const lent = new Map<string, number>();
    const look = async () => {
      for (const { worker, unit } of await store.session.query(
        'SELECT worker_id AS worker, unit FROM opendts.copy_hand',
      ))
        lent.set(worker ?? '', Number(unit));
    };
    await until(async () => {
      await look();
      return (await fleet.show(id)).state === 'completed';
    });
    const owner = (await fleet.events(id)).find(({ kind }) => kind === 'taken')?.workerId;
    const other = workers.find((worker) => worker.id !== owner)?.id ?? '';
    expect([...lent.keys()]).toEqual([other]);
    expect(lent.get(other)).toBeGreaterThan(2);
    expect(elsewhere.id).not.toBe(owner);
    expect((await compare(source, target)).differing).toEqual([]);
    await areGone(source, target);
  });
});

it('hands that are lent count in the limits of the connections', async () => {
  await using source = await freshDatabase(17);
  await using store = await freshDatabase(18);
  await using fleet = await startFleet(store);
  const ends = { source: await fleet.connection(source), target: await fleet.connection(source) };
  const [mine, another] = [await fleet.task(ends), await fleet.task(ends)];
  const db = fleet.node.services.store;
  expect(await hasRoom(db, mine)).toBe(true);
  await store.session
    .query(`UPDATE opendts.connection SET max_connections = 10 WHERE id = '${ends.source.id}';
    INSERT INTO opendts.worker (id, name, version, host, pid, capacity) VALUES ('${mine}', 'w', '0', 'h', 1, 1)`);
  const use = { connectionId: ends.source.id, taskId: mine, workerId: mine, fence: '0', count: 7 };
  await useConnection(db, use);
  await expect(useConnection(db, { ...use, fence: '1' })).rejects.toMatchObject({ code: 'FENCED' });
  expect(await hasRoom(db, mine)).toBe(true);
  const pass = { id: randomUUID(), taskId: mine, fence: '0', format: 1, handTask: '{}', jobs: 1 };
  expect(await insertPass(db, pass)).toBe(true);
  await store.session.query('UPDATE opendts.copy_pass SET hands = 5');
  expect(await insertHand(db, { id: randomUUID(), passId: pass.id, workerId: another })).toBe(true);
  expect(await hasRoom(db, mine)).toBe(false);
  expect(await connectionRoom(db, ends.source.id, another)).toBe(1);
  expect(await connectionRoom(db, ends.target.id, another)).toBeNull();
  // Its owner was killed, and the worker that lent it: nobody takes the row away.
  await store.session.query("UPDATE opendts.copy_pass SET beat_at = now() - interval '61 s'");
  expect(await hasRoom(db, mine)).toBe(true);
});

describe('hands of other workers', () => {
  it('copy with the owner, in about equal shares, within the limits of the task', async () => {
    await using source = await freshDatabase(17);
    await using target = await freshDatabase(18);
    await source.session.query(TABLES);
    await using task = await helpedTask(18);
    await using first = await task.helper({ source, target });
    await using second = await task.helper({ source, target });
    const { moreHands } = task;
    const limits = { ...SLOW, bytesPerSecond: 4e6 };
    const at = new Map<string, number>();
    const onEvent = ({ phase, message }: MigrationEvent) => {
      const what = message.startsWith('copying') ? 'copying' : phase;
      if (!at.has(what)) at.set(what, performance.now());
    };
    const options = { jobs: 1, chunkBytes: 1n << 20n, limits, moreHands, onEvent };
    const migration = start(source, target, options);
    const summary = await soon(migration.finished);
    expect(summary).toMatchObject({ outcome: 'caught-up', rowsCopied: 34_002n });
    expect((await compare(source, target)).differing).toEqual([]);
    const bytes = (await chunks(target)).reduce((sum, row) => sum + Number(row.bytes), 0);
    const seconds = ((at.get('index') ?? 0) - (at.get('copying') ?? 0)) / 1000;
    expect(bytes / seconds / limits.bytesPerSecond).toBeLessThan(1.15);
    // The owner does as much as each of them; looked at every 100 ms, so that the last may be missing.
    const units = [first, second].map(({ workerId }) => task.units().get(workerId) ?? 0);
    for (const some of units) expect(some).toBeGreaterThan(2);
    expect(Math.max(...units) - Math.min(...units)).toBeLessThanOrEqual(5);
    const large = migration.progress().tables.find(({ table }) => table === 'public.large');
    expect(large?.chunksDone).toBe(large?.chunksTotal);
    await areGone(source, target);
    expect(await task.database.session.query('SELECT FROM opendts.copy_pass')).toEqual([]);
  });

  it('are given up when their worker is killed or stands still: others copy what they were at, and who wakes commits nothing', async () => {
    await using source = await freshDatabase(15);
    await using target = await freshDatabase(17);
    await source.session.query(TABLES);
    await using task = await helpedTask(17);
    await using killed = await task.helper({ source, target });
    await using frozen = await task.helper(
      { source, target },
      { places: 1, failpoint: 'copy.before-unit-commit:2:freeze' },
    );
    await using third = await task.helper({ source, target });
    const events: MigrationEvent[] = [];
    const { moreHands } = task;
    const migration = start(source, target, {
      types: ['schema', 'full'],
      jobs: 1,
      chunkBytes: 1n << 20n,
      limits: SLOW,
      moreHands,
      events,
    });
    await until(() => (task.units().get(killed.workerId) ?? 0) > 1);
    killed.child.kill('SIGKILL');
    await until(() => frozen.isFrozen());
    expect((await soon(migration.finished)).outcome).toBe('completed');
    expect(events.filter(({ message }) => message.startsWith('copying'))).toHaveLength(1);
    expect(frozen.isFrozen()).toBe(true);
    expect((await compare(source, target)).differing).toEqual([]);
    const before = await chunks(target);
    frozen.child.kill('SIGCONT');
    await areGone(source, target);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(await chunks(target)).toEqual(before);
    expect((await compare(source, target)).differing).toEqual([]);
    expect(frozen.child.exitCode).toBeNull();
    expect(events.filter(({ message }) => message.includes('is gone'))).toHaveLength(2);
    expect(task.units().get(third.workerId)).toBeGreaterThan(1);
  });

  it('are fenced off where it is not certain that their sessions have ended', async () => {
    await using source = await freshDatabase(17);
    await using target = await freshDatabase(17);
    await source.session.query(TABLES);
    await using task = await helpedTask(17);
    await using frozen = await task.helper(
      { source, target },
      { places: 1, failpoint: 'copy.after-unit-commit:2:freeze' },
    );
    const moreHands: MoreHands = {
      ...task.moreHands,
      // A server that cannot be asked may still have some.
      offer: (pass) => task.moreHands.offer({ ...pass, endHands: async () => false }),
    };
    const options = { types: ['schema', 'full'], jobs: 1, chunkBytes: 1n << 20n, limits: SLOW } as const;
    const migration = start(source, target, { ...options, moreHands });
    await until(() => frozen.isFrozen());
    const fence = async () =>
      Number((await target.session.one('SELECT copy_fence FROM _opendts.task')).copy_fence);
    const before = await fence();
    expect((await soon(migration.finished)).outcome).toBe('completed');
    expect(await fence()).toBe(before + 1);
    const copied = await chunks(target);
    frozen.child.kill('SIGCONT');
    await areGone(source, target);
    expect(await chunks(target)).toEqual(copied);
    expect((await compare(source, target)).differing).toEqual([]);
  });

  it('set a table aside as those of the owner do, and end with the run', async () => {
    await using source = await freshDatabase(17);
    await using target = await freshDatabase(17);
    await source.session.query(`CREATE TABLE bad (id int PRIMARY KEY, n int, v text);
      INSERT INTO bad SELECT i, i, repeat('x', 500) FROM generate_series(1, 10000) i; UPDATE bad SET n = -1 WHERE id = 5000; ${TABLES}`);
    await target.session
      .query(`CREATE TABLE bad (id int, n int CHECK (n > 0), v text); CREATE TABLE large (id int, v text);
      CREATE TABLE keyless (a int, v text); CREATE TABLE mood (m text);
      ${Array.from({ length: 20 }, (_, at) => `CREATE TABLE s${at} (id int);`).join('\n')}`);
    await using task = await helpedTask(18);
    await using _helper = await task.helper({ source, target });
    const { moreHands } = task;
    const options = { types: ['full'], jobs: 1, chunkBytes: 1n << 20n, limits: SLOW, moreHands } as const;
    await expect(start(source, target, options).finished).rejects.toMatchObject({
      code: 'ROW_REFUSED',
      facts: { table: 'public.bad', row: '(id) = (5000)' },
    });
    await target.session.query('ALTER TABLE bad DROP CONSTRAINT bad_n_check');
    const stop = new AbortController();
    await target.session.query('DELETE FROM _opendts.copy_chunk; TRUNCATE large, keyless, mood');
    const migration = start(source, target, { ...options, signal: stop.signal });
    await until(() => [...task.units().values()].some((some) => some > 0));
    await until(() => migration.progress().bytesCopied > 2_000_000n);
    stop.abort();
    expect((await migration.finished).outcome).toBe('stopped');
    await areGone(source, target);
  });

  it('go when another worker becomes the owner in the store, and the run goes on without them', async () => {
    await using source = await freshDatabase(17);
    await using target = await freshDatabase(17);
    await source.session.query(TABLES);
    await using task = await helpedTask(18);
    await using helper = await task.helper({ source, target });
    const { moreHands } = task;
    const events: MigrationEvent[] = [];
    const options = { jobs: 1, chunkBytes: 1n << 20n, limits: SLOW, moreHands, events };
    const migration = start(source, target, options);
    await until(() => (task.units().get(helper.workerId) ?? 0) > 1);
    await task.takeOver();
    await until(() => events.some(({ message }) => message.includes('is given back')));
    const given = task.units().get(helper.workerId);
    expect((await migration.finished).outcome).toBe('caught-up');
    expect((await compare(source, target)).differing).toEqual([]);
    expect(task.units().get(helper.workerId)).toBe(given);
    await areGone(source, target);
  });

  it('copy beside the stream too, while the store is away for a while', async () => {
    await using source = await freshDatabase(17);
    await using target = await freshDatabase(17);
    await source.session.query(TABLES);
    await using task = await helpedTask(18);
    await using helper = await task.helper({ source, target });
    const goal = Promise.withResolvers<Lsn>();
    const migration = start(source, target, {
      jobs: 1,
      chunkBytes: 1n << 20n,
      limits: SLOW,
      walBudget: { bytes: 1n << 60n, ms: 500 },
      moreHands: task.moreHands,
      until: { kind: 'lsn', lsn: goal.promise },
    });
    const isCopied = () =>
      migration.progress().bytesCopied > 0n &&
      migration.progress().tables.every(({ chunksDone, chunksTotal }) => chunksDone === chunksTotal);
    let away: Promise<void> | null = null;
    for (let turn = 0; !isCopied(); turn++) {
      await source.session
        .query(`UPDATE large SET v = v || 'x', id = id + 100000 WHERE id IN (${turn * 37}, ${turn * 91 + 7});
        DELETE FROM keyless WHERE ctid IN (SELECT ctid FROM keyless WHERE a = ${turn % 9} LIMIT 1); INSERT INTO keyless VALUES (${turn}, 'new')`);
      if ((task.units().get(helper.workerId) ?? 0) > 1) away ??= task.away(3_000);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    goal.resolve(await endOfWal(source.session));
    await away;
    expect((await soon(migration.finished)).copiedLater.length).toBeGreaterThan(0);
    expect((await compare(source, target)).differing).toEqual([]);
    expect(task.units().get(helper.workerId)).toBeGreaterThan(1);
    await areGone(source, target);
  });
});
