/** Conditions of the user's as the source judges them, and what it then says of rows. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshDatabase, type TestDatabase } from '../../../test/database.ts';
import { byteText } from '../change/change.ts';
import { readTables, type TableInfo } from '../pg/catalog/tables/tables.ts';
import { ident } from '../pg/ident.ts';
import { tableWishes } from '../selection/table-wishes.ts';
import { FilterVerdicts } from './filter-verdicts.ts';
import { needsWholeRow, readFilters, usableFilters, type RowFilter } from './row-filter.ts';

const SCHEMA = `
  CREATE SCHEMA sales;
  CREATE DOMAIN sales.code AS varchar(10) CHECK (VALUE <> 'never');
  CREATE TYPE sales.mood AS ENUM ('low', 'high');
  CREATE TYPE sales.place AS (x int, y text);
  CREATE FUNCTION sales.is_eu(text) RETURNS bool LANGUAGE sql IMMUTABLE AS $$ SELECT $1 IN ('DE', 'FR') $$;
  CREATE FUNCTION sales.unsure(text) RETURNS bool LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN $1 = 'DE'; END $$;
  CREATE TABLE sales.other (id int);
  CREATE TABLE sales.orders (
    id bigint PRIMARY KEY, region text, plain text COLLATE "en-x-icu", amount numeric(8,2), price float8, at timestamptz, day date, note varchar(20),
    padded char(6), j jsonb, tags text[], mood sales.mood, code sales.code, place sales.place, raw bytea, bits bit(5), span int4range,
    kind "char", "r" text, "Odd ""name""" int)`;

async function filterOf(db: TestDatabase, filter: string): Promise<RowFilter> {
  await using source = await db.open();
  const tables = await orders(db);
  const filters = await usableFilters(source, tables, wishes(tables, filter));
  return filters.get(tables[0]!.oid)!;
}

async function orders(db: TestDatabase): Promise<TableInfo[]> {
  return (await readTables(db.session)).filter(({ name }) => name === 'orders');
}

function wishes(tables: readonly TableInfo[], filter: string) {
  return tableWishes(tables, { operations: ['insert'], rules: [{ tables: 'orders', filter }] });
}

describe.each([12, 15, 18] as const)('a row filter (source %i)', (major) => {
  let db: TestDatabase;
  beforeAll(async () => {
    db = await freshDatabase(major);
    await db.session.query(SCHEMA);
  });
  afterAll(() => db[Symbol.asyncDispose]());

  it.each([
    ["regio = 'EU'", 'column "regio" does not exist'],
    ['region = ', 'syntax error at end of input'],
    ["region == 'EU'", 'operator does not exist'],
    ['region', 'must be type boolean, not type text'],
    ['id IN (SELECT id FROM sales.other)', 'cannot use subquery'],
    ['EXISTS (SELECT)', 'cannot use subquery'],
    ['random() < 0.5', 'must be marked IMMUTABLE'],
    ['at > pg_catalog.now()', 'must be marked IMMUTABLE'],
    ["at::date > '2024-01-01'", 'must be marked IMMUTABLE'],
    ['sales.unsure(region)', 'must be marked IMMUTABLE'],
    ['is_eu(region)', 'function is_eu(text) does not exist'],
    ['count(*) > 1', 'aggregate functions are not allowed'],
    ['rank() OVER () = 1', 'window functions are not allowed'],
    ['generate_series(1, 2) = 1', 'set-returning functions are not allowed'],
    ['other.id = 1', 'missing FROM-clause entry'],
    ["ctid > '(0,1)'", 'system columns'],
    ['orders IS NOT NULL AND id > 1', 'missing FROM-clause entry'],
    ['1 = 1', 'reads no column'],
    ['region = $1', 'there is no parameter $1'],
    ["region = 'EU') OR (region = 'US'", 'syntax error at or near ")"'],
    ["region = 'EU'; DROP TABLE sales.other", 'cannot insert multiple commands'],
    ["region = 'EU' ORDER BY 1", 'syntax error at or near "ORDER"'],
    ["region = 'EU' UNION SELECT 'x'", 'syntax error at or near "UNION"'],
  ])('is refused as %s, in the words of the server', async (filter, problem) => {
    await using source = await db.open();
    const tables = await orders(db);
    const { filters, problems } = await readFilters(source, tables, wishes(tables, filter));
    expect([...filters]).toEqual([]);
    expect(problems).toEqual([expect.objectContaining({ problem: expect.stringContaining(problem) })]);
    // The session is as it was, and nothing is left behind.
    expect(await source.query("SELECT relname FROM pg_class WHERE relname = 'opendts_filter'")).toEqual([]);
    expect(await source.query("SELECT relname FROM pg_class WHERE relname = 'other'")).toHaveLength(1);
  });

  it('says what is missing where the account may not make temporary tables', async () => {
    const role = `r_${db.name}`;
    await db.session.query(
      `REVOKE TEMPORARY ON DATABASE ${ident(db.name)} FROM PUBLIC; CREATE ROLE ${role}; GRANT USAGE ON SCHEMA sales TO ${role};
       GRANT SELECT ON sales.orders TO ${role}`,
    );
    await using source = await db.open();
    await source.query(`SET ROLE ${role}`);
    const tables = await orders(db);
    const { problems } = await readFilters(source, tables, wishes(tables, 'id > 1'));
    expect(problems).toEqual([
      expect.objectContaining({ fix: expect.stringContaining('GRANT TEMPORARY ON DATABASE') }),
    ]);
    await db.session.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  });

  it('becomes one expression of bare columns, and knows which it reads', async () => {
    const filter = await filterOf(db, "orders.region = 'EU' OR\n sales.is_eu(plain) -- the union");
    expect(filter.condition).toBe("((region = 'EU'::text) OR sales.is_eu(plain))");
    expect(filter.columns.map(({ name, collation }) => [name, collation])).toEqual([
      ['region', 'pg_catalog."default"'],
      ['plain', 'pg_catalog."en-x-icu"'],
    ]);
    expect(filter.mayToast).toBe(true);
  });

  // Whatever the condition: the verdict on values that travel alone is the verdict on the row in its table.
  it.each([
    "region = 'EU'",
    "region <> 'EU'",
    "region < 'b'",
    "plain < 'b'",
    "region LIKE 'E%' OR note ILIKE '%ß'",
    'amount >= 1.50 AND amount * 2 < 1000',
    "price > '-Infinity' AND price <> 'NaN'",
    "at >= '2024-03-31 01:30:00+01' AND day < '2024-06-01'",
    "padded = 'ab' AND length(padded) = 2",
    "j ->> 'k' = 'v\"\\' OR j @> '{\"deep\": [1]}'",
    "'b' = ANY (tags) AND tags[2] IS NOT NULL",
    "mood > 'low'",
    "code = 'x' OR code IS NULL",
    "(place).y = 'a,\"b'",
    "raw = '\\xdeadbeef'::bytea OR bits = B'10101'",
    'span && int4range(3, 5)',
    `kind = 'q' AND "r" = 'é' AND "Odd ""name""" > 0`,
    'sales.is_eu(region)',
    'id % 2 = 0 AND region IS NOT NULL',
  ])('passes the same rows as a query does: %s', async (text) => {
    await db.session.query(`TRUNCATE sales.orders;
      INSERT INTO sales.orders VALUES
        (1, 'EU', 'a', 1.5, 'NaN', '2024-03-31 00:30:00+00', '2024-05-31', 'Maß', 'ab', '{"k":"v\\"\\\\"}', '{a,b}', 'high', 'x',
         ROW(1, 'a,"b'), '\\xdeadbeef', B'10101', '[1,4)', 'q', 'é', 1),
        (2, 'DE', 'B', 499.99, '-Infinity', '2024-03-31 00:29:59.999999+00', '2024-06-01', '', 'ab    ', '{"deep":[1,2]}', '{b,NULL}',
         'low', 'y', ROW(NULL, ''), '\\x', B'00000', 'empty', 'p', '', -1),
        (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
        (4, '', 'é', -0.01, 0, 'infinity', 'infinity', 'E', 'a', 'null', '{}', 'high', NULL, ROW(2, 'a'), '\\x00', B'11111', '[4,9)', 'q', 'e', 0),
        (6, E'E\\nU\\t\\\\"', 'Z', 500, 1e300, '0044-03-15 BC', '0044-03-15 BC', 'xß', 'b', '[]', '[0:1]={b,c}', NULL, 'x', NULL, NULL, NULL,
         NULL, 'q', 'é', 7)`);
    const filter = await filterOf(db, text);
    const names = filter.columns.map(({ name }) => `${ident(name)}::text AS ${ident(name)}`).join(', ');
    const rows = await db.session.query(
      `SELECT ${names}, (${text}) IS TRUE AS "opendts passes" FROM sales.orders ORDER BY id`,
    );
    const questions = rows.map((row) => ({
      filter,
      cells: filter.columns.map(({ name }) => (row[name] == null ? null : byteText(row[name]))),
    }));
    await using verdicts = new FilterVerdicts(await db.open());
    await verdicts.learn(questions, new AbortController().signal);
    expect(questions.map((question) => verdicts.passes(question))).toEqual(
      rows.map((row) => row['opendts passes'] === 't'),
    );
    expect(new Set(rows.map((row) => row['opendts passes'])).size).toBe(2);
  });
});

describe('the whole old row', () => {
  it.each([
    ['id int PRIMARY KEY, n int', 'id > 5', false],
    ['id int PRIMARY KEY, n int', 'n > 5', true],
    ['id int PRIMARY KEY, t text', 'id > 5', true],
    ['id int, n int, PRIMARY KEY (id, n)', 'id > n', false],
  ])('of (%s) filtered by %s must be known: %s', async (columns, filter, expected) => {
    await using db = await freshDatabase(15);
    await db.session.query(`CREATE TABLE orders (${columns})`);
    const [table] = await orders(db);
    const found = await filterOf(db, filter);
    expect(needsWholeRow(table!, found, new Set(['update']))).toBe(expected);
    expect(needsWholeRow(table!, found, new Set(['insert', 'delete']))).toBe(false);
  });
});
