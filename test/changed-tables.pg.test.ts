/** Other types of columns and other primary keys on the target (B10): made, filled, followed, compared. */
import { describe, expect, it } from 'vitest';
import { EXIT } from '../src/base/errors/exit.ts';
import { freshPair, type TestDatabase } from './database.ts';
import { follow } from './follow.ts';
import { compare, migrate, type RunOptions } from './migration.ts';
import { cliHome } from './spawn-cli.ts';

const rows = (db: TestDatabase, sql: string) => db.session.query(sql);
const value = async (db: TestDatabase, sql: string) => (await db.session.one(`SELECT (${sql})::text AS v`)).v;

const SOURCE = `
  CREATE SCHEMA shop;
  CREATE TYPE shop.mood AS ENUM ('calm', 'cross');
  CREATE TABLE shop.customers (
    id serial PRIMARY KEY, tenant smallint, code varchar(10) NOT NULL UNIQUE, name varchar(20) COLLATE "C" CHECK (name <> ''),
    at timestamp, state shop.mood DEFAULT 'calm', amount numeric(8,2) CHECK (amount >= 0), mood varchar(9));
  CREATE INDEX customers_name ON shop.customers (lower(name)) WHERE name <> 'nobody';
  CREATE TABLE shop.orders (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int NOT NULL REFERENCES shop.customers, total int,
    twice int GENERATED ALWAYS AS (total * 2) STORED, note varchar(30));
  CREATE TABLE shop.goods (id int PRIMARY KEY, sku text NOT NULL, CONSTRAINT goods_sku UNIQUE (sku) INCLUDE (id));
  CREATE TABLE shop.lines (good int REFERENCES shop.goods, n int);
  CREATE TABLE shop.log (what varchar(9), n numeric(6,3), at timestamp, w real);
  CREATE TABLE shop.events (id int, day date NOT NULL, what text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
  CREATE TABLE shop.events_1 PARTITION OF shop.events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
  CREATE TABLE shop.events_2 PARTITION OF shop.events DEFAULT;
  CREATE VIEW shop.names AS SELECT id, name || '!' AS name FROM shop.customers WHERE name <> 'nobody';
  INSERT INTO shop.customers (tenant, code, name, at, amount, mood)
    SELECT i % 3, 'c' || i, 'n' || i, timestamp '2024-05-01' + i * interval '1 hour', i / 8.0, CASE WHEN i % 2 = 0 THEN 'calm' END FROM generate_series(1, 40) i;
  INSERT INTO shop.orders (customer, total, note) SELECT 1 + i % 40, i, 'n' || i FROM generate_series(1, 3000) i;
  INSERT INTO shop.goods SELECT i, 'sku ' || i FROM generate_series(1, 20) i;
  INSERT INTO shop.lines SELECT 1 + i % 20, i FROM generate_series(1, 50) i;
  INSERT INTO shop.log SELECT 'w' || i % 5, i / 8.0, timestamp '2024-05-01', i / 3.0 FROM generate_series(1, 30) i;
  INSERT INTO shop.events SELECT i, date '2024-06-01' + i, 'w' || i FROM generate_series(1, 400) i;`;

const CHANGES = `
  INSERT INTO shop.customers (tenant, code, name, at, state, amount) VALUES (1, 'new', 'new', 'infinity', 'cross', 7.5);
  UPDATE shop.customers SET code = 'x' || id, amount = amount + 0.05, state = 'cross' WHERE id % 4 = 0;
  UPDATE shop.customers SET id = id + 1000, tenant = 9 WHERE id = 41;
  UPDATE shop.orders SET total = total + 1, note = NULL WHERE id % 10 = 0;
  DELETE FROM shop.orders WHERE id % 10 = 1;
  INSERT INTO shop.orders (customer, total) VALUES (1041, 5);
  UPDATE shop.goods SET sku = sku || '!' WHERE id < 5;
  DELETE FROM shop.lines WHERE good = 20; DELETE FROM shop.goods WHERE id = 20;
  UPDATE shop.log SET what = 'more', n = n + 0.001 WHERE n > 3; DELETE FROM shop.log WHERE what = 'w1';
  INSERT INTO shop.log VALUES ('last', 1.2345, 'epoch', 0.1);
  UPDATE shop.events SET day = day + 400 WHERE id < 20;
  DELETE FROM shop.events WHERE id > 390;`;
const DDL = 'ALTER TABLE shop.customers ADD COLUMN more int; UPDATE shop.customers SET more = 1 WHERE id < 3';

