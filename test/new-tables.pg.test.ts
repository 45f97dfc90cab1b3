/** Tables that come into the selection while changes are followed: created there, or renamed so that the selection matches them. */
import { describe, expect, it } from 'vitest';
import { sqlstateOf } from '../src/engine/pg/pg-error.ts';
import { freshPair, type TestDatabase } from './database.ts';
import { follow, pause } from './follow.ts';
import { compare, migrate } from './migration.ts';

async function until(what: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 800; attempt++) {
    if (await what()) return;
    await pause(50);
  }
  throw new Error('it did not come to that');
}

async function has(target: TestDatabase, table: string, rows: number): Promise<boolean> {
  const there = await target.session.query(
    `SELECT FROM pg_tables WHERE schemaname || '.' || tablename = $1`,
    [table],
  );
  if (there.length === 0) return false;
  try {
    return (await target.session.query(`SELECT FROM ${table}`)).length === rows;
  } catch (thrown) {
    // Whoever reads a partition while it is being attached may be the one who gives way.
    if (sqlstateOf(thrown) === '40P01') return false;
    throw thrown;
  }
}

describe.each([12, 15, 18] as const)('a table that is new on a source of PostgreSQL %i', (major) => {
  it('is created, copied and followed, with its key and indexes, while the others go on', async () => {
    await using pair = await freshPair(
      major,
      15,
      'CREATE SCHEMA s; CREATE TABLE s.old (id int PRIMARY KEY, v text)',
    );
    const { source, target } = pair;
    const running = await follow(source, target);
    await using open = await source.open();
    // Begun before the table is known, written to it, and still open when it is published.
    await source.session.query(
      "CREATE TYPE s.mood AS ENUM ('good', 'bad'); CREATE TABLE s.fresh (id serial PRIMARY KEY, m s.mood, v text); CREATE INDEX fresh_v ON s.fresh (v); CREATE TABLE s.no_key (n int)",
    );
    await open.query(
      "BEGIN; INSERT INTO s.fresh (m, v) VALUES ('good', 'early'); INSERT INTO s.no_key VALUES (1), (1)",
    );
    await source.session.query(
      "INSERT INTO s.fresh (m, v) SELECT 'bad', i::text FROM generate_series(1, 100) i; INSERT INTO s.no_key VALUES (1), (2); INSERT INTO s.old VALUES (1, 'x')",
    );
    await until(() => has(target, 's.old', 1));
    await pause(2_000);
    await source.session.query(
      "UPDATE s.fresh SET v = 'new' WHERE id % 2 = 0; DELETE FROM s.no_key WHERE n = 2",
    );
    await open.query('COMMIT');
    await until(() => has(target, 's.fresh', 101));
    await source.session.query(
      "UPDATE s.fresh SET v = v || '!' WHERE id < 10; INSERT INTO s.old VALUES (2, 'y')",
    );
    await running.catchUp();
    expect((await compare(source, target)).differing).toEqual([]);
    const indexes = "SELECT indexname FROM pg_indexes WHERE schemaname = 's' ORDER BY 1";
    expect(await target.session.query(indexes)).toEqual(await source.session.query(indexes));
  });
});

it('a table that is renamed is followed on, into the table it went to, over runs as well', async () => {
  await using pair = await freshPair(
    17,
    15,
    'CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY)',
  );
  const { source, target } = pair;
  const running = await follow(source, target);
  await source.session.query("INSERT INTO a VALUES (1, 'x')");
  await source.session.query(
    "ALTER TABLE a RENAME TO c; INSERT INTO c VALUES (2, 'y'); INSERT INTO b VALUES (1)",
  );
  await until(() => has(target, 'public.a', 2));
  await running.catchUp();
  await source.session.query("UPDATE c SET v = 'z'");
  const second = await migrate(source, target);
  expect(await target.session.query('SELECT id, v FROM a ORDER BY id')).toEqual([
    { id: '1', v: 'z' },
    { id: '2', v: 'z' },
  ]);
  expect(second.warnings.join('\n')).toContain('public.a is called public.c on the source now');
  expect(await has(target, 'public.c', 0)).toBe(false);
});

it('a table that comes while no run is there is picked up by the next', async () => {
  await using pair = await freshPair(17, 17, 'CREATE TABLE a (id int PRIMARY KEY)');
  const { source, target } = pair;
  await migrate(source, target);
  await source.session.query(
    'CREATE TABLE later (id int PRIMARY KEY REFERENCES a); INSERT INTO a VALUES (1); INSERT INTO later VALUES (1)',
  );
  await migrate(source, target);
  expect((await compare(source, target)).differing).toEqual([]);
  const keys = "SELECT conname FROM pg_constraint WHERE contype = 'f'";
  expect(await target.session.query(keys)).toEqual(await source.session.query(keys));
});

