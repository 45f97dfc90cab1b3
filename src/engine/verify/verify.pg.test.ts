import { describe, expect, it } from 'vitest';
import { freshDatabase, type TestDatabase } from '../../../test/database.ts';
import { connect } from '../pg/connect.ts';
import { readTables, type TableInfo } from '../pg/catalog/tables/tables.ts';
import { qname } from '../pg/ident.ts';
import { readDigest, type FloatForm } from './digest.ts';
import { verifyTables, type TablePair, type TableVerdict, type VerifyOptions } from './verify.ts';

/** All tables of the source with the target's table of the same name. */
async function pairTables(source: TestDatabase, target: TestDatabase): Promise<TablePair[]> {
  const found = new Map((await readTables(target.session)).map((table) => [qname(table), table]));
  return (await readTables(source.session)).map((table) => ({
    source: table,
    target: found.get(qname(table)) ?? null,
  }));
}

async function compare(
  source: TestDatabase,
  target: TestDatabase,
  options: Partial<VerifyOptions> & { readonly pairs?: readonly TablePair[] } = {},
): Promise<TableVerdict[]> {
  return verifyTables(options.pairs ?? (await pairTables(source, target)), {
    openSource: () => source.open({ role: 'verify' }),
    openTarget: () => target.open({ role: 'verify' }),
    jobs: 2,
    signal: new AbortController().signal,
    onVerdict() {},
    ...options,
  });
}

async function both(sourceSql: string, targetSql: string, majors: readonly [12 | 18, 12 | 18] = [18, 18]) {
  await using source = await freshDatabase(majors[0]);
  await using target = await freshDatabase(majors[1]);
  await source.session.query(sourceSql);
  await target.session.query(targetSql);
  return await compare(source, target);
}

const table = (name: string, columns: string, rows: string) =>
  `CREATE TABLE ${name} (${columns}); INSERT INTO ${name} VALUES ${rows};`;

describe('a difference in one table', () => {
  const cases: [what: string, columns: string, here: string, there: string][] = [
    ['one changed value', 'a int, b text', "(1, 'x'), (2, 'y')", "(1, 'x'), (2, 'z')"],
    ['a missing row', 'a int', '(1), (2)', '(1)'],
    ['3 + 2 duplicates instead of 2 + 3', 'a int', '(1), (1), (1), (2), (2)', '(1), (1), (2), (2), (2)'],
    ['NULL and the empty text', 'a text', '(NULL)', "('')"],
    ['NULL and the empty text next to another column', 'a text, b text', "(NULL, '')", "('', NULL)"],
    ['the word NULL', 'a text', '(NULL)', "('NULL')"],
    ['a shifted column boundary', 'a text, b text', "('a', 'b,c')", "('a,b', 'c')"],
    ['a quote at a boundary', 'a text, b text', `('a","b', '')`, `('a', 'b')`],
    ['two values exchanged between rows', 'a int, b int', '(1, 2), (3, 4)', '(1, 4), (3, 2)'],
    ['the scale of a numeric', 'a numeric', '(1.0)', '(1.00)'],
    ['the sign of a zero', 'a float8', "('0')", "('-0')"],
    ['the last bit of a double', 'a float8', "('0.1')", "('0.10000000000000002')"],
    ['the last bit of a real', 'a float4', "('0.1')", "('0.10000001')"],
    ['a jsonb key', 'a jsonb', `('{"a": 1}')`, `('{"b": 1}')`],
    ['the spelling of a json', 'a json', `('{"a":1}')`, `('{"a": 1}')`],
    ['the lower bound of an array', 'a int[]', "('{1,2}')", "('[0:1]={1,2}')"],
    ['an array of one NULL and an empty array', 'a text[]', "('{NULL}')", "('{}')"],
    ['an infinite date', 'a date', "('infinity')", "('-infinity')"],
    ['a byte', 'a bytea', String.raw`('\x00ff')`, String.raw`('\x01ff')`],
    ['trailing spaces of a varchar', 'a varchar(9)', "('a')", "('a ')"],
    ['a byte of a "char"', 'a "char"', '((-56)::"char")', '((-57)::"char")'],
    ['a microsecond', 'a timestamptz', "('2024-01-01 00:00:00.000001Z')", "('2024-01-01 00:00:00Z')"],
  ];
  it('is seen whatever it is', async () => {
    const tables = (rows: (entry: (typeof cases)[number]) => string) =>
      cases.map((entry, i) => table(`t${100 + i}`, entry[1], rows(entry))).join(' ');
    const verdicts = await both(
      tables((entry) => entry[2]),
      tables((entry) => entry[3]),
    );
    expect(verdicts.map(({ verdict }, i) => [cases[i]?.[0], verdict])).toEqual(
      cases.map(([what]) => [what, 'different']),
    );
  });

  it('is seen inside a composite, and told without a value', async () => {
    const type = 'CREATE TYPE pair AS (a text, b text);';
    const verdicts = await both(
      type + table('t', 'p pair', "(ROW('secret', NULL))"),
      type + table('t', 'p pair', "(ROW('secret', ''))"),
    );
    expect(verdicts).toEqual([
      { table: 'public.t', verdict: 'different', sourceRows: 1n, targetRows: 1n, reason: 'the rows differ' },
    ]);
  });

  it('is seen in a generated column', async () => {
    const [verdict] = await both(
      table('t', 'a int, b int GENERATED ALWAYS AS (2) STORED', '(1)'),
      table('t', 'a int, b int GENERATED ALWAYS AS (3) STORED', '(1)'),
    );
    expect(verdict?.verdict).toBe('different');
  });
});

