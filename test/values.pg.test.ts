/** Values arrive as they are: every built-in type and user-made ones, copied, inserted, updated column by column, deleted and inserted again. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshDatabase, type TestDatabase } from './database.ts';
import { follow } from './follow.ts';
import { compare, migrate } from './migration.ts';
import { firstOf } from './matrix.ts';

interface Kind {
  /** Also the table's name. */
  readonly name: string;
  readonly type: string;
  /** SQL expressions. Each row of the table holds one; NULL is added. */
  readonly values: readonly string[];
  /** First version that has the type, or these values. */
  readonly since?: number;
}

const text = (...values: string[]) => values.map((value) => `'${value.replaceAll("'", "''")}'`);

const TEXTS = text(
  '',
  ' ',
  'NULL',
  'null',
  '\\N',
  '\\.',
  '\\',
  '\\\\',
  'a\tb',
  'a\nb',
  'a\r\nb',
  '"',
  "'",
  '""',
  '{}',
  '{a,b}',
  '(,)',
  '$1',
  ',',
  ';',
  'ä ö 表 😀 \u200b e\u0301',
  '\u0001\u0008\u007f\u0085',
  '\\x41',
  '\\101',
  '%s %I',
  '--',
  'a\\',
);

const KINDS: readonly Kind[] = [
  {
    name: 'text',
    type: 'text',
    values: [
      ...TEXTS,
      `repeat('ä"\\', 5000)`,
      `(SELECT string_agg(md5(g::text), '\\') FROM generate_series(1, 3000) g)`,
    ],
  },
  { name: 'varchar', type: 'varchar(40)', values: [...TEXTS, `repeat('表', 40)`] },
  { name: 'bpchar', type: 'char(12)', values: text('', 'a', ' b', 'ä', '"x"') },
  { name: 'bare_bpchar', type: 'bpchar', values: text('', 'a', 'a  ', '  ') },
  { name: 'name', type: 'name', values: text('', 'a', 'A "b"', 'ä') },
  { name: 'char', type: '"char"', values: [...text('', 'a', '\\', '"', ' ')] },
  { name: 'bool', type: 'bool', values: ['true', 'false'] },
  { name: 'int2', type: 'int2', values: ['-32768', '0', '32767'] },
  { name: 'int4', type: 'int4', values: ['-2147483648', '2147483647'] },
  { name: 'int8', type: 'int8', values: ['-9223372036854775808', '9223372036854775807', '9007199254740993'] },
  {
    name: 'numeric',
    type: 'numeric',
    values: [
      `'NaN'`,
      '0',
      '0.0',
      '0.000',
      '-0.0',
      '1e130000',
      `'1e-16000'`,
      `'-123456789012345678901234567890.123456789'`,
    ],
  },
  { name: 'numeric_infinite', type: 'numeric', values: [`'Infinity'`, `'-Infinity'`], since: 14 },
  { name: 'numeric_scaled', type: 'numeric(20, 5)', values: ['1', '1.5', `'NaN'`, '-99999999.99999'] },
  {
    name: 'float4',
    type: 'float4',
    values: text('NaN', 'Infinity', '-Infinity', '-0', '0', '1e-45', '3.4028235e38', '0.1', '16777217'),
  },
  {
    name: 'float8',
    type: 'float8',
    values: [
      ...text('NaN', 'Infinity', '-Infinity', '-0', '0', '5e-324', '1.7976931348623157e308', '0.1'),
      '0.1::float8 + 0.2::float8',
    ],
  },
  {
    name: 'money',
    type: 'money',
    values: text('0', '-0.01', '-92233720368547758.08', '92233720368547758.07', '1234.5'),
  },
  {
    name: 'date',
    type: 'date',
    values: text('infinity', '-infinity', '4713-01-01 BC', '0044-03-15 BC', '5874897-12-31', '2000-02-29'),
  },
  { name: 'time', type: 'time', values: text('00:00', '24:00:00', '23:59:59.999999', '12:00:00.1') },
  {
    name: 'timetz',
    type: 'timetz',
    values: text('00:00+15:59:59', '24:00:00-15:59', '12:00:00.000001+05:30'),
  },
  {
    name: 'timestamp',
    type: 'timestamp',
    values: text(
      'infinity',
      '-infinity',
      '4713-01-01 00:00 BC',
      '294276-12-31 23:59:59.999999',
      '2000-01-01 00:00:00.000001',
    ),
  },
  {
    name: 'timestamptz',
    type: 'timestamptz',
    values: text(
      'infinity',
      '-infinity',
      '4713-01-02 00:00+00 BC',
      '294276-12-31 23:59:59.999999+00',
      '2026-03-29 02:30:00+02',
      '1883-11-18 12:00 America/New_York',
    ),
  },
  { name: 'timestamptz_3', type: 'timestamptz(3)', values: text('2000-01-01 00:00:00.1239+00') },
  {
    name: 'interval',
    type: 'interval',
    values: text(
      '0',
      '1 mon -1 day',
      '-1 year +2 days -03:04:05.678',
      '178000000 years 2147483647 days 1:02:03.000004',
      '1 month',
      '30 days',
      '720:00',
    ),
  },
  {
    name: 'interval_range',
    type: 'interval day to second(2)',
    values: text('1 02:03:04.056', '-1 00:00:00.01'),
  },
  {
    name: 'bytea',
    type: 'bytea',
    values: [
      `''`,
      `'\\x00'`,
      `'\\x5c5c00ff'`,
      `decode('0a0d09275c22', 'hex')`,
      `decode(repeat('00ff5c', 1000000), 'hex')`,
    ],
  },
  { name: 'bit', type: 'bit(9)', values: [`B'000000000'`, `B'101010101'`] },
  { name: 'bit_1', type: 'bit', values: [`B'0'`, `B'1'`] },
  { name: 'varbit', type: 'varbit', values: [`B''`, `B'1'`, `B'0000000001'`] },
  { name: 'uuid', type: 'uuid', values: [`'00000000-0000-0000-0000-000000000000'`, `md5('x')::uuid`] },
  {
    name: 'json',
    type: 'json',
    values: [
      ...text(
        'null',
        '""',
        '{"a": 1, "a": 2}',
        ' [1 , 2.00] ',
        '"\\u0000"',
        '"\\ud83d\\ude00"',
        '{"k\\"": "\\n\\\\"}',
        '1e400',
      ),
    ],
  },
  {
    name: 'jsonb',
    type: 'jsonb',
    values: text(
      'null',
      '""',
      '{"b": 1.00, "a": [null, {"x": ""}]}',
      '"\\u00e4\\\\"',
      '123456789012345678901234567890.10',
      '{"": ""}',
    ),
  },
  { name: 'jsonpath', type: 'jsonpath', values: text('$."a b"[*] ? (@ > 1)', 'strict $') },
  {
    name: 'xml',
    type: 'xml',
    values: text('<a b="c">ä &amp; \n</a>', 'text only', '<?xml version="1.0"?><a/>', ''),
  },
  {
    name: 'inet',
    type: 'inet',
    values: text('0.0.0.0/0', '192.168.1.5/24', '::1', 'fe80::1/64', '10.0.0.1'),
  },
  {
    name: 'cidr',
    type: 'cidr',
    values: text('0.0.0.0/0', '192.168.1.0/24', '::/0', '2001:db8::/32', '10.0.0.1/32'),
  },
  { name: 'macaddr', type: 'macaddr', values: text('08:00:2b:01:02:03') },
  { name: 'macaddr8', type: 'macaddr8', values: text('08:00:2b:ff:fe:01:02:03') },
  { name: 'tsvector', type: 'tsvector', values: text('', "a:1A fat:2B,4C 'it''s':3", "'a b' '\\\\'") },
  { name: 'tsquery', type: 'tsquery', values: text('', "a & !'b c' <2> d:*AB") },
  { name: 'point', type: 'point', values: text('(0,-0)', '(NaN,Infinity)', '(1e-300,0.1)') },
  { name: 'line', type: 'line', values: text('{1,2,3}', '{0,-1,0.1}') },
  { name: 'lseg', type: 'lseg', values: text('[(0,0),(1,0.1)]', '[(1,1),(1,1)]') },
  { name: 'box', type: 'box', values: text('((0,0),(1,1))', '((-1,-2),(3,0.1))', '((5,5),(5,5))') },
  { name: 'path', type: 'path', values: text('[(0,0),(1,1)]', '((0,0),(1,1),(2,0))') },
  { name: 'polygon', type: 'polygon', values: text('((0,0),(1,1),(2,0))', '((0,0))') },
  { name: 'circle', type: 'circle', values: text('<(0,0),0>', '<(1,0.1),Infinity>') },
  { name: 'int4range', type: 'int4range', values: text('empty', '(,)', '[1,)', '(,5]', '[1,5]') },
  { name: 'numrange', type: 'numrange', values: text('empty', '[1.0,1.00]', '(1.5,)') },
  {
    name: 'tstzrange',
    type: 'tstzrange',
    values: text('[-infinity,infinity]', '["0001-01-01 00:00:00+00 BC","2000-01-01 00:00:00+00")', 'empty'),
  },
  { name: 'int4multirange', type: 'int4multirange', values: text('{}', '{[1,3),[5,7)}', '{(,)}'), since: 14 },
  { name: 'pg_lsn', type: 'pg_lsn', values: text('0/0', 'FFFFFFFF/FFFFFFFF') },
  { name: 'oid', type: 'oid', values: ['0', '4294967295'] },
  { name: 'xid', type: 'xid', values: text('0', '4294967295') },
  { name: 'xid8', type: 'xid8', values: text('0', '18446744073709551615'), since: 13 },
  { name: 'cid', type: 'cid', values: text('7') },
  { name: 'tid', type: 'tid', values: text('(0,1)', '(4294967295,65535)') },
  { name: 'txid_snapshot', type: 'txid_snapshot', values: text('10:20:10,14,15') },
  { name: 'oidvector', type: 'oidvector', values: text('', '1 2 3') },
  { name: 'int2vector', type: 'int2vector', values: text('', '1 -2 3') },
  { name: 'regclass', type: 'regclass', values: [`'pg_class'`, `'public."Some ""table"" ä"'`, '0'] },
  { name: 'regtype', type: 'regtype', values: [`'int4'`, `'public.mood'`, `'public.mood[]'`] },
  { name: 'regproc', type: 'regprocedure', values: [`'pg_catalog.lower(text)'`] },
  { name: 'refcursor', type: 'refcursor', values: text('', 'c"') },
  {
    name: 'int_array',
    type: 'int4[]',
    values: text('{}', '{NULL}', '{1,NULL,3}', '[0:1]={1,2}', '[-5:-4][2:3]={{1,2},{3,4}}', '{{{1}},{{2}}}'),
  },
  {
    name: 'text_array',
    type: 'text[]',
    values: text(
      '{}',
      '{NULL,"NULL","",null,"\\\\","\\"",a b}',
      '{"a,b","{}","(",")","\\\\N","\n","ä"}',
      '[2:3]={x,"y z"}',
    ),
  },
  { name: 'float_array', type: 'float8[]', values: text('{NaN,-0,Infinity,NULL}') },
  { name: 'bool_array', type: 'bool[]', values: text('{t,f,NULL}') },
  { name: 'bytea_array', type: 'bytea[]', values: [`ARRAY['\\x00'::bytea, NULL, '']`] },
  { name: 'json_array', type: 'json[]', values: [`ARRAY['{"a": "b,\\"c"}'::json, NULL, 'null']`] },
  { name: 'numeric_array', type: 'numeric(9,2)[]', values: text('{1.50,NaN,NULL}') },
  { name: 'char_array', type: 'char(3)[]', values: text('{a,"",NULL}') },
  {
    name: 'timestamptz_array',
    type: 'timestamptz[]',
    values: text('{infinity,"2000-01-01 00:00:00+00","0044-03-15 12:00:00+00 BC"}'),
  },
  { name: 'box_array', type: 'box[]', values: text('{(1,1),(0,0);(5,6),(3,4)}', '{NULL}') },
  { name: 'point_array', type: 'point[]', values: text('{"(1,2)",NULL}') },
  { name: 'range_array', type: 'numrange[]', values: text('{"[1.0,2.00)",empty,NULL}') },
  { name: 'interval_array', type: 'interval[]', values: text('{"1 mon",NULL}') },
  { name: 'inet_array', type: 'inet[]', values: text('{10.0.0.1,::1/64}') },
  { name: 'mood', type: 'public.mood', values: text('sad', 'so, "so"', '', "it's") },
  { name: 'mood_array', type: 'public.mood[]', values: text('{sad,"so, \\"so\\"","",NULL}') },
  { name: 'domain', type: 'public.short', values: text('', 'abc', 'a"\\') },
  { name: 'domain_array', type: 'public.short[]', values: text('{"",abc,NULL}') },
  { name: 'array_domain', type: 'public.pairs', values: text('{{1,2},{3,4}}', '{}', '[5:5]={NULL}') },
  {
    name: 'composite',
    type: 'public.part',
    values: [
      `ROW(2, 'q"u,o(te) \\ ''x'' ä', ARRAY['a,"', NULL], NULL)`,
      `ROW(NULL, NULL, '{}', ROW('NaN', '[1,2)'))`,
    ],
  },
  {
    name: 'composite_array',
    type: 'public.part[]',
    values: [
      `ARRAY[ROW(2, 'q"\\', ARRAY['a,"'], ROW(1.50, 'empty'))::public.part, NULL, ROW(NULL, NULL, NULL, NULL)::public.part]`,
    ],
  },
  { name: 'composite_domain', type: 'public.part_domain', values: [`ROW(1, 'x', NULL, NULL)`] },
  { name: 'range_own', type: 'public.span', values: text('[a,"b c")', 'empty', '(,")"]') },
];