it('a table that somebody holds is picked up once it is free, although nothing about the tables has changed since', async () => {
  await using pair = await freshPair(17, 18, 'CREATE TABLE a (id int PRIMARY KEY)');
  const { source, target } = pair;
  const running = await follow(source, target);
  await using locker = await source.open();
  await locker.query('CREATE TABLE public.held (id int PRIMARY KEY); INSERT INTO public.held VALUES (1)');
  await locker.query('BEGIN; LOCK TABLE public.held IN SHARE MODE');
  await until(async () => running.events.some(({ message }) => /cannot be picked up yet/.test(message)));
  await locker.query('COMMIT');
  await until(() => has(target, 'public.held', 1));
  await running.catchUp();
});

it('a table that the selection does not match is left alone, until it is moved into a selected schema', async () => {
  await using pair = await freshPair(
    17,
    15,
    'CREATE SCHEMA s; CREATE SCHEMA x; CREATE TABLE s.a (id int PRIMARY KEY); CREATE TABLE x.b (id int PRIMARY KEY); INSERT INTO x.b VALUES (1)',
  );
  const { source, target } = pair;
  const running = await follow(source, target, { tables: ['s.*'] });
  await source.session.query('CREATE TABLE x.other (id int); INSERT INTO s.a VALUES (1)');
  await until(() => has(target, 's.a', 1));
  await source.session.query('ALTER TABLE x.b SET SCHEMA s; INSERT INTO s.b VALUES (2)');
  await until(() => has(target, 's.b', 2));
  await running.catchUp();
  expect(
    await target.session.query(
      "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('s', 'x') ORDER BY 1, 2",
    ),
  ).toEqual([
    { schemaname: 's', tablename: 'a' },
    { schemaname: 's', tablename: 'b' },
  ]);
});

describe.each([12, 15, 18] as const)('a partition that is new on a source of PostgreSQL %i', (major) => {
  const TABLE = `CREATE TABLE log (id serial, at int NOT NULL, v text DEFAULT 'none', PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
    CREATE INDEX log_v ON log (v); CREATE TABLE kind (id int PRIMARY KEY); INSERT INTO kind VALUES (1); ALTER TABLE log ADD kind int REFERENCES kind;
    CREATE TABLE log_0 PARTITION OF log FOR VALUES FROM (0) TO (10);
    INSERT INTO log (at, kind) SELECT i % 10, 1 FROM generate_series(1, 100) i`;
  const MORE = `CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM (10) TO (20); CREATE INDEX log_1_at ON log_1 (at DESC);
    CREATE TABLE log_2 (more text, kind int, v text DEFAULT 'other', at int NOT NULL, id int NOT NULL) PARTITION BY LIST (at);
    ALTER TABLE log_2 DROP more; ALTER TABLE log ATTACH PARTITION log_2 FOR VALUES FROM (20) TO (30);
    CREATE TABLE log_2_even PARTITION OF log_2 FOR VALUES IN (20, 22, 24, 26, 28); CREATE TABLE log_2_odd PARTITION OF log_2 DEFAULT;
    INSERT INTO log (at, v, kind) SELECT i % 30, i::text, 1 FROM generate_series(1, 300) i`;
  const SHAPE = `SELECT string_agg(line, E'\\n' ORDER BY line) AS shape FROM (
    SELECT inhrelid::regclass || ' of ' || inhparent::regclass AS line FROM pg_inherits
    UNION ALL SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid::regclass::text ~ '^log'
    UNION ALL SELECT conrelid::regclass || ': ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid::regclass::text ~ '^log' AND contype <> 'n') l`;

  async function expectSame(source: TestDatabase, target: TestDatabase): Promise<void> {
    expect((await compare(source, target)).differing).toEqual([]);
    expect(await target.session.one(SHAPE)).toEqual(await source.session.one(SHAPE));
  }

  it('is created, attached with its indexes, copied and followed', async () => {
    await using pair = await freshPair(major, 15, TABLE);
    const { source, target } = pair;
    const running = await follow(source, target);
    // What the target cannot have does not keep the partition from being attached.
    await source.session.query(
      `BEGIN; ${MORE}; CREATE INDEX log_1_bad ON log_1 (v); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'log_1_bad'::regclass; COMMIT`,
    );
    await until(() => has(target, 'public.log_2_odd', 50));
    await source.session.query("UPDATE log SET v = 'changed', at = (at + 7) % 30 WHERE id % 3 = 0");
    await running.catchUp();
    await source.session.query('DROP INDEX log_1_bad');
    await expectSame(source, target);
  });

  it('comes in when the task goes on', async () => {
    await using pair = await freshPair(major, 15, TABLE);
    const { source, target } = pair;
    await migrate(source, target);
    await source.session.query(MORE);
    await migrate(source, target);
    await source.session.query("UPDATE log SET v = 'changed', at = (at + 7) % 30 WHERE id % 3 = 0");
    await migrate(source, target);
    await expectSame(source, target);
  });
});
