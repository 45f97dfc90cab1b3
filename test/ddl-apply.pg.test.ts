/** DDL on the source that is repeated on the target by itself (--ddl apply): rows and columns are then the same, and what cannot be is told. */
import { describe, expect, it } from 'vitest';
import { freshPair, type TestDatabase } from './database.ts';
import { columns, expectSame, SAFE, stopped, stopsFor, TABLES, told, until } from './ddl.ts';
import { follow } from './follow.ts';
import { compare, migrate, type RunOptions } from './migration.ts';

describe.each([
  { from: 18, to: 17 },
  { from: 12, to: 18 },
] as const)('from PostgreSQL $from to $to', ({ from, to }) => {
  it('each safe change is made at its place without anybody, rows between', async () => {
    await using pair = await freshPair(from, to, TABLES);
    const running = await follow(pair.source, pair.target, { ddl: 'apply' });
    for (const [command, change] of SAFE) {
      await pair.source.session.query('UPDATE a SET id = id WHERE id = 1');
      await pair.source.session.query(command);
      await pair.source.session.query(`${change}; INSERT INTO b SELECT count(*) FROM b`);
    }
    await pair.source.session.query('ALTER TABLE a ALTER COLUMN m DROP NOT NULL');
    await pair.source.session.query('UPDATE a SET m = NULL WHERE id = 3');
    await pair.source.session.query('ALTER TABLE a ADD COLUMN g int GENERATED ALWAYS AS (id * 2) STORED');
    await pair.source.session.query('INSERT INTO a (id) VALUES (99)');
    await running.catchUp();
    await expectSame(pair);
    expect(told(running)).not.toContain('is not repeated');
    expect(told(running)).toContain('column "v" renamed to "x"');
  });
});

it('several commands of one transaction are one change; rows before an unsafe one in it are not passed over', async () => {
  await using pair = await freshPair(18, 15, TABLES);
  const { source } = pair;
  const running = await follow(source, pair.target, { ddl: 'apply' });
  await source.session.query(
    `BEGIN; ALTER TABLE a ADD COLUMN n int; ALTER TABLE a DROP COLUMN w; ALTER TABLE a RENAME COLUMN n TO k;
     UPDATE a SET k = 4; COMMIT`,
  );
  await source.session.query(
    'BEGIN; UPDATE a SET k = 5 WHERE id = 3; ALTER TABLE a ALTER COLUMN k TYPE bigint; UPDATE a SET k = 6 WHERE id = 4; COMMIT',
  );
  await source.session.query("BEGIN; UPDATE a SET v = 'y'; ALTER TABLE a DROP COLUMN p; COMMIT");
  await stopsFor(pair, /had changed rows of the table before/);
  expect((await stopped(pair))[0]?.code).toBe('DDL_NOT_APPLIED');
  await expect(running.catchUp()).rejects.toMatchObject({ code: 'TABLES_STOPPED' });
});

const SHOP = `CREATE SCHEMA shop; CREATE TYPE shop.mood AS ENUM ('calm', 'cross');
  CREATE FUNCTION shop.twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
  CREATE TABLE shop.orders (id int PRIMARY KEY, total numeric(5,2), note varchar(5), secret varchar(20), w int NOT NULL);
  INSERT INTO shop.orders SELECT i, i / 4.0, 'n' || i, 's' || i, i FROM generate_series(1, 9) i;
  CREATE INDEX noted ON shop.orders (note); CREATE INDEX old ON shop.orders (w);
  CREATE TABLE shop.others (id int PRIMARY KEY, secret text)`;