const OWN_TYPES = `
  CREATE TYPE public.mood AS ENUM ('sad', 'so, "so"', '', 'it''s');
  CREATE DOMAIN public.short AS varchar(9) CHECK (length(VALUE) < 9);
  CREATE DOMAIN public.pairs AS int[];
  CREATE TYPE public.inner_part AS (n numeric, r int4range);
  CREATE TYPE public.part AS (a int, "b ""c" text, d text[], e public.inner_part);
  CREATE DOMAIN public.part_domain AS public.part CHECK ((VALUE).a > 0);
  CREATE TYPE public.span AS RANGE (subtype = text, collation = "C");
  CREATE TABLE public."Some ""table"" ä" (id int PRIMARY KEY);
`;

const kindsFor = (...majors: number[]) =>
  KINDS.filter(({ since = 0 }) => majors.every((major) => major >= since));

/** `keyed` folds into sets, `plain` has no key and is found by its values. */
function createSql({ name, type, values }: Kind): string {
  const rows = ['NULL', ...values].map((value, at) => `(${at}, ${value}, 0)`).join(', ');
  return ['keyed', 'plain']
    .map(
      (schema) =>
        `CREATE TABLE ${schema}."${name}" (id int${schema === 'keyed' ? ' PRIMARY KEY' : ''}, v ${type}, n int); INSERT INTO ${schema}."${name}" VALUES ${rows}`,
    )
    .join('; ');
}