describe('equal contents', () => {
  it('are identical whatever the order of rows and of columns', async () => {
    const [verdict] = await both(
      table('t', 'a int, b text, "T ""x" date', "(1, 'x', '2024-01-01'), (2, NULL, NULL), (2, NULL, NULL)"),
      table('t', 'b text, "T ""x" date, a int', "(NULL, NULL, 2), ('x', '2024-01-01', 1), (NULL, NULL, 2)"),
    );
    expect(verdict).toEqual({
      table: 'public.t',
      verdict: 'identical',
      sourceRows: 3n,
      targetRows: 3n,
      reason: null,
    });
  });

  it('are identical without rows and without columns', async () => {
    const sql = 'CREATE TABLE empty (a int); CREATE TABLE bare (); INSERT INTO bare DEFAULT VALUES';
    expect((await both(sql, sql)).map((one) => [one.verdict, one.sourceRows])).toEqual([
      ['identical', 1n],
      ['identical', 0n],
    ]);
  });

  it('are identical when one database is LATIN1 and the other UTF8', async () => {
    await using utf8 = await freshDatabase(18);
    const name = `${utf8.name}_latin1`;
    await utf8.session.query(`CREATE DATABASE ${name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0`);
    try {
      const open = () =>
        connect({ ...utf8.info, database: name }, { side: 'target', applicationName: 'test:verify' });
      await using latin1 = await open();
      const sql = "CREATE TABLE public.t (a text); INSERT INTO public.t VALUES ('Müller')";
      await latin1.query(sql);
      await utf8.session.query(sql);
      const [source] = await readTables(utf8.session);
      const [target = null] = await readTables(latin1);
      const options = { openSource: () => utf8.open(), openTarget: open, jobs: 1, onVerdict() {} };
      const signal = new AbortController().signal;
      const verdicts = await verifyTables([{ source: source!, target }], { ...options, signal });
      expect(verdicts.map((one) => one.verdict)).toEqual(['identical']);
    } finally {
      await utf8.session.query(`DROP DATABASE ${name}`);
    }
  });
});

describe('tables that do not correspond', () => {
  it('are named: missing table, missing column on either side, other type', async () => {
    const verdicts = await both(
      table('a', 'x int', '(1), (2)') +
        table('b', 'x int, y int', '(1, 1)') +
        table('c', 'x int', '(1)') +
        table('d', 'x int, v varchar(5)', "(1, 'a')"),
      table('b', 'x int', '(1)') +
        table('c', 'x int, z int', '(1, 1)') +
        table('d', 'x bigint, v varchar(9)', "(1, 'a')"),
    );
    expect(
      verdicts.map((one) => [one.table, one.verdict, one.sourceRows, one.targetRows, one.reason]),
    ).toEqual([
      ['public.a', 'missing', 2n, null, 'not on the target'],
      ['public.b', 'not-comparable', 1n, 1n, 'column "y" is missing on the target'],
      ['public.c', 'not-comparable', 1n, 1n, 'column "z" is missing on the source'],
      ['public.d', 'not-comparable', 1n, 1n, 'column "x" is integer on the source, bigint on the target'],
    ]);
  });
});

