/** Versions side by side on one store, and a store that is restored from an older day. */
import { randomUUID } from 'node:crypto';
import { afterAll, describe, expect, it } from 'vitest';
import { toTaskProgress } from '../src/contract/api/task-progress.ts';
import { connect } from '../src/engine/pg/connect.ts';
import { migrate, readMigrations } from '../src/service/store/migrate.ts';
import { Store } from '../src/service/store/store.ts';
import { takeTask } from '../src/service/store/task/owner/take-task.ts';
import { writeProgress } from '../src/service/store/task/progress/write-progress.ts';
import { setDraining } from '../src/service/store/worker/set-draining.ts';
import { freshDatabase, freshPair, type DatabasePair, type TestDatabase } from './database.ts';
import { eventually, startFleet, type TestFleet } from './fleet.ts';
import { cliHome } from './spawn-cli.ts';
import { progressOf } from './stored-task.ts';

const TABLES = `
  CREATE TABLE item (id int PRIMARY KEY, v text);
  INSERT INTO item SELECT g, md5(g::text) FROM generate_series(1, 1000) g`;

/** What the next version might do, as one that gets along with this one: every table has one more column. */
const LATER = {
  number: readMigrations().length + 1,
  name: 'later.sql',
  checksum: 'later',
  breaks: null,
  sql: `DO $$ DECLARE one regclass; BEGIN
          FOR one IN SELECT c.oid FROM pg_class c WHERE c.relnamespace = 'opendts'::regnamespace AND c.relkind = 'r' LOOP
            EXECUTE format('ALTER TABLE %s ADD COLUMN later int NOT NULL DEFAULT 7', one);
          END LOOP; END $$`,
};

async function expectSame({ source, target }: DatabasePair): Promise<void> {
  const digest = "SELECT md5(string_agg(t::text, '' ORDER BY id)) AS digest FROM item t";
  const wanted = await source.session.one(digest);
  const same = (found: Readonly<Record<string, string | null>>) => found.digest === wanted.digest;
  await eventually(() => target.session.one(digest), same);
}

async function expectAccounted({ target }: DatabasePair, inserts: number): Promise<void> {
  const account = await target.session.one(
    `SELECT inserts::text, (received = applied + folded + filtered + invisible + repeated + dead)::text AS balanced
       FROM _opendts.account WHERE source_table = 'public.item'`,
  );
  expect(account).toEqual({ inserts: String(inserts), balanced: 'true' });
}