/** Every value is updated into every other place, deleted, and inserted again. */
function changesOf({ name, values }: Kind): string[] {
  const count = values.length + 1;
  return ['keyed', 'plain'].flatMap((schema) => {
    const table = `${schema}."${name}"`;
    return [
      `INSERT INTO ${table} SELECT id + ${count}, v, 1 FROM ${table}`,
      `UPDATE ${table} t SET v = o.v FROM ${table} o WHERE t.n = 0 AND o.n = 1 AND o.id = (t.id + 1) % ${count} + ${count}`,
      `UPDATE ${table} SET n = 2 WHERE n = 1 AND id % 3 = 0`,
      `DELETE FROM ${table} WHERE n = 1 AND id % 3 = 1`,
      `DELETE FROM ${table} WHERE n = 2; INSERT INTO ${table} SELECT id + 2 * ${count}, v, 3 FROM ${table} WHERE n < 2`,
    ];
  });
}

describe.each(
  firstOf(2, [
    [12, 18],
    [18, 15],
    [17, 17],
  ] as const),
)('values from %i to %i', (from, to) => {
  const kinds = kindsFor(from, to);
  let source: TestDatabase;
  let target: TestDatabase;
  const differing = new Map<string, string[]>();
  const replays = new Map<string, number>();

  const note = async (moment: string) => {
    for (const { table, verdict, reason } of (await compare(source, target)).differing)
      differing.set(table, [...(differing.get(table) ?? []), `${moment}: ${reason ?? verdict}`]);
  };

  beforeAll(async () => {
    source = await freshDatabase(from);
    target = await freshDatabase(to);
    await source.session.query(`${OWN_TYPES}; CREATE SCHEMA keyed; CREATE SCHEMA plain`);
    for (const kind of kinds) await source.session.query(createSql(kind));
    await migrate(source, target);
    await note('copied');
    const following = await follow(source, target);
    for (const kind of kinds) for (const change of changesOf(kind)) await source.session.query(change);
    await following.catchUp();
    replays.set(
      'live',
      following.events.filter(({ message }) => message.includes('did not apply as sets')).length,
    );
    await note('changed');
  });
  afterAll(async () => {
    await source?.[Symbol.asyncDispose]();
    await target?.[Symbol.asyncDispose]();
  });

  it.each(kinds)('of type $type arrive unchanged (table $name)', ({ name }) => {
    expect([differing.get(`keyed.${name}`), differing.get(`plain.${name}`)]).toEqual([undefined, undefined]);
  });

  it('go in as sets: no window has to be read again', () => {
    expect(replays.get('live')).toBe(0);
  });
});