describe('partitioned tables', () => {
  const parted = (limits: readonly number[]) =>
    `CREATE TABLE p (a int) PARTITION BY RANGE (a);
     ${limits.map((limit, i) => `CREATE TABLE p${i} PARTITION OF p FOR VALUES FROM (${limits[i - 1] ?? 0}) TO (${limit});`).join('\n')}
     INSERT INTO p SELECT generate_series(0, 19);`;

  it('are compared by their partitions when these correspond', async () => {
    const verdicts = await both(parted([10, 20]), `${parted([10, 20])} UPDATE p SET a = 11 WHERE a = 12`);
    expect(verdicts.map((one) => [one.table, one.verdict])).toEqual([
      ['public.p0', 'identical'],
      ['public.p1', 'different'],
    ]);
  });

  it('are compared as a whole when the target has a plain table', async () => {
    const verdicts = await both(
      parted([10, 20]),
      'CREATE TABLE p (a int); INSERT INTO p SELECT generate_series(0, 19)',
    );
    expect(verdicts.map((one) => [one.table, one.verdict, one.sourceRows])).toEqual([
      ['public.p', 'identical', 20n],
    ]);
  });

  it('are compared as a whole when the target has one partition more, which could hide rows', async () => {
    const verdicts = await both(parted([10, 20]), `${parted([10, 20, 30])} INSERT INTO p VALUES (25)`);
    expect(verdicts.map((one) => [one.table, one.verdict, one.targetRows])).toEqual([
      ['public.p', 'different', 21n],
    ]);
  });

  it('an inheritance parent does not count the rows of its children', async () => {
    const sql = 'CREATE TABLE a (x int); CREATE TABLE b () INHERITS (a); INSERT INTO b VALUES (1)';
    const verdicts = await both(sql, sql);
    expect(verdicts.map((one) => [one.table, one.sourceRows])).toEqual([
      ['public.a', 0n],
      ['public.b', 1n],
    ]);
  });
});

/** Type → SQL that makes one random value of it; `i` is the number of the row. */
const RANDOM: Readonly<Record<string, string>> = {
  bool: 'random() < 0.5',
  int2: '(random() * 65535 - 32768)::int2',
  int4: '(random() * 4294967295 - 2147483648)::int8::int4',
  int8: "('x' || substr(md5(random()::text), 1, 16))::bit(64)::int8",
  numeric: '(random() * 10::float8 ^ (random() * 40 - 20)::int)::numeric * 1.000',
  'numeric(12,3)': '(random() * 100000)::numeric(12,3)',
  float4: '((random() - 0.5) * 10::float8 ^ (random() * 70 - 35)::int)::float4',
  float8: '(random() - 0.5) * 10::float8 ^ (random() * 600 - 300)::int',
  money: '(random() * 1000000)::numeric::money',
  text: "repeat(chr(32 + (random() * 9000)::int), (random() * 40)::int) || ',\"\\ '",
  'varchar(40)': 'substr(md5(random()::text), 1, (random() * 32)::int)',
  'char(12)': 'substr(md5(random()::text), 1, (random() * 12)::int)',
  '"char"': '(32 + (random() * 90)::int)::"char"',
  name: 'md5(random()::text)::name',
  bytea: "decode(md5(random()::text), 'hex')",
  date: "date '2000-01-01' + (random() * 900000 - 700000)::int",
  time: "time '00:00' + random() * interval '24 hours'",
  timetz: "(time '00:00' + random() * interval '24 hours') AT TIME ZONE interval '3 hours'",
  timestamp: "timestamp '2000-01-01' + (random() * 400000 - 200000) * interval '1 day'",
  timestamptz: "timestamptz '2000-01-01' + (random() * 400000 - 200000) * interval '1 day'",
  interval:
    'make_interval(months => (random() * 99 - 50)::int, days => (random() * 99 - 50)::int, secs => random() * 1e6 - 5e5)',
  uuid: 'md5(random()::text)::uuid',
  json: `('{"a" :  ' || random() || ', "b":[1,null]}')::json`,
  jsonb: `('{"a" :  ' || random() || ', "b":[1,null, "ü"]}')::jsonb`,
  xml: "('<a>' || random() || '</a>')::xml",
  inet: "('10.' || i || '.0.1/16')::inet",
  cidr: "('10.' || i || '.0.0/16')::cidr",
  macaddr: 'substr(md5(random()::text), 1, 12)::macaddr',
  macaddr8: 'substr(md5(random()::text), 1, 16)::macaddr8',
  'bit(9)': '(random() * 511)::int::bit(9)',
  varbit: "('1' || repeat('01', (random() * 9)::int))::varbit",
  point: 'point(random() * 1e9, -random() / 3)',
  line: 'line(point(random(), 1), point(2, random() * 7))',
  lseg: 'lseg(point(random(), 1), point(2, random()))',
  box: 'box(point(random(), 1), point(2, random()))',
  path: 'path(polygon(5, circle(point(random(), 1), random())))',
  polygon: 'polygon(7, circle(point(random(), 1), random()))',
  circle: 'circle(point(random(), 1), random())',
  int4range: "int4range((random() * 100)::int, 100 + (random() * 9)::int, '[]')",
  numrange: 'numrange(random()::numeric, 2)',
  tstzrange: 'tstzrange(now(), NULL)',
  tsvector: "to_tsvector('simple', md5(random()::text) || ' b ' || i)",
  tsquery: "to_tsquery('simple', 'a' || i || ' & !b')",
  pg_lsn: "('0/' || upper(to_hex(i * 977)))::pg_lsn",
  oid: '(random() * 4294967295)::int8::oid',
  jsonpath: "('$.a[*] ? (@ > ' || i || ')')::jsonpath",
};

