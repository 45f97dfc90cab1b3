/** Tables copied again while changes are applied, and while others are being copied: each ends exact, whatever meets whatever. */
import { expect, it } from 'vitest';
import { armFailpoint } from '../src/base/runtime/failpoint.ts';
import type { MigrationEvent } from '../src/contract/progress.ts';
import type { Lsn } from '../src/engine/change/lsn.ts';
import { endOfWal } from '../src/engine/pg/wal-position.ts';
import { NO_LIMITS } from '../src/engine/source/throttle.ts';
import { chooseForTable, readStoppedTables } from '../src/engine/target/books/stopped-tables.ts';
import { changeTables, TABLES } from '../scripts/faults/tables.ts';
import { freshPair, type DatabasePair } from './database.ts';
import { follow, pause, reaches } from './follow.ts';
import { compare, start, type RunOptions } from './migration.ts';
import { writer } from './copy-faults.ts';

async function until(what: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt++) {
    if (await what()) return;
    await pause(50);
  }
  throw new Error('it did not come to that');
}

const taskOf = async ({ target }: DatabasePair) =>
  (await target.session.one('SELECT task_id FROM _opendts.task')).task_id ?? '';
const stopped = async (pair: DatabasePair) => readStoppedTables(pair.target.session, await taskOf(pair));

async function recopy(pair: DatabasePair, name: string): Promise<void> {
  const table = { schema: 'public', name };
  expect(await chooseForTable(pair.target.session, await taskOf(pair), { table, choice: 'recopy' })).toBe(
    true,
  );
}

/** The table stops at a row that the target lacks. */
async function stop(pair: DatabasePair, name: string, where: string): Promise<void> {
  const { source, target } = pair;
  await target.session.query(`DELETE FROM ${name} WHERE ${where}`);
  await source.session.query(`DELETE FROM ${name} WHERE ${where}`);
  await until(async () => (await stopped(pair)).some(({ table }) => table.name === name));
}

const identical = async ({ source, target }: DatabasePair) =>
  expect((await compare(source, target)).differing).toEqual([]);

/** A copy beside the stream that lasts long enough to be met: it begins almost at once and is slow. */
function rolling(pair: DatabasePair, options: RunOptions) {
  const goal = Promise.withResolvers<Lsn>();
  const migration = start(pair.source, pair.target, {
    chunkBytes: 300_000n,
    walBudget: { bytes: 1n << 60n, ms: 300 },
    limits: { ...NO_LIMITS, bytesPerSecond: 2_500_000 },
    until: { kind: 'lsn', lsn: goal.promise },
    ...options,
  });
  migration.finished.catch(() => {});
  return {
    migration,
    end: async () => {
      migration.limit(NO_LIMITS);
      goal.resolve(await endOfWal(pair.source.session));
      return migration.finished;
    },
  };
}

it('a table in one piece that foreign keys refer to is copied again', async () => {
  await using pair = await freshPair(
    17,
    15,
    `CREATE TABLE parent (id int PRIMARY KEY, v text); INSERT INTO parent SELECT i, repeat('p', 400) FROM generate_series(1, 5000) i;
     CREATE TABLE child (id int PRIMARY KEY, p int REFERENCES parent); INSERT INTO child SELECT i, i FROM generate_series(1, 5000) i`,
  );
  const running = await follow(pair.source, pair.target);
  const { keys } = await pair.target.session.one(
    "SELECT count(*)::text AS keys FROM pg_constraint WHERE contype = 'f'",
  );
  expect(keys).toBe('1');
  await pair.target.session.query(
    'SET session_replication_role = replica; UPDATE parent SET id = -id WHERE id = 7',
  );
  await pair.source.session.query("UPDATE parent SET v = 'w' WHERE id < 10");
  await until(async () => (await stopped(pair)).length === 1);
  await recopy(pair, 'parent');
  await until(async () => (await stopped(pair)).length === 0);
  await running.catchUp();
  await identical(pair);
});

it('a table that is copied in parts is copied again while its other parts, and other tables, are being copied; two at once', async () => {
  await using pair = await freshPair(18, 15, TABLES);
  const { source, target } = pair;
  {
    await using _ = await writer(source);
    const events: MigrationEvent[] = [];
    const { migration, end } = rolling(pair, { events });
    await reaches(migration, 'catch-up');
    // Of a part that is done: its changes are applied, while the others are copied.
    await until(async () => (await target.session.query('SELECT FROM ordered WHERE id = 5')).length === 1);
    await until(async () => {
      await target.session.query('DELETE FROM ordered WHERE id BETWEEN 2 AND 900');
      await source.session.query('UPDATE ordered SET n = n + 1 WHERE id BETWEEN 2 AND 900');
      return (await stopped(pair)).length > 0;
    });
    await recopy(pair, 'ordered');
    await until(async () => (await stopped(pair)).length === 0);
    await until(async () => (await target.session.query("SELECT FROM small_b WHERE b = 'b'")).length > 0);
    await stop(pair, 'small_b', "b = 'b'");
    await recopy(pair, 'small_b');
    await until(async () => (await stopped(pair)).length === 0);
    migration.limit(NO_LIMITS);
    await reaches(migration, 'stream');
    await end();
    expect(events.filter(({ message }) => message.endsWith('is copied again'))).toHaveLength(2);
  }
  await start(source, target).finished;
  await identical(pair);
});