/** On tables whose columns have other names, with rows that need them. */
const ELSEWHERE = [
  ['ADD COLUMN n int DEFAULT 7', 'INSERT INTO shop.orders (id, w, n) VALUES (10, 1, 8)'],
  ["ADD COLUMN at shop.mood DEFAULT 'calm'", "UPDATE shop.orders SET at = 'cross' WHERE id = 2"],
  ['RENAME COLUMN total TO amount', 'UPDATE shop.orders SET amount = amount + 1 WHERE id < 4'],
  ['ALTER COLUMN note TYPE varchar(50)', "UPDATE shop.orders SET note = repeat('n', 40) WHERE id = 5"],
  ['RENAME COLUMN note TO "NOTE"', `UPDATE shop.orders SET "NOTE" = 'as it was there' WHERE id = 6`],
  ["ADD COLUMN sec2 text DEFAULT 'h'", "UPDATE shop.orders SET sec2 = 'x'"],
  ['ALTER COLUMN secret TYPE text', "UPDATE shop.orders SET secret = repeat('s', 30) WHERE id = 7"],
  ['RENAME COLUMN secret TO pay', "UPDATE shop.orders SET pay = 'p' WHERE id = 8"],
  ['DROP COLUMN w', 'INSERT INTO shop.orders (id) VALUES (11)'],
  [
    'ADD COLUMN g int GENERATED ALWAYS AS (shop.twice(n)) STORED, ALTER COLUMN amount TYPE numeric(9,2)',
    'UPDATE shop.orders SET amount = 1234567 WHERE id = 9',
  ],
] as const;

it('tables with other names are changed under them, and what is left out stays so', async () => {
  await using pair = await freshPair(17, 18, SHOP);
  const { source, target } = pair;
  const names = {
    rename: { 'shop.*': 'store.*', 'shop.orders.total': 'the sum' },
    capitalization: 'upper',
    excludeColumns: ['shop.*.sec*'],
  } as const;
  const options = { ...names, ddl: 'apply' } as const;
  const running = await follow(source, target, options);
  for (const [command, change] of ELSEWHERE) {
    await source.session.query('UPDATE shop.orders SET id = id WHERE id = 1');
    await source.session.query(`ALTER TABLE shop.orders ${command}`);
    await source.session.query(change);
  }
  await source.session.query(
    `CREATE UNIQUE INDEX sums ON shop.orders (amount DESC, shop.twice(n), "NOTE") INCLUDE (at) WHERE n > 1; DROP INDEX shop.noted;
     CREATE INDEX paid ON shop.orders (id) WHERE pay <> ''`,
  );
  await running.catchUp();
  // Its options name columns that the source has no more.
  await source.session.query("UPDATE shop.orders SET pay = 'q', n = 9 WHERE id = 1");
  const again = await follow(source, target, options);
  await source.session.query('ALTER TABLE shop.orders RENAME COLUMN pay TO wage');
  await source.session.query("UPDATE shop.orders SET wage = 'r', n = 10 WHERE id = 1");
  await again.catchUp();
  const verified = {
    ...names,
    rename: { 'shop.*': 'store.*' },
    excludeColumns: ['*.*.sec*', '*.*.wage'],
  };
  expect((await compare(source, target, [], verified)).differing).toEqual([]);
  const there = await columns(target, 'store."ORDERS"');
  expect(there.map((one) => Object.values(one as object).join(' '))).toEqual([
    'AMOUNT numeric(9,2) f  ',
    "AT store.mood f  'calm'::store.mood",
    'G integer f s store.twice("N")',
    'ID integer t  ',
    'N integer f  7',
    'NOTE character varying(50) f  ',
  ]);
  const indexes = await target.session.query(
    "SELECT indexdef FROM pg_indexes WHERE schemaname = 'store' ORDER BY 1",
  );
  expect(indexes.map(({ indexdef }) => indexdef).filter((one) => !one?.includes('pkey'))).toEqual([
    'CREATE UNIQUE INDEX sums ON store."ORDERS" USING btree ("AMOUNT" DESC, store.twice("N"), "NOTE") INCLUDE ("AT") WHERE ("N" > 1)',
  ]);
  expect(told(running)).toMatch(
    /index shop\.paid\) and is not repeated on the target: it needs column "pay", which is left out/,
  );
  await follow(source, target, options);
  await source.session.query('ALTER TABLE shop.orders ADD COLUMN "AMOUNT" int');
  await stopsFor(pair, /columns "amount" and "AMOUNT" would both be "AMOUNT"/);
  await source.session.query(
    "ALTER TABLE shop.others ADD COLUMN g text GENERATED ALWAYS AS (secret || '') STORED",
  );
  await stopsFor(pair, /column "G" is computed from column "secret", which is left out/);
});