/** Copies a table as text, value by value, as a migration does. */
async function copyRows(from: TestDatabase, to: TestDatabase, columns: readonly string[]): Promise<void> {
  const reader = await from.open();
  const writer = await to.open();
  const names = columns.map((name) => `"${name}"`).join(', ');
  const places = columns.map((_, index) => `$${index + 1}`).join(', ');
  for (const row of await reader.query(`SELECT ${names} FROM public.t`)) {
    await writer.query(
      `INSERT INTO public.t (${names}) VALUES (${places})`,
      columns.map((name) => row[name] ?? null),
    );
  }
  await reader.end();
  await writer.end();
}

async function digestBits(db: TestDatabase, columns: TableInfo['columns'], form: FloatForm) {
  const [found] = await readTables(db.session);
  await using session = await db.open();
  await session.query('SET extra_float_digits = 0');
  return await readDigest(session, { table: found!, columns, form, encoding: 'UTF8' });
}

describe('PostgreSQL 12 and 18', () => {
  const scalar = Object.entries(RANDOM).map(([type, sql], index) => ({ name: `c${index}`, type, sql }));
  const arrays = scalar.map(({ name, type, sql }) => ({
    name: `${name}_array`,
    type: `${type}[]`,
    sql: `CASE i % 5 WHEN 0 THEN NULL WHEN 1 THEN '{}' WHEN 2 THEN ARRAY[${sql}] WHEN 3 THEN ARRAY[NULL, ${sql}] ELSE ARRAY[[${sql}], [${sql}]] END`,
  }));
  const columns = [...scalar, ...arrays];
  const create = `CREATE TABLE t (${columns.map(({ name, type }) => `${name} ${type}`).join(', ')})`;

  it('agree on every built-in type with random values and extreme floats, in both forms of floats', async () => {
    await using old = await freshDatabase(12);
    await using young = await freshDatabase(18);
    await old.session.query(create);
    await young.session.query(create);
    await old.session.query(
      `SELECT setseed(0.25); INSERT INTO t SELECT ${columns.map(({ sql, type }) => `(${sql})::${type}`).join(', ')} FROM generate_series(1, 60) i`,
    );
    const float8 = columns.find(({ type }) => type === 'float8')?.name;
    const float8s = columns.find(({ type }) => type === 'float8[]')?.name;
    const float4 = columns.find(({ type }) => type === 'float4')?.name;
    await old.session.query(
      `INSERT INTO t (${float8}, ${float8s}) SELECT x, ARRAY[x, NULL, x] FROM unnest('{1.7976931348623157e308,5e-324,2.2250738585072014e-308,-0,0,NaN,Infinity,-Infinity,0.30000000000000004,9007199254740993}'::float8[]) x;
       INSERT INTO t (${float8}, ${float8s}) SELECT x - x, ARRAY[x - x] FROM (VALUES ('Infinity'::float8)) v(x);
       INSERT INTO t (${float4}) SELECT unnest('{3.4028235e38,1e-45,1.17549435e-38,-0,NaN,Infinity,-Infinity,16777217}'::float4[])`,
    );
    await copyRows(
      old,
      young,
      columns.map(({ name }) => name),
    );
    const verdicts = await compare(old, young);
    expect(verdicts).toEqual([
      { table: 'public.t', verdict: 'identical', sourceRows: 79n, targetRows: 79n, reason: null },
    ]);
    const [source] = await readTables(old.session);
    const bits = await digestBits(old, source!.columns, 'bits');
    expect(await digestBits(young, source!.columns, 'bits')).toEqual(bits);
    expect(bits.high).not.toBe((await digestBits(old, source!.columns, 'text')).high);
  });

  it('agree on bytes above 127 of a "char", which they print differently', async () => {
    const sql = table('t', 'a "char", b "char"[]', '((-56)::"char", ARRAY[(-56)::"char", NULL])');
    expect((await both(sql, sql, [12, 18])).map((one) => one.verdict)).toEqual(['identical']);
  });

  it('see every difference in the form for older servers too', async () => {
    const cases: [what: string, column: string, here: string, there: string][] = [
      ['the last bit of a double', 'a float8', "('0.1')", "('0.10000000000000002')"],
      ['the sign of a zero in an array', 'a float8[]', "('{0}')", "('{-0}')"],
      ['the bounds of an array', 'a float8[]', "('{1,2}')", "('[0:1]={1,2}')"],
      ['NULL and an empty array', 'a float4[]', '(NULL)', "('{}')"],
      ['the place of a NULL in an array', 'a float4[]', "('{NULL,1}')", "('{1,NULL}')"],
      ['the shape of an array', 'a float8[]', "('{{1,2}}')", "('{{1},{2}}')"],
      ['a point', 'a point', "('(0.1,0)')", "('(0.10000000000000002,0)')"],
    ];
    await using old = await freshDatabase(12);
    await using young = await freshDatabase(18);
    for (const [what, column, here, there] of cases) {
      await old.session.query(`DROP TABLE IF EXISTS t; ${table('t', column, here)}`);
      await young.session.query(`DROP TABLE IF EXISTS t; ${table('t', column, there)}`);
      const [source] = await readTables(old.session);
      const one = await digestBits(old, source!.columns, 'bits');
      const other = await digestBits(young, source!.columns, 'bits');
      expect(one.rows, what).toBe(other.rows);
      expect(one.high, what).not.toBe(other.high);
    }
  });
});

