/** Cuts on real servers: the order of keys is the server's, and the chunks together are the table. */
import { describe, expect, it } from 'vitest';
import { freshDatabase, type TestDatabase } from '../../../test/database.ts';
import { chunkCount, chunkOfKey, type Cut, type KeyCut } from '../change/cut.ts';
import { compareKeys, keyOrderOf } from '../change/ordered-key.ts';
import { readTables, type TableInfo } from '../pg/catalog/tables/tables.ts';
import { qname } from '../pg/ident.ts';
import { chunkCondition } from './copy-statement.ts';
import { readCutFacts, sampleQuantiles } from './cut-facts.ts';
import { cutByKey } from './plan-cut.ts';

const KEYS = {
  int2: [`(i * 7919 % 60000 - 30000)`, 21],
  int4: [`(i * 7919 % 60001 - 30000)`, 23],
  int8: [`(i::bigint * 922337203685477 - 4611686018427387904)`, 20],
  uuid: [`md5(i::text)`, 2950],
  date: [`(date '0001-01-01 BC' + i * 731)`, 1082],
  timestamp: [`(timestamp '0300-01-01 BC' + i * interval '19 days 01:02:03.004005')`, 1114],
  timestamptz: [`(timestamptz '1900-01-01 00:00:00+14' + i * interval '13 days 00:00:00.1')`, 1184],
} as const;

/** A table of 2,000 rows with that key, and with the ends of the type where it has any. */
async function table(db: TestDatabase, type: keyof typeof KEYS): Promise<TableInfo> {
  const [expression] = KEYS[type];
  await db.session.query(`CREATE TABLE t (k ${type} PRIMARY KEY, v text);
    INSERT INTO t SELECT ${expression}::${type}, repeat('x', 200) FROM generate_series(1, 2000) i ON CONFLICT DO NOTHING`);
  if (/date|timestamp/.test(type)) await db.session.query(`INSERT INTO t VALUES ('infinity'), ('-infinity')`);
  await db.session.query('ANALYZE t');
  return (await readTables(db.session)).find(({ name }) => name === 't')!;
}

async function rowsIn(db: TestDatabase, info: TableInfo, cut: Cut): Promise<string[][]> {
  const chunks: string[][] = [];
  for (let chunk = 0; chunk < chunkCount(cut); chunk++) {
    const where = chunkCondition({ table: info, cut, chunk }) ?? 'true';
    const rows = await db.session.query(`SELECT k::text FROM ONLY ${qname(info)} WHERE ${where}`);
    chunks.push(rows.map((row) => row.k ?? ''));
  }
  return chunks;
}

describe.each([12, 15, 18] as const)('on PostgreSQL %i', (major) => {
  it.each(Object.keys(KEYS) as (keyof typeof KEYS)[])(
    'a table cut by sampled quantiles of a %s falls into chunks that are the table, each row where the stream would look for it',
    async (type) => {
      await using db = await freshDatabase(major);
      const info = await table(db, type);
      const order = keyOrderOf(KEYS[type][1])!;
      const sorted = (await db.session.query('SELECT t.k::text FROM t ORDER BY t.k')).map(
        (row) => row.k ?? '',
      );
      expect(sorted.toSorted((a, b) => compareKeys(order, a, b))).toEqual(sorted);
      const quantiles = await sampleQuantiles(db.session, info, { column: 'k', parts: 7, blocks: 60 });
      const key = { column: 'k', order, correlation: 1 };
      const cut = cutByKey(
        { kind: 'sample', key, parts: 7, otherwise: { kind: 'whole' } },
        quantiles,
      ) as KeyCut;
      expect(chunkCount(cut)).toBeGreaterThan(3);
      const chunks = await rowsIn(db, info, cut);
      expect(chunks.flat().length).toBe(sorted.length);
      for (const [chunk, rows] of chunks.entries())
        for (const row of rows) expect(chunkOfKey(cut, row)).toBe(chunk);
    },
  );
});

describe('the facts about a table', () => {
  it('name its key, how far the rows lie in its order, and its places', async () => {
    await using db = await freshDatabase(15);
    const info = await table(db, 'uuid');
    const facts = (await readCutFacts(db.session, [info], true)).get(info.oid);
    expect(facts).toMatchObject({ readsPlaces: true, key: { column: 'k', order: 'uuid' } });
    expect(Math.abs(facts?.key?.correlation ?? 1)).toBeLessThan(0.5);
    expect(facts?.blocks).toBeGreaterThan(40);
    const cut: Cut = { kind: 'ctid', filenode: facts!.filenode, bounds: [7, 20, 41] };
    const chunks = await rowsIn(db, info, cut);
    expect(chunks.map((rows) => rows.length > 0)).toEqual([true, true, true, true]);
    expect(chunks.flat().length).toBe(2000);
  });

  it('offer no key that the change stream would not carry, and none of a type without a known order', async () => {
    await using db = await freshDatabase(15);
    await db.session.query(`CREATE TABLE a (t text PRIMARY KEY, n int NOT NULL UNIQUE);
      CREATE TABLE b (x int NOT NULL UNIQUE); ALTER TABLE b REPLICA IDENTITY FULL;
      CREATE TABLE c (d date, n int, PRIMARY KEY (d, n))`);
    const tables = await readTables(db.session);
    const keyOf = async (followed: boolean) => {
      const facts = await readCutFacts(db.session, tables, followed);
      return tables.map(({ oid }) => facts.get(oid)?.key?.column ?? null);
    };
    expect(await keyOf(true)).toEqual([null, 'x', 'd']);
    expect(await keyOf(false)).toEqual(['n', 'x', 'd']);
  });
});