const REFUSED = [
  ['ALTER TABLE r ADD COLUMN n float8 DEFAULT random()', /may give each row a value of its own/],
  ['ALTER TABLE r ADD COLUMN n bigserial', /may give each row a value of its own/],
  ['ALTER TABLE r ADD COLUMN n int GENERATED ALWAYS AS IDENTITY', /identity column/],
  ['ALTER TABLE r ALTER COLUMN w TYPE text', /no wider type of the same kind/],
  ['ALTER TABLE r ALTER COLUMN w TYPE bigint USING w * 2', /whether that changed its values is not known/],
  [
    "CREATE TYPE mood AS ENUM ('x'); ALTER TABLE r ADD COLUMN n mood",
    /the target refuses it: type "public\.mood" does not exist/,
  ],
  ['DROP VIEW f; ALTER TABLE r DROP COLUMN v', /the target refuses it: cannot drop column/],
  ['ALTER TABLE r DROP COLUMN v, ADD COLUMN v int', /another one than before/],
] as const;

it('what is not safe leaves its table stopped with the reason, and the others go on', async () => {
  const tables = REFUSED.map(
    (_, at) => `CREATE TABLE r${at} (id int PRIMARY KEY, v text, w int); INSERT INTO r${at} VALUES (1)`,
  );
  await using pair = await freshPair(
    17,
    18,
    `${TABLES}; ${tables.join('; ')}; CREATE VIEW f AS SELECT v FROM r6`,
  );
  const { source, target } = pair;
  await follow(source, target, { ddl: 'apply' });
  for (const [at, [command]] of REFUSED.entries())
    await source.session.query(command.replace('TABLE r', `TABLE r${at}`));
  await source.session.query('INSERT INTO b VALUES (1)');
  for (const [, reason] of REFUSED) await stopsFor(pair, reason);
  await until(async () => (await target.session.query('SELECT FROM b')).length === 1);
  const found = (await stopped(pair)).map(({ table, code, choice }) => ({ table: table.name, code, choice }));
  expect(found).toEqual(REFUSED.map((_, at) => ({ table: `r${at}`, code: 'DDL_NOT_APPLIED', choice: null })));
});

it('a table in use is waited for in moments, nobody behind us, while the others go on', async () => {
  await using pair = await freshPair(17, 15, TABLES);
  const { source, target } = pair;
  const running = await follow(source, target, { ddl: 'apply' });
  await using reader = await target.open();
  await reader.query('BEGIN; SELECT FROM public.a');
  await source.session.query('ALTER TABLE a ADD COLUMN n int; UPDATE a SET n = 1; INSERT INTO b VALUES (1)');
  await until(async () => (await target.session.query('SELECT FROM b')).length === 1);
  for (let turn = 0; turn < 5; turn++) {
    const started = performance.now();
    await target.session.query('SELECT FROM public.a');
    expect(performance.now() - started).toBeLessThan(600);
  }
  await reader.query('COMMIT');
  await running.catchUp();
  await expectSame(pair);
});

const PARTS = `${TABLES}; CREATE TABLE p (id int, d int, PRIMARY KEY (id, d)) PARTITION BY RANGE (d);
  CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10); CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20);
  INSERT INTO p SELECT i, i FROM generate_series(0, 19) i`;

it('a partitioned table is changed at its top', async () => {
  await using pair = await freshPair(17, 15, PARTS);
  const { source, target } = pair;
  const running = await follow(source, target, { ddl: 'apply' });
  await source.session.query('ALTER TABLE p ADD COLUMN n int DEFAULT 8');
  await source.session.query('INSERT INTO p VALUES (30, 5, 1), (31, 15, 2)');
  await source.session.query('ALTER TABLE p RENAME COLUMN n TO m');
  await source.session.query('UPDATE p SET m = 9 WHERE d < 12');
  await running.catchUp();
  await expectSame(pair, 'p', 'p1', 'p2');
});

