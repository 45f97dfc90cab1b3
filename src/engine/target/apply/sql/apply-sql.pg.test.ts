/** The applier's statements on real servers: values as they are, and exactly one of equal rows. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { freshDatabase, type TestDatabase } from '../../../../../test/database.ts';
import { relationOf, shapeOf } from '../../../../../test/target-table.ts';
import { packedRow } from '../../../../../test/packed.ts';
import { byteText, readable, type ByteText, type Cell } from '../../../change/change.ts';
import { readTables } from '../../../pg/catalog/tables/tables.ts';
import { readUniqueKeys } from '../../../pg/catalog/constraints/unique-keys.ts';
import { Pipeline } from '../../../pg/wire/pipeline.ts';
import { deleteOne, describeKey, settable, truncateAll, updateOne } from './apply-sql.ts';
import { arrayLiteral, arraysOf } from './column-array.ts';
import { planForKeys } from '../plan-settings.ts';
import { updateSet } from './set-sql.ts';
import { joinTable, type TargetTable } from './target-table.ts';

const NASTY = [
  '',
  ' ',
  'NULL',
  'null',
  '"',
  '""',
  '\\',
  '\\"',
  '\\\\',
  '{',
  '}',
  '{}',
  '{a,b}',
  ',',
  ';',
  "'",
  '\n',
  '\r\n\t',
  ' lead',
  'trail ',
  '\\N',
  '\\.',
  '$1',
  'ü',
  '世界',
  '🐘',
  'a"b\\c{d},e',
  '\u007f',
  '\u0001',
  '[1:2]={a,b}',
];

const texts = fc.array(
  fc.option(
    fc.oneof(
      fc.constantFrom(...NASTY),
      fc.string({ unit: 'binary', maxLength: 12 }).filter((text) => !text.includes('\0')),
    ),
  ),
  { maxLength: 12 },
);
const cellOf = (value: string | null): ByteText | null => (value === null ? null : byteText(value));

/** The table of this name in schema public, joined to itself under identity FULL. */
async function joined(
  db: TestDatabase,
  name: string,
  replicaIdentity: 'full' | 'default' = 'full',
): Promise<TargetTable> {
  const info = (await readTables(db.session)).find((table) => table.name === name)!;
  return joinTable(relationOf(info, replicaIdentity), shapeOf(info, await readUniqueKeys(db.session)));
}

