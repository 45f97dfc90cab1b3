/** Single tables that go on are paused, left out or copied again, while the others are copied and followed under load. Each ends exact. */
import { expect, it } from 'vitest';
import { armFailpoint } from '../src/base/runtime/failpoint.ts';
import type { MigrationEvent } from '../src/contract/progress.ts';
import { formatLsn, type Lsn } from '../src/engine/change/lsn.ts';
import { endOfWal } from '../src/engine/pg/wal-position.ts';
import { NO_LIMITS } from '../src/engine/source/throttle.ts';
import type { Migration } from '../src/service/task/migrate.ts';
import { askedTables, chooseForTables, stoppedTables, type Choice } from '../src/service/task/stopped.ts';
import { TABLES } from '../scripts/faults/tables.ts';
import { CHUNK, expectIdentical, FULL, writer } from './copy-faults.ts';
import { freshPair, type DatabasePair, type TestDatabase } from './database.ts';
import { follow, pause, reaches } from './follow.ts';
import { compare, migrate, start } from './migration.ts';
import { cliHome } from './spawn-cli.ts';

async function until(what: () => Promise<boolean> | boolean): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt++) {
    if (await what()) return;
    await pause(50);
  }
  throw new Error('it did not come to that');
}

/** The books have it, whether a run has done it or not. */
const ask = ({ target }: DatabasePair, choice: Choice, ...tables: string[]) =>
  chooseForTables(target.session, tables, choice);

/** A run has done what was asked. */
async function done(pair: DatabasePair, choice: Choice, ...tables: string[]): Promise<void> {
  await ask(pair, choice, ...tables);
  await until(async () => (await askedTables(pair.target.session)).length === 0);
}

const standing = async ({ target }: DatabasePair) =>
  new Map((await stoppedTables(target.session)).map((one) => [one.table.name, one]));

const rows = async ({ session }: TestDatabase, table: string) =>
  Number((await session.one(`SELECT count(*)::text AS n FROM ${table}`)).n);

/** So that a choice, which is seen within a second, meets tables in the middle of their copy. */
const SLOW = { ...NO_LIMITS, bytesPerSecond: 1_200_000 };
const LARGE_ONES = ['ordered', 'scattered', 'loose', 'toasted'];

/** The large tables, one that is copied in part first. */
async function inTheCopy(migration: Migration): Promise<[half: string, other: string, third: string]> {
  const begun = (name: string) =>
    migration.progress().tables.some(({ table, chunksDone, chunksTotal }) => {
      return table === `public.${name}` && chunksDone > 0 && chunksDone < chunksTotal;
    });
  await until(() => LARGE_ONES.some(begun));
  const [half = '', other = '', third = ''] = LARGE_ONES.toSorted(
    (a, b) => Number(begun(b)) - Number(begun(a)),
  );
  return [half, other, third];
}

it('tables with and without a key stand still at the end of a transaction, over a restart too, and catch up under load; the source keeps what they lack', async () => {
  await using pair = await freshPair(17, 15, TABLES);
  const { source, target } = pair;
  await source.session.query('CREATE TABLE three (t int, n int)');
  const three = async () => {
    for (let n = 0; n < 3; n++)
      await source.session.query(
        'BEGIN; INSERT INTO three VALUES (0, 1); INSERT INTO three VALUES (0, 2); INSERT INTO three VALUES (0, 3); COMMIT',
      );
  };
  const running = await follow(source, target);
  {
    await using _ = await writer(source);
    const load = setInterval(() => void three(), 10);
    using _load = { [Symbol.dispose]: () => clearInterval(load) };
    await until(async () => (await rows(target, 'three')) > 0);
    await done(pair, 'pause', 'public.three', 'public.ordered', 'public.loose', 'public.part');
    const there = await rows(target, 'three');
    expect(there % 3).toBe(0);
    // The others are applied meanwhile.
    await source.session.query("INSERT INTO small_a VALUES (1000, 'while it is paused')");
    await until(async () => (await target.session.query('SELECT FROM small_a WHERE id = 1000')).length === 1);
    clearInterval(load);
    expect(await rows(target, 'three')).toBe(there);
    await expect(running.catchUp()).rejects.toMatchObject({ code: 'TABLES_STOPPED', facts: { count: 5 } });
  }
  // Whoever runs it again has not let them go on.
  await expect(migrate(source, target)).rejects.toMatchObject({ code: 'TABLES_STOPPED' });
  const [one] = (await standing(pair)).values();
  expect(one).toMatchObject({ code: 'TABLE_PAUSED', choice: null });
  expect(one?.keptBytes).toBeGreaterThan(0n);
  const { kept } = await source.session.one(
    'SELECT (confirmed_flush_lsn <= $1::pg_lsn)::text AS kept FROM pg_replication_slots WHERE database = current_database()',
    [one === undefined ? null : formatLsn(one.endLsn)],
  );
  expect(kept).toBe('true');
  const again = await follow(source, target);
  {
    await using _ = await writer(source, 5, 100_000);
    await ask(pair, 'retry', 'public.*');
    await until(async () => (await standing(pair)).size === 0);
  }
  await again.catchUp();
  await expectIdentical(pair);
});