describe('tables of the user', () => {
  const into: RunOptions = { types: ['full', 'incremental'], ddl: 'apply' };

  it('are changed under their name, and keep what only they have', async () => {
    await using pair = await freshPair(17, 15, TABLES);
    const { source, target } = pair;
    await target.session.query(
      'CREATE SCHEMA s; CREATE TABLE s."A b" (id bigint PRIMARY KEY, v text, w int, own int DEFAULT 1); CREATE TABLE b (id int)',
    );
    const rename = { 'public.a': 's."A b"' };
    const running = await follow(source, target, { ...into, rename });
    await source.session.query('ALTER TABLE a ADD COLUMN n int DEFAULT 2; UPDATE a SET n = 3 WHERE id = 4');
    await source.session.query(
      'ALTER TABLE a RENAME COLUMN v TO x; INSERT INTO a (id, w, x) VALUES (50, 1, $$y$$)',
    );
    await source.session.query('ALTER TABLE a RENAME COLUMN c TO d; UPDATE a SET d = $$e$$');
    await source.session.query(
      'CREATE INDEX "a N" ON a (n) WHERE n > 1; DROP INDEX "a N"; CREATE INDEX a_x ON a (lower(x))',
    );
    await running.catchUp();
    expect(
      await target.session.query('SELECT id, x, n, own FROM s."A b" WHERE id IN (4, 5, 50) ORDER BY id'),
    ).toEqual([
      { id: '4', x: 'v4', n: '3', own: '1' },
      { id: '5', x: 'v5', n: '2', own: '1' },
      { id: '50', x: 'y', n: '2', own: '1' },
    ]);
    const indexes = await target.session.query(
      "SELECT indexdef FROM pg_indexes WHERE schemaname = 's' ORDER BY 1",
    );
    expect(indexes.map(({ indexdef }) => indexdef)).toEqual([
      'CREATE INDEX a_x ON s."A b" USING btree (lower(x))',
      expect.stringContaining('pkey'),
    ]);
  });

  it('that several tables go into are refused', async () => {
    await using pair = await freshPair(
      17,
      15,
      'CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY); INSERT INTO a VALUES (1); INSERT INTO b VALUES (2)',
    );
    await pair.target.session.query('CREATE TABLE c (id int PRIMARY KEY)');
    await follow(pair.source, pair.target, {
      ...into,
      rename: { 'public.a': 'public.c', 'public.b': 'public.c' },
    });
    await pair.source.session.query('ALTER TABLE a ADD COLUMN n int; INSERT INTO a VALUES (3, 4)');
    await stopsFor(pair, /several tables of the source go into public\.c/);
  });
});

it('indexes are repeated beside the stream, and what cannot be is told', async () => {
  await using pair = await freshPair(18, 17, `${TABLES}; CREATE INDEX old ON a (w)`);
  const { source, target } = pair;
  const running = await follow(source, target, { ddl: 'apply' });
  await target.session.query('CREATE INDEX theirs ON a (p); CREATE TABLE "a x" (i int)');
  await source.session.query('CREATE UNIQUE INDEX "a V" ON a (v DESC) INCLUDE (w)');
  await source.session.query('CREATE INDEX CONCURRENTLY a_n ON a (w) WHERE w > 3');
  await source.session.query('DROP INDEX old');
  await source.session.query('CREATE INDEX theirs ON a (t); DROP INDEX theirs; CREATE INDEX "a x" ON a (c)');
  await source.session.query("UPDATE a SET v = 'u' || id");
  await running.catchUp();
  const indexes = async (db: TestDatabase) =>
    (await db.session.query("SELECT indexdef FROM pg_indexes WHERE tablename = 'a' ORDER BY 1")).map(
      ({ indexdef }) => indexdef,
    );
  const there = await indexes(target);
  expect(there.filter((one) => !one?.includes('theirs'))).toEqual(
    (await indexes(source)).filter((one) => !one?.includes('"a x"')),
  );
  expect(there).toContainEqual(expect.stringContaining('theirs ON public.a USING btree (p)'));
  expect(told(running)).toMatch(
    /CREATE INDEX was run on the source \(index public\."a x"\) and is not repeated on the target/,
  );
  // What was made is known to the next run.
  await target.session.query('DROP TABLE "a x"');
  await migrate(source, target, { ddl: 'apply' });
  await expectSame(pair);
});
