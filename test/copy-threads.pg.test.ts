/** With more jobs than one thread serves, copy threads do the work: the same result, the same errors, the same limits. */
import { expect, it } from 'vitest';
import type { AppError } from '../src/base/errors/app-error.ts';
import { freshDatabase } from './database.ts';
import { reaches } from './follow.ts';
import { compare, migrate, start } from './migration.ts';
import { cliHome } from './spawn-cli.ts';

const FULL = ['schema', 'full'] as const;

const TABLES = `
  CREATE TABLE large (id int PRIMARY KEY, v text);
  INSERT INTO large SELECT i, repeat(md5(i::text), 20) FROM generate_series(1, 20000) i;
  CREATE TABLE equal (a int, v text);
  INSERT INTO equal SELECT i % 9, repeat('x', 500) FROM generate_series(1, 20000) i;
  CREATE TABLE mood (m text); INSERT INTO mood VALUES (NULL), ('');`;

function smallTables(count: number): string {
  return Array.from(
    { length: count },
    (_, at) => `CREATE TABLE s${at} (id int PRIMARY KEY); INSERT INTO s${at} SELECT generate_series(1, 100);`,
  ).join('\n');
}

it('copies chunks and small tables exactly, and counts them as they pass', async () => {
  await using source = await freshDatabase(17);
  await using target = await freshDatabase(18);
  await source.session.query(TABLES + smallTables(60));
  const migration = start(source, target, { jobs: 9, chunkBytes: 1n << 20n });
  const summary = await migration.finished;
  expect(summary.outcome).toBe('caught-up');
  expect(summary.rowsCopied).toBe(46_002n);
  expect((await compare(source, target)).differing).toEqual([]);
  const large = migration.progress().tables.find(({ table }) => table === 'public.large');
  expect(large?.chunksTotal).toBeGreaterThan(8);
  expect(large?.chunksDone).toBe(large?.chunksTotal);
});

it('names the row that cannot pass, and goes on with the others', async () => {
  await using source = await freshDatabase(15);
  await using target = await freshDatabase(15);
  await source.session
    .query(`CREATE TABLE bad (id int PRIMARY KEY, n int); INSERT INTO bad VALUES (1, 1), (2, -2);
    ${smallTables(40)}`);
  await target.session.query(`CREATE TABLE bad (id int, n int CHECK (n > 0));
    ${Array.from({ length: 40 }, (_, at) => `CREATE TABLE s${at} (id int);`).join('')}`);
  const error = await migrate(source, target, { types: ['full'], jobs: 8 }).then(
    () => expect.unreachable('it should have failed'),
    (thrown: AppError) => thrown,
  );
  expect(error).toMatchObject({ code: 'ROW_REFUSED', facts: { table: 'public.bad', row: '(id) = (2)' } });
  expect(await target.session.one('SELECT count(*)::text AS n FROM s39')).toEqual({ n: '100' });
});

it('keeps to the limits of the task together, and to new ones at once', async () => {
  await using source = await freshDatabase(17);
  await using target = await freshDatabase(17);
  await source.session.query(
    Array.from(
      { length: 8 },
      (_, at) =>
        `CREATE TABLE l${at} (v text); INSERT INTO l${at} SELECT repeat('x', 990) FROM generate_series(1, 40000);`,
    ).join('\n'),
  );
  const limit = (bytesPerSecond: number) => ({ queriesPerSecond: null, rowsPerSecond: null, bytesPerSecond });
  const migration = start(source, target, { types: FULL, jobs: 8, limits: limit(8e6) });
  await reaches(migration, 'copy');
  const bytes = () => Number(migration.progress().bytesCopied);
  while (bytes() < 4e6) await new Promise((resolve) => setTimeout(resolve, 20));
  const measure = async (ms: number) => {
    const [before, from] = [bytes(), performance.now()];
    await new Promise((resolve) => setTimeout(resolve, ms));
    return ((bytes() - before) * 1000) / (performance.now() - from);
  };
  const slow = await measure(4_000);
  migration.limit(limit(16e6));
  await new Promise((resolve) => setTimeout(resolve, 500));
  const fast = await measure(4_000);
  migration.limit({ queriesPerSecond: null, rowsPerSecond: null, bytesPerSecond: null });
  await migration.finished;
  // Counted every 100 ms, so four seconds may be off by a twentieth.
  expect(slow / 8e6).toBeGreaterThan(0.9);
  expect(slow / 8e6).toBeLessThan(1.1);
  expect(fast / 16e6).toBeGreaterThan(0.9);
  expect(fast / 16e6).toBeLessThan(1.1);
});

it('dies at a failpoint like the rest of the process, and running again ends right', async () => {
  await using source = await freshDatabase(17);
  await using target = await freshDatabase(17);
  using home = cliHome();
  await source.session.query(TABLES + smallTables(30));
  const args = [
    'migrate',
    '--source',
    source.uri,
    '--target',
    target.uri,
    '--until',
    'caught-up',
    '--jobs',
    '8',
  ];
  const died = await home.run(args, { env: { OPENDTS_FAILPOINT: 'copy.before-unit-commit:3' } });
  expect(died.signal).toBe('SIGKILL');
  const again = await home.run(args);
  expect(again.code).toBe(0);
  expect((await compare(source, target)).differing).toEqual([]);
});

it('stops at its signal and leaves no session behind', async () => {
  await using source = await freshDatabase(17);
  await using target = await freshDatabase(17);
  await source.session.query(TABLES);
  const abort = new AbortController();
  const limits = { queriesPerSecond: null, rowsPerSecond: null, bytesPerSecond: 2e5 };
  const migration = start(source, target, { types: FULL, jobs: 8, limits, signal: abort.signal });
  await reaches(migration, 'copy');
  while (migration.progress().bytesCopied === 0n) await new Promise((resolve) => setTimeout(resolve, 20));
  abort.abort();
  expect((await migration.finished).outcome).toBe('stopped');
  const ours =
    "SELECT count(*)::text AS n FROM pg_stat_activity WHERE application_name LIKE 'opendts:%' AND datname = current_database()";
  for (const db of [source, target]) {
    for (let left = '?', tries = 0; left !== '0'; tries++) {
      left = (await db.session.one(ours)).n ?? '';
      if (tries > 100) expect(left).toBe('0');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  expect((await migrate(source, target, { types: FULL, jobs: 8 })).outcome).toBe('completed');
  expect((await compare(source, target)).differing).toEqual([]);
});