describe('running', () => {
  it('calls onVerdict once per table and returns the verdicts in the order of the pairs', async () => {
    await using source = await freshDatabase(18);
    await source.session.query(
      Array.from({ length: 7 }, (_, i) => table(`t${i}`, 'a int', `(${i})`)).join(' '),
    );
    const seen: string[] = [];
    const verdicts = await compare(source, source, {
      jobs: 3,
      onVerdict: (verdict) => seen.push(verdict.table),
    });
    expect(verdicts.map((one) => one.table)).toEqual(Array.from({ length: 7 }, (_, i) => `public.t${i}`));
    expect(seen.toSorted()).toEqual(verdicts.map((one) => one.table));
  });

  it('names the table that may not be read', async () => {
    await using db = await freshDatabase(18);
    const role = `${db.name}_reader`;
    await db.session.query(`${table('t', 'a int', '(1)')} CREATE ROLE ${role} LOGIN`);
    try {
      const openTarget = async () => {
        const session = await db.open();
        await session.query(`SET ROLE ${role}`);
        return session;
      };
      await expect(compare(db, db, { openTarget })).rejects.toMatchObject({
        code: 'RIGHTS_MISSING',
        facts: { user: role, action: 'read public.t' },
      });
    } finally {
      await db.session.query(`DROP ROLE ${role}`);
    }
  });

  it('ends at once when it is called off, also on the servers', async () => {
    await using db = await freshDatabase(18);
    await db.session.query(table('t', 'a int', '(1)'));
    const pairs = await pairTables(db, db);
    await using blocker = await db.open();
    await blocker.query('BEGIN; LOCK TABLE public.t');
    const abort = new AbortController();
    const running = compare(db, db, { pairs, signal: abort.signal });
    setTimeout(() => abort.abort(new Error('called off')), 300);
    await expect(running).rejects.toThrow('called off');
    await expect
      .poll(() =>
        db.session.one(
          "SELECT count(*)::text AS n FROM pg_stat_activity WHERE application_name = 'test:verify' AND datname = current_database()",
        ),
      )
      .toEqual({ n: '0' });
  });
});