const columnTypes = {
  'shop.customers.id': 'bigint',
  'shop.customers.name': 'text',
  'shop.customers.at': 'timestamptz',
  'shop.customers.state': 'varchar(12)',
  'shop.customers.amount': 'numeric(20,4)',
  'shop.customers.mood': 'shop.mood',
  'shop.orders.id': 'int8',
  'shop.orders.twice': 'numeric(12,1)',
  'shop.orders.note': 'char(12)',
  'shop.goods.sku': 'varchar(40)',
  'shop.log.n': 'numeric(9,2)',
  'shop.log.what': 'text',
  'shop.log.at': 'timestamptz',
  'shop.log.w': 'float8',
  'shop.events.id': 'bigint',
};
const primaryKeys = { 'shop.customers': 'tenant,id', goods: 'sku', 'shop.events': 'day,id' };
const rename = { 'shop.goods': 'sales.things', 'shop.goods.sku': 'article' };
const OPTIONS = [
  ...Object.entries(columnTypes).flatMap(([column, type]) => ['--column-type', `${column}=${type}`]),
  ...Object.entries(primaryKeys).flatMap(([table, columns]) => ['--primary-key', `${table}=${columns}`]),
];

const keysOf = (db: TestDatabase) =>
  rows(
    db,
    `SELECT conrelid::regclass::text AS table, conname AS name, pg_get_constraintdef(oid) AS definition FROM pg_constraint
      WHERE contype IN ('p', 'u') AND conparentid = 0 AND connamespace::regnamespace::text IN ('shop', 'sales') ORDER BY conrelid::regclass::text NOT LIKE '%.goods', 1, 2`,
  );
const key = (table: string, name: string, definition: string) => ({
  table,
  name,
  definition,
});

describe.each([
  [12, 18, {}],
  [18, 15, rename],
] as const)('tables with other types and keys, from %i to %i', (from, to, renamed) => {
  it('are made so, filled, followed and compared', async () => {
    await using pair = await freshPair(from, to);
    const { source, target } = pair;
    await rows(source, SOURCE);
    const options: RunOptions = {
      columnTypes,
      primaryKeys,
      rename: renamed,
      ddl: 'apply',
      chunkBytes: 16_384n,
    };
    const following = await follow(source, target, options);
    await rows(source, CHANGES);
    const isRenamed = 'shop.goods' in renamed;
    if (!isRenamed) await rows(source, DDL);
    const summary = await following.catchUp();
    expect(summary.notMigrated).toEqual([]);
    const { differing, verdicts } = await compare(source, target, [], options);
    expect(differing).toEqual([]);
    expect(verdicts).toHaveLength(7);
    const [goods, sku] = isRenamed ? ['sales.things', 'article'] : ['shop.goods', 'sku'];
    expect(await keysOf(target)).toEqual([
      key(goods, 'goods_pkey', 'UNIQUE (id)'),
      key(goods, 'goods_sku', `PRIMARY KEY (${sku}) INCLUDE (id)`),
      key('shop.customers', 'customers_code_key', 'UNIQUE (code)'),
      key('shop.customers', 'customers_pkey', 'UNIQUE (id)'),
      key('shop.customers', 'customers_pkey1', 'PRIMARY KEY (tenant, id)'),
      key('shop.events', 'events_pkey', 'UNIQUE (id, day)'),
      key('shop.events', 'events_pkey1', 'PRIMARY KEY (day, id)'),
      key('shop.orders', 'orders_pkey', 'PRIMARY KEY (id)'),
    ]);
    const typed = `SELECT string_agg(format_type(atttypid, atttypmod), ', ' ORDER BY attnum) FROM pg_attribute WHERE attnum > 0 AND attrelid = 'shop.customers'::regclass`;
    expect(await value(target, typed)).toBe(
      'bigint, smallint, character varying(10), text, timestamp with time zone, character varying(12), numeric(20,4), shop.mood' +
        (isRenamed ? '' : ', integer'),
    );
    const large = 5_000_000_000n;
    await rows(
      target,
      `SELECT setval('shop.customers_id_seq', ${large}), setval('shop.orders_id_seq', ${large})`,
    );
    expect(
      await rows(
        target,
        `INSERT INTO shop.customers (tenant, code) VALUES (1, 'late') RETURNING id::text AS id, state`,
      ),
    ).toEqual([{ id: String(large + 1n), state: 'calm' }]);
    // The source's replica identity is what it was: the former key is enough to find rows.
    expect(
      await value(source, `SELECT relreplident FROM pg_class WHERE oid = 'shop.customers'::regclass`),
    ).toBe('d');
    await rows(target, `DELETE FROM shop.customers WHERE code = 'late'`);
    await rows(
      source,
      'ALTER TABLE shop.log REPLICA IDENTITY DEFAULT; ALTER TABLE shop.lines REPLICA IDENTITY DEFAULT',
    );
    using home = cliHome();
    const said = [
      ...OPTIONS,
      ...Object.entries(renamed).flatMap(([name, wanted]) => ['--rename', `${name}=${wanted}`]),
    ];
    const ends = ['--source', source.uri, '--target', target.uri];
    const diff = await home.run(['schema', 'diff', ...ends, ...said]);
    expect(diff.stdout).toMatch(/^no difference in \d+ steps$/m);
    const verified = await home.run(['verify', ...ends, ...said]);
    expect(verified.stdout).toMatch(/^identical: 7 tables/m);
    // Not by accident: without the options they differ.
    const plain = await home.run(['schema', 'diff', ...ends]);
    expect(plain.stdout).toMatch(/^table shop\.customers: differs$/m);
  });
});