/** A row every few milliseconds, until it is asked how many there were. */
function writing({ session }: TestDatabase): () => Promise<number> {
  let isOver = false;
  const done = (async () => {
    for (let at = 0; ; at++) {
      if (isOver) return at;
      await session.query(`INSERT INTO item VALUES (${10_000 + at}, 'while it goes on')`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  return () => {
    isOver = true;
    return done;
  };
}

const home = cliHome();
afterAll(() => home[Symbol.dispose]());

describe.concurrent('two versions on one store', () => {
  it('hand a task over while it streams, and the older one may be started again', async () => {
    await using db = await freshDatabase(18);
    await using pair = await freshPair(17, 18, TABLES);
    await using fleet = await startFleet(db);
    const ends = {
      source: await fleet.connection(pair.source),
      target: await fleet.connection(pair.target),
    };
    const id = await fleet.task(ends);
    const start = () => home.start(['worker', '--name', 'old'], { env: fleet.env });
    const old = [start()];
    try {
      await fleet.ask(id, 'start');
      const { workerId: first } = await fleet.until(id, 'running');
      const written = writing(pair.source);
      // What the first node of the next version does when it starts.
      await using next = Store.at(db.uri);
      expect(await migrate(next, [...readMigrations(), LATER])).toEqual([LATER.name]);
      const newer = await fleet.worker({ name: 'new', version: '99.0.0' });
      old[0]!.child.kill('SIGTERM');
      expect((await old[0]!.finished).code).toBe(0);
      const owner = async () => (await fleet.show(id)).workerId;
      await eventually(owner, (now) => now === newer.id);
      await fleet.until(id, 'running');

      old.push(start());
      await eventually(
        () => old[1]!.output().stdout,
        (said) => said.includes('runs'),
      );
      await newer[Symbol.asyncDispose]();
      await eventually(owner, (now) => now !== null && now !== newer.id);
      expect(await owner()).not.toBe(first);
      await fleet.until(id, 'running');
      const rows = await written();
      await expectSame(pair);
      await expectAccounted(pair, rows);
      expect((await fleet.show(id)).failure).toBeNull();
    } finally {
      for (const { child } of old) child.kill('SIGKILL');
    }
  }, 180_000);
});

/** Of a database under the feet of those who use it: taken, and put back. */
async function openBackup({ info, name }: TestDatabase) {
  const root = await connect({ ...info, database: 'postgres' }, { side: 'source', applicationName: 'test' });
  const backup = `${name}_backup`;
  const alone = async (work: string) => {
    await root.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
    await root.query(
      `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '${name}'`,
    );
    await root.query(work);
  };
  return {
    take: async () => {
      await alone(`CREATE DATABASE ${backup} TEMPLATE ${name}`);
      await root.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`);
    },
    /** `sql`: what it says beyond what was there. */
    restore: async (sql = '') => {
      const session = await connect(
        { ...info, database: backup },
        { side: 'source', applicationName: 'test' },
      );
      await session.query(sql);
      await session.end();
      await alone(`DROP DATABASE ${name}`);
      await root.query(`ALTER DATABASE ${backup} RENAME TO ${name}`);
    },
    [Symbol.asyncDispose]: () => root.end(),
  };
}

/** Every session of the store was ended. */
async function answers(fleet: TestFleet, id: string): Promise<void> {
  const all = () => Promise.all(Array.from({ length: 10 }, () => fleet.show(id)));
  await eventually(
    () =>
      all().then(
        () => true,
        () => false,
      ),
    (isSo) => isSo,
  );
}

/** All tasks go from one worker to the other, which becomes the only one that takes any. */
async function handOver(
  fleet: TestFleet,
  { from, to }: { from: string; to: string },
  ids: readonly string[],
) {
  const { store } = fleet.node.services;
  await setDraining(store, to, false);
  await setDraining(store, from, true);
  for (const id of ids) {
    await eventually(
      () => fleet.show(id),
      ({ workerId }) => workerId === to,
    );
    await fleet.until(id, 'running');
  }
}

describe.concurrent('a store that was restored from an hour ago', () => {
  it('lets tasks go on exactly, believes no former owner, and begins nothing anew', async () => {
    await using db = await freshDatabase(18);
    await using streams = await freshPair(17, 18, TABLES);
    await using released = await freshPair(17, 18, TABLES);
    await using stopped = await freshPair(17, 18, TABLES);
    await using fleet = await startFleet(db);
    const pairs = [streams, released, stopped];
    const ids: string[] = [];
    for (const { source, target } of pairs)
      ids.push(
        await fleet.task({ source: await fleet.connection(source), target: await fleet.connection(target) }),
      );
    const [streamsId = '', releasedId = '', stoppedId = ''] = ids;
    const one = await fleet.worker({ name: 'one' });
    for (const id of ids) await fleet.ask(id, 'start');
    for (const id of ids) await fleet.until(id, 'running');
    await using backup = await openBackup(db);
    await backup.take();
    await answers(fleet, streamsId);

    // The hour: other owners, changes, a stop, a release.
    const two = await fleet.worker({ name: 'two' });
    await handOver(fleet, { from: one.id, to: two.id }, ids);
    const written = writing(streams.source);
    const wishes = (wish: string, at: string) =>
      `INSERT INTO opendts.task_table_wish (task_id, name, wish, asked_at) VALUES ('${streamsId}', 'public.item', '${wish}', '${at}')`;
    const chosen = async () =>
      (await fleet.events(streamsId)).filter(({ kind }) => kind === 'table-chosen').length;
    for (const [wish, at, count] of [
      ['pause', '2026-01-01 00:00Z', 1],
      ['resume', '2026-01-01 00:01Z', 2],
    ] as const) {
      await using session = await db.open();
      await session.query(wishes(wish, at));
      await eventually(chosen, (found) => found === count);
    }
    for (const id of [releasedId, stoppedId]) await fleet.ask(id, 'stop');
    for (const id of [releasedId, stoppedId]) await fleet.until(id, 'stopped');
    await fleet.ask(releasedId, 'release');
    await fleet.until(releasedId, 'released');
    await handOver(fleet, { from: two.id, to: one.id }, [streamsId]);
    await handOver(fleet, { from: one.id, to: two.id }, [streamsId]);
    const { fence } = await fleet.show(streamsId);
    for (const { source } of [released, stopped])
      await source.session.query("INSERT INTO item VALUES (5000, 'after the cutover')");
    await backup.restore(wishes('pause', '2026-01-01 00:00Z'));
    await answers(fleet, streamsId);

    // Both workers are still there: one had the tasks at the time of the backup, the other did not exist.
    const failed = (id: string) => fleet.until(id, 'failed').then(({ failure }) => failure?.code);
    expect(await failed(releasedId)).toBe('TASK_BOOKS_GONE');
    expect(await failed(stoppedId)).toBe('TASK_HALTED');
    const taken = async () => BigInt((await fleet.show(streamsId)).fence) > BigInt(fence);
    await eventually(taken, (isSo) => isSo);
    await fleet.until(streamsId, 'running');
    const rows = await written();
    await expectSame(streams);
    await expectAccounted(streams, rows);
    const { slots } = await released.source.session.one(
      'SELECT count(*) AS slots FROM pg_replication_slots WHERE database = current_database()',
    );
    expect(slots).toBe('0');
    for (const { target } of [released, stopped])
      expect(await target.session.query('SELECT FROM item WHERE id = 5000')).toEqual([]);

    // Wishes of that time were done, and are not done again.
    const kinds = async () => (await fleet.events(streamsId)).map(({ kind }) => kind);
    await eventually(kinds, (said) => said.includes('table-not-chosen'));

    // A person has been told, and lets it go on.
    await fleet.ask(stoppedId, 'resume');
    await fleet.until(stoppedId, 'running');
    await expectSame(stopped);
  }, 240_000);

  it('gives no fence twice', async () => {
    await using db = await freshDatabase(18);
    await using pair = await freshPair(18, 18);
    await using fleet = await startFleet(db);
    const { store } = fleet.node.services;
    const end = await fleet.connection(pair.source);
    const taskId = await fleet.task({ source: end, target: await fleet.connection(pair.target) });
    await using backup = await openBackup(db);
    await backup.take();
    await answers(fleet, taskId);
    const take = async () => (await takeTask(store, taskId, randomUUID()))!.fence;
    const former = [await take(), await take(), await take()];
    await backup.restore();
    await answers(fleet, taskId);
    for (const _ of former) {
      await take();
      for (const fence of former)
        expect(
          await writeProgress(store, { taskId, fence, progress: toTaskProgress(progressOf()), tables: [] }),
        ).toBe(false);
    }
  });

  it('names no worker as an owner that does not have the task', async () => {
    await using db = await freshDatabase(18);
    await using pair = await freshPair(18, 18);
    await using fleet = await startFleet(db);
    const end = await fleet.connection(pair.source);
    const id = await fleet.task({ source: end, target: await fleet.connection(pair.target) });
    const worker = await fleet.worker();
    await db.session.query(`UPDATE opendts.task SET worker_id = '${worker.id}'`);
    await eventually(
      () => fleet.show(id),
      ({ workerId }) => workerId === null,
    );
  });
});