it('a table that cannot be copied does not keep the others: not from being copied, followed and copied again, nor waiting', async () => {
  await using pair = await freshPair(17, 17, TABLES);
  const { source, target } = pair;
  await source.session.query(
    `CREATE TABLE refused (id int PRIMARY KEY, v text); INSERT INTO refused SELECT i, repeat(chr(65 + i % 26), 300) FROM generate_series(1, 8000) i`,
  );
  {
    await using _ = await writer(source);
    let isRefused = false;
    const events: MigrationEvent[] = [];
    const { migration, end } = rolling(pair, {
      events,
      onEvent: ({ message }) => {
        // Once its table stands, the target takes no row that ends a part.
        if (isRefused || !message.startsWith('copying ')) return;
        isRefused = true;
        void target.session.query('ALTER TABLE refused ADD CHECK (id % 100 <> 99) NOT VALID');
      },
    });
    await reaches(migration, 'catch-up');
    migration.limit(NO_LIMITS);
    await reaches(migration, 'stream');
    await stop(pair, 'small_a', 'id = 3');
    await recopy(pair, 'small_a');
    await until(async () => (await stopped(pair)).length === 0);
    await until(async () => (await target.session.query('SELECT FROM small_a LIMIT 1')).length === 1);
    await expect(end()).rejects.toMatchObject({ code: 'ROW_REFUSED', facts: { table: 'public.refused' } });
  }
  await target.session.query('ALTER TABLE refused DROP CONSTRAINT refused_id_check');
  await start(source, target).finished;
  await identical(pair);
});

it.each(['catch-up', 'stream'] as const)(
  'strict: the first table that cannot go on ends the run in %s, and running again goes on',
  async (phase) => {
    await using pair = await freshPair(15, 17, TABLES);
    const { source, target } = pair;
    // Without the capture of DDL it is the copy that meets it.
    const { migration } = rolling(pair, { strict: true, captureDdl: 'off' });
    await reaches(migration, 'catch-up');
    if (phase === 'stream') migration.limit(NO_LIMITS);
    await reaches(migration, phase);
    if (phase === 'stream') {
      await target.session.query('DELETE FROM small_a WHERE id = 3');
      await source.session.query("UPDATE small_a SET v = 'w' WHERE id = 3");
      await expect(migration.finished).rejects.toMatchObject({ code: 'ROW_MISSING' });
      await target.session.query("INSERT INTO small_a VALUES (3, 'a')");
    } else {
      await source.session.query('ALTER TABLE scattered ADD more int');
      migration.limit(NO_LIMITS);
      await expect(migration.finished).rejects.toMatchObject({ code: 'TABLE_CHANGED' });
      await source.session.query('ALTER TABLE scattered DROP more');
    }
    await start(source, target).finished;
    await identical(pair);
  },
);

it('a copy beside the stream with threads of its own ends exact', async () => {
  await using pair = await freshPair(18, 18, TABLES);
  {
    await using _ = await writer(pair.source);
    const { migration, end } = rolling(pair, { jobs: 6 });
    await reaches(migration, 'catch-up');
    await reaches(migration, 'stream');
    await end();
  }
  await start(pair.source, pair.target).finished;
  await identical(pair);
});

it.each([
  ['while parts are copied beside the stream', (n: number) => n + 3],
  ['at the end of the first copy', () => 1],
])('stops within seconds, %s, and leaves nothing running', async (_, which) => {
  await using pair = await freshPair(17, 18, TABLES);
  const { source, target } = pair;
  const abort = new AbortController();
  {
    await using _writing = await writer(source);
    let stoppedAt = 0;
    const failpoints = armFailpoint(`copy.before-unit-commit:${which(8)}`, () => {
      stoppedAt = performance.now();
      abort.abort();
    });
    const { migration } = rolling(pair, { signal: abort.signal, failpoints });
    expect((await migration.finished).outcome).toBe('stopped');
    expect(performance.now() - stoppedAt).toBeLessThan(10_000);
  }
  for (const { session } of [source, target])
    await until(
      async () =>
        (
          await session.query(
            "SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'opendts:%'",
          )
        ).length === 0,
    );
  await start(source, target, { chunkBytes: 300_000n }).finished;
  // Not one that the writer has used.
  await source.session.query(changeTables(1_000_000));
  await start(source, target).finished;
  await identical(pair);
});