describe('types and keys', () => {
  it('are refused before anything is made where they cannot be', async () => {
    await using pair = await freshPair(17, 17);
    const { source, target } = pair;
    await rows(
      source,
      `CREATE TABLE i (id int GENERATED ALWAYS AS IDENTITY); CREATE TABLE a (x int); CREATE TABLE b () INHERITS (a);
       CREATE TABLE p (id int, day date) PARTITION BY RANGE (day)`,
    );
    const failing = (options: RunOptions) =>
      migrate(source, target, { types: ['schema'], ...options }).then(
        () => expect.unreachable('it should have failed'),
        (thrown: Error) => thrown.message,
      );
    const typed = (column: string, type: string) => failing({ columnTypes: { [`public.${column}`]: type } });
    expect(await typed('p.id', 'public.none')).toMatch(
      /does not have 1 type .*"public"\."none" \(type "public\.none" does not exist/,
    );
    expect(await typed('p.id', 'text(3)')).toMatch(/text\(3\) \(type modifier is not allowed/);
    expect(await typed('p.id', 'int, evil text')).toMatch(/"int, evil text" is not the name of a type/);
    expect(await typed('i.id', 'text')).toMatch(
      /"id" of public\.i is an identity column, which cannot be text/,
    );
    expect(await typed('a.x', 'text')).toMatch(/Column "x" of public\.b comes from public\.a/);
    const keyed = (table: string, columns: string) => failing({ primaryKeys: { [table]: columns } });
    expect(await keyed('p', 'id')).toMatch(/public\.p is partitioned by "day"/);
    expect(await keyed('a', 'x')).toMatch(/"x" of public\.a may be null, also in public\.b/);
    using home = cliHome();
    const ends = ['--source', source.uri, '--target', target.uri];
    const usage = await home.run(['schema', 'plan', ...ends, '--column-type', 'public.p.id=int, evil text']);
    expect(usage).toMatchObject({
      code: EXIT.usage,
      stderr: expect.stringContaining('is not the name of a type'),
    });
  });

  it('stop the table of a value that they do not take, and nothing else; verification says so', async () => {
    await using pair = await freshPair(15, 15);
    const { source, target } = pair;
    await rows(
      source,
      `CREATE TABLE a (id int PRIMARY KEY, v text); INSERT INTO a VALUES (1, 'fits'), (2, 'too long');
       CREATE TABLE b (id int PRIMARY KEY, v text); INSERT INTO b VALUES (1, '5')`,
    );
    const types = { 'public.a.v': 'varchar(4)', 'public.b.v': 'int' };
    const failed = await migrate(source, target, { types: ['schema', 'full'], columnTypes: types }).catch(
      (thrown: unknown) => thrown,
    );
    expect(failed).toMatchObject({ message: expect.stringMatching(/public\.a.*\(id\) = \(2\)/s) });
    await rows(source, `UPDATE b SET v = 'none'`);
    await rows(target, `INSERT INTO a VALUES (1, 'fits'), (2, 'too ')`);
    const { verdicts } = await compare(source, target, [], { columnTypes: types });
    expect(verdicts).toEqual([
      expect.objectContaining({ table: 'public.a', verdict: 'different', reason: 'the rows differ' }),
      expect.objectContaining({
        table: 'public.b',
        verdict: 'different',
        reason: 'the source has values that the types of the target do not take',
      }),
    ]);
  });
});