it('a table is left out, for which nothing is kept or waited for, and comes back by a copy; another one that goes on is copied again', async () => {
  await using pair = await freshPair(18, 17, TABLES);
  const { source, target } = pair;
  using home = cliHome();
  const cli = (...args: string[]) =>
    home.run([args[0] ?? '', '--source', source.uri, '--target', target.uri, ...args.slice(1)]);
  const running = await follow(source, target);
  {
    await using _ = await writer(source);
    expect((await cli('tables', '--skip', 'public.toasted')).stdout).toContain(
      'public.toasted: skip is asked for',
    );
    await until(async () => (await askedTables(target.session)).length === 0);
    await ask(pair, 'recopy', 'public.ordered', 'public.small_b');
    await until(
      () => running.events.filter(({ message }) => message.endsWith('is copied again')).length === 2,
    );
    await expect(ask(pair, 'retry', 'public.toasted')).rejects.toMatchObject({ code: 'USAGE' });
    await source.session.query("INSERT INTO toasted VALUES (5000, 0, 'not followed')");
  }
  await running.catchUp();
  expect((await standing(pair)).get('toasted')).toMatchObject({ choice: 'skip', keptBytes: 0n });
  expect((await compare(source, target)).differing.map(({ table }) => table)).toEqual(['public.toasted']);
  expect((await cli('tables')).stdout).toMatch(
    /public\.toasted +left out .* 0 B +public\.toasted is left out/,
  );
  const verified = await cli('verify');
  expect(verified.stdout).toContain('public.toasted: left out (opendts tables --skip), and not compared');
  expect(verified.code).toBe(0);
  // The slot is past its place, and so is the next run.
  const again = await follow(source, target);
  {
    await using _ = await writer(source, 5, 100_000);
    await ask(pair, 'recopy', 'public.toasted');
    await until(async () => (await standing(pair)).size === 0);
  }
  await again.catchUp();
  await expectIdentical(pair);
});

it('of a table that is paused or left out while it is copied nothing more is copied; the others go on into the stream, where it is completed', async () => {
  await using pair = await freshPair(17, 18, TABLES);
  const { source, target } = pair;
  const goal = Promise.withResolvers<Lsn>();
  const migration = start(source, target, {
    chunkBytes: CHUNK,
    limits: SLOW,
    jobs: 1,
    until: { kind: 'lsn', lsn: goal.promise },
  });
  migration.finished.catch(() => {});
  {
    await using _ = await writer(source);
    const [half, out, anew] = await inTheCopy(migration);
    await done(pair, 'pause', `public.${half}`);
    await done(pair, 'skip', `public.${out}`);
    await done(pair, 'recopy', `public.${anew}`);
    migration.limit(NO_LIMITS);
    await reaches(migration, 'stream');
    const copied = migration.progress().tables.find(({ table }) => table === `public.${half}`);
    expect(copied?.chunksDone).toBeLessThan(copied?.chunksTotal ?? 0);
    await ask(pair, 'retry', `public.${half}`);
    await ask(pair, 'recopy', `public.${out}`);
    await until(async () => (await standing(pair)).size === 0);
  }
  goal.resolve(await endOfWal(source.session));
  await migration.finished;
  await migrate(source, target);
  await expectIdentical(pair);
});

it('a copy without changes waits for tables that are paused, goes on with each as it may, and is complete without one that is left out', async () => {
  await using pair = await freshPair(15, 17, TABLES);
  const { source, target } = pair;
  const events: MigrationEvent[] = [];
  const migration = start(source, target, { types: FULL, chunkBytes: CHUNK, limits: SLOW, events });
  const copied = (name: string) =>
    migration.progress().tables.some(({ table, stage }) => table === `public.${name}` && stage === 'copied');
  const [half, other, out] = await inTheCopy(migration);
  await done(pair, 'pause', `public.${half}`, `public.${other}`);
  await done(pair, 'skip', `public.${out}`);
  migration.limit(NO_LIMITS);
  await until(() => events.some(({ message }) => message.startsWith('what is left to copy is paused')));
  const left = migration.progress().tables.find(({ table }) => table === `public.${out}`);
  expect(left?.chunksDone).toBeLessThan(left?.chunksTotal ?? 0);
  for (const name of [half, out])
    await source.session.query(`DELETE FROM ${name} WHERE ctid = (SELECT ctid FROM ${name} LIMIT 1)`);
  await ask(pair, 'retry', `public.${other}`);
  await until(async () => !(await standing(pair)).has(other));
  await until(() => copied(other));
  expect(new Set((await standing(pair)).keys())).toEqual(new Set([half, out]));
  expect((await standing(pair)).get(half)).toMatchObject({ code: 'TABLE_PAUSED', keptBytes: 0n });
  await ask(pair, 'retry', `public.${half}`);
  expect((await migration.finished).outcome).toBe('completed');
  expect((await compare(source, target)).differing.map(({ table }) => table)).toEqual([`public.${out}`]);
});

it('what was asked for and not done when the run was killed is done by the next; where it was done, it is not done again', async () => {
  await using pair = await freshPair(17, 17, TABLES);
  const { source, target } = pair;
  await migrate(source, target);
  for (const place of ['apply.between-apply-and-progress', 'apply.between-commit-and-ack']) {
    await ask(pair, 'pause', 'public.ordered');
    await source.session.query('UPDATE ordered SET n = n + 1 WHERE id < 50; UPDATE small_a SET v = v || 1');
    const gone = new AbortController();
    const killed = start(source, target, {
      signal: gone.signal,
      failpoints: armFailpoint(place, () => {
        gone.abort();
        throw new Error('killed');
      }),
    });
    await killed.finished.catch(() => {});
    await expect(migrate(source, target)).rejects.toMatchObject({ code: 'TABLES_STOPPED' });
    expect(await askedTables(target.session)).toEqual([]);
    expect([...(await standing(pair)).keys()]).toEqual(['ordered']);
    await ask(pair, 'retry', 'public.ordered');
    await migrate(source, target);
    await expectIdentical(pair);
  }
});