describe.each([12, 18] as const)('an array on PostgreSQL %i', (major) => {
  it('in binary form gives back every element as it was, of every type that travels so', async () => {
    await using db = await freshDatabase(major);
    await db.session.query("CREATE TYPE mood AS ENUM ('', 'sad', 'so \"so\"')");
    await db.session.query('CREATE TABLE seen (at int, type text, list text[])');
    const { oid } = await db.session.one("SELECT 'mood'::regtype::oid::text AS oid");
    const pipeline = new Pipeline(await db.open());
    const lists: readonly (readonly [type: string, typeOid: number, list: readonly (string | null)[]])[] = [
      ['integer', 23, ['0', '-2147483648', null, '2147483647']],
      ['bigint', 20, ['-9223372036854775808', '9007199254740993', '7']],
      ['smallint', 21, ['-32768', '32767']],
      ['boolean', 16, ['true', null, 'false']],
      ['oid', 26, ['0', '4294967295']],
      ['double precision', 701, ['-0', '1e-300', 'NaN', 'Infinity', '0.1']],
      ['numeric', 1700, ['1.0', '1.00', '-0.0000001', 'NaN', '12345678901234567890.123456789']],
      ['date', 1082, ['2000-01-01', '0001-01-01', '9999-12-31', null]],
      ['timestamp with time zone', 1184, ['1999-12-31 23:59:59.999999+00', '2026-11-29 00:00:00+00']],
      ['uuid', 2950, ['00000000-0000-0000-0000-00000000000f', null]],
      ['bytea', 17, ['\\x', '\\x00ff5c22', null]],
      ['text', 25, NASTY],
      ['character varying', 1043, NASTY],
      ['text', 25, []],
      ['text', 25, ['x'.repeat(1023), 'ü'.repeat(600), 'x'.repeat(100_000)]],
      ['json', 114, ['{"a":  [1, null]}', null, '"ü"']],
      ['jsonb', 3802, ['{"a": [1, null]}', null, '"ü"']],
      ['public.mood', Number(oid), ['', 'sad', null, 'so "so"']],
    ];
    for (const [at, [type, typeOid, list]] of lists.entries()) {
      const typeKind = type === 'public.mood' ? 'e' : 'b';
      const rows = list.map((value, row) => {
        const cells = [byteText('beside'), cellOf(type === 'boolean' ? (value?.[0] ?? null) : value), null];
        return row % 2 === 0 ? packedRow(cells) : cells;
      });
      const column = { at: 1, sourceType: typeOid, typeOid, typeKind, isText: false };
      const [array] = arraysOf(rows, [column]);
      if (!array?.isBinary) throw new Error(`${type} does not travel in binary form`);
      const sql = `INSERT INTO public.seen SELECT $1::int, '${type}', array_agg(c::text ORDER BY n) FROM unnest($2::${type}[]) WITH ORDINALITY u(c, n)`;
      await pipeline.run([{ sql, values: [byteText(String(at)), array.bytes], binary: [false, true] }]);
    }
    const seen = await db.session.query(
      "SELECT coalesce(to_json(list), '[]')::text AS list FROM seen ORDER BY at",
    );
    expect(seen.map((row) => JSON.parse(row.list ?? '') as unknown)).toEqual(lists.map(([, , list]) => list));
  });

  it('goes as text as a whole where one element has no binary form that we write', () => {
    const cells = ['2000-01-01', null, 'infinity', '0044-03-15 BC'].map(cellOf);
    const rows = cells.map((cell, at) => (at % 2 === 0 ? packedRow([cell, cell]) : [cell, cell]));
    const date = { sourceType: 1082, typeOid: 1082, typeKind: 'b', isText: false };
    const text = { sourceType: 1082, typeOid: 25, typeKind: 'b', isText: false };
    const arrays = arraysOf(rows, [
      { at: 0, ...date },
      { at: 1, ...text },
    ]);
    expect(arrays[0]).toEqual({ bytes: arrayLiteral(cells), isBinary: false });
    expect(arrays[1]?.isBinary).toBe(true);
    // Filled up with NULL it would be another row.
    expect(() => arraysOf([packedRow([byteText('1')])], [{ at: 1, ...date }])).toThrow('lacks a column');
  });

  it('as a literal gives back every element as it was, whatever is in it', async () => {
    await using db = await freshDatabase(major);
    const check = async (list: readonly (string | null)[]) => {
      const literal = readable(arrayLiteral(list.map(cellOf)));
      const row = await db.session.one(
        'SELECT to_json($1::text[])::text AS list, coalesce(array_ndims($1::text[]), 0)::text AS dimensions',
        [literal],
      );
      expect(JSON.parse(row.list ?? '')).toEqual(list);
      expect(row.dimensions).toBe(list.length === 0 ? '0' : '1');
    };
    await check(NASTY);
    await check([null, 'NULL', null]);
    await fc.assert(fc.asyncProperty(texts, check), { numRuns: 150 });
  });
});