describe('a value that the older target cannot hold', () => {
  it.each([
    ['interval', "'infinity'::interval", 'copied'],
    ['interval', "'-infinity'::interval", 'changed'],
    ['interval[]', "'{infinity}'::interval[]", 'copied'],
  ] as const)(
    'of type %s (%s) is refused when it is %s, not turned into another one',
    async (type, value, moment) => {
      await using source = await freshDatabase(18);
      await using target = await freshDatabase(15);
      await source.session.query(`CREATE TABLE t (id int PRIMARY KEY, v ${type})`);
      if (moment === 'changed') await migrate(source, target);
      await source.session.query(`INSERT INTO t VALUES (1, ${value})`);
      await expect(migrate(source, target)).rejects.toMatchObject(
        moment === 'copied'
          ? { code: 'ROW_REFUSED', facts: { table: 'public.t' } }
          : { code: 'TABLES_STOPPED', facts: { problems: expect.stringContaining('public.t') } },
      );
    },
  );
});

describe('a "char" above 127', () => {
  it.each([
    [15, 18],
    [18, 15],
    [17, 17],
  ] as const)('from %i to %i is the same byte', async (from, to) => {
    await using source = await freshDatabase(from);
    await using target = await freshDatabase(to);
    await source.session.query(
      `CREATE TABLE t (id int PRIMARY KEY, v "char", x xml); INSERT INTO t SELECT i, i::"char" FROM generate_series(-128, 127) i`,
    );
    await source.session.query(
      `CREATE TABLE u (id int PRIMARY KEY, v "char"); INSERT INTO u SELECT i, i::"char" FROM generate_series(-128, 127) i`,
    );
    await migrate(source, target);
    expect((await compare(source, target)).differing).toEqual([]);
    await source.session.query(
      `UPDATE u SET v = (-id - 1)::"char"; INSERT INTO u VALUES (500, (-56)::"char")`,
    );
    await migrate(source, target);
    expect((await compare(source, target)).differing).toEqual([]);
  });
});