/** Pairs of values that some comparison takes for equal though their texts differ, or that have no equality at all. */
const LOOKALIKES: readonly (readonly [type: string, a: string | null, b: string | null])[] = [
  ['numeric', '1.0', '1.00'],
  ['float8', '0', '-0'],
  ['float4', '-0', '0'],
  ['bpchar', 'a', 'a '],
  ['text', '', null],
  ['text', 'NULL', null],
  ['int4', null, '0'],
  ['json', '{"a":1}', '{"a": 1}'],
  ['json', 'null', null],
  ['xml', '<a/>', '<a></a>'],
  ['point', '(0,0)', '(0,-0)'],
  ['box', '(1,1),(0,0)', '(2,0.5),(0,0)'],
  ['interval', '1 day', '24:00:00'],
  ['timetz', '10:00:00+00', '11:00:00+01'],
  ['varbit', '0', '00'],
  ['float8[]', '{0}', '{-0}'],
];

describe.each([12, 18] as const)('one row found by all its values on PostgreSQL %i', (major) => {
  it.each(LOOKALIKES)('tells values of %s apart: %j and %j', async (type, a, b) => {
    await using db = await freshDatabase(major);
    await db.session.query(`CREATE TABLE t (v ${type}, n int)`);
    await db.session.query(
      'INSERT INTO t SELECT v, 1 FROM unnest($1::text[]) WITH ORDINALITY u(text, n), LATERAL (SELECT text::' +
        type +
        ' AS v) x',
      [readable(arrayLiteral([cellOf(a), cellOf(b), cellOf(a), cellOf(b)]))],
    );
    const table = await joined(db, 't');
    expect(table).toMatchObject({ key: null, folds: false });
    const pipeline = new Pipeline(await db.open());
    const row = (value: string | null, n: string): Cell[] => [cellOf(value), byteText(n)];
    const run = [
      deleteOne(table, row(a, '1')),
      updateOne(table, row(b, '1'), row(b, '2'))!,
      updateOne(table, row(b, '1'), row(a, '3'))!,
      deleteOne(table, row(b, '1')),
    ];
    expect(await pipeline.run(run)).toEqual([1, 1, 1, 0]);
    const left = await db.session.query(
      "SELECT format('%s', v) AS v, (v IS NULL)::text AS is_null, n FROM t ORDER BY n",
    );
    const shown = (value: string | null, n: string) => ({
      v: value ?? '',
      is_null: String(value === null),
      n,
    });
    expect(left).toEqual([shown(a, '1'), shown(b, '2'), shown(a, '3')]);
  });

  it('touches one of equal rows, until none is left', async () => {
    await using db = await freshDatabase(major);
    await db.session.query(
      'CREATE TABLE t (a int, b text, j json); INSERT INTO t SELECT 1, NULL, NULL FROM generate_series(1, 3)',
    );
    const table = await joined(db, 't');
    const pipeline = new Pipeline(await db.open());
    const same: Cell[] = [byteText('1'), null, null];
    const gone = deleteOne(table, same);
    expect(await pipeline.run([gone])).toEqual([1]);
    expect(await pipeline.run([updateOne(table, same, [byteText('2'), null, null])!, gone, gone])).toEqual([
      1, 1, 0,
    ]);
    expect(await db.session.query('SELECT a FROM t')).toEqual([{ a: '2' }]);
  });

  it('finds a row of a table without columns', async () => {
    await using db = await freshDatabase(major);
    await db.session.query('CREATE TABLE t (); INSERT INTO t DEFAULT VALUES; INSERT INTO t DEFAULT VALUES');
    const table = await joined(db, 't');
    const pipeline = new Pipeline(await db.open());
    expect(await pipeline.run([deleteOne(table, [])])).toEqual([1]);
    expect(updateOne(table, [], [])).toBeNull();
  });
});

describe('a table with children', () => {
  it('is changed without touching the rows of its children', async () => {
    await using db = await freshDatabase(18);
    await db.session.query(
      "CREATE TABLE p (a int, b text); CREATE TABLE c () INHERITS (p); INSERT INTO p VALUES (1, 'x'); INSERT INTO c VALUES (1, 'x')",
    );
    const table = await joined(db, 'p');
    const pipeline = new Pipeline(await db.open());
    const row: Cell[] = [byteText('1'), byteText('x')];
    const other: Cell[] = [byteText('1'), byteText('y')];
    expect(await pipeline.run([updateOne(table, row, other)!, deleteOne(table, other)])).toEqual([1, 1]);
    await pipeline.run([truncateAll([table], false)]);
    expect(await db.session.query('SELECT tableoid::regclass::text AS t, b FROM p')).toEqual([
      { t: 'c', b: 'x' },
    ]);
  });

  it('is changed in exactly one of equal rows when it is partitioned', async () => {
    await using db = await freshDatabase(18);
    await db.session.query(
      `CREATE TABLE p (a int, b text) PARTITION BY LIST (a); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1); CREATE TABLE p2 PARTITION OF p DEFAULT;
       INSERT INTO p VALUES (1, 'x'), (1, 'x'), (2, 'x'), (2, 'x')`,
    );
    const table = await joined(db, 'p');
    const pipeline = new Pipeline(await db.open());
    expect(await pipeline.run([deleteOne(table, [byteText('2'), byteText('x')])])).toEqual([1]);
    expect(await db.session.query('SELECT a FROM p ORDER BY a')).toEqual([
      { a: '1' },
      { a: '1' },
      { a: '2' },
    ]);
  });
});

describe('a truncation', () => {
  it('empties tables that refer to one another, and restarts what they own only when asked', async () => {
    await using db = await freshDatabase(18);
    const fill = 'INSERT INTO a DEFAULT VALUES; INSERT INTO b SELECT id FROM a';
    await db.session.query(
      `CREATE TABLE a (id serial PRIMARY KEY); CREATE TABLE b (id int REFERENCES a); ${fill}`,
    );
    const tables = [await joined(db, 'a', 'default'), await joined(db, 'b')];
    const pipeline = new Pipeline(await db.open());
    await pipeline.run([truncateAll(tables, false)]);
    await db.session.query(fill);
    expect(await db.session.query('SELECT a.id FROM a, b')).toEqual([{ id: '2' }]);
    await pipeline.run([truncateAll(tables, true)]);
    await db.session.query(fill);
    expect(await db.session.query('SELECT a.id FROM a, b')).toEqual([{ id: '1' }]);
  });
});

describe('the text of a key', () => {
  it('names its columns and cells, cut short, and nothing of the other columns', async () => {
    await using db = await freshDatabase(18);
    await db.session.query('CREATE TABLE t (k1 text, secret text, k2 int, PRIMARY KEY (k1, k2))');
    const table = await joined(db, 't', 'default');
    const planned = deleteOne(table, [byteText('ü'.repeat(200)), byteText('secret'), byteText('5')]);
    expect(describeKey(planned)).toBe(`(k1, k2) = (${'ü'.repeat(80)}, 5)`);
  });
});

describe.each([12, 18] as const)('a set on PostgreSQL %i', (major) => {
  it('looks its rows up in the key, whatever the planner knows of the table', async () => {
    await using db = await freshDatabase(major);
    await db.session.query('CREATE TABLE t (id int PRIMARY KEY, v text)');
    const table = await joined(db, 't');
    const key = table.key!;
    const rows = Array.from({ length: 50 }, (_, at) => [byteText(String(at)), byteText('v')]);
    const { sql } = updateSet(table, key, settable(table, rows[0]!, key), rows);
    await using session = await db.open();
    await planForKeys(session);
    const values = rows.map(([id]) => id).join(',');
    for (const fill of ['', 'INSERT INTO t SELECT i FROM generate_series(0, 50) i; ANALYZE t']) {
      await db.session.query(fill);
      const plan = await session.query(`EXPLAIN ${sql}`, [`{${values}}`, `{${'v,'.repeat(49)}v}`]);
      const text = plan.map((line) => line['QUERY PLAN']).join('\n');
      expect(text).toContain('Index Scan using t_pkey on t');
      expect(text).not.toMatch(/Hash|Merge|Seq Scan/);
    }
  });
});
