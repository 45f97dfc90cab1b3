/** The estimate against tables whose size is known. */
import { expect, it } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import { readTables } from '../pg/catalog/tables/tables.ts';
import { connect } from '../pg/connect.ts';
import { estimate } from './estimate.ts';

it.each([12, 18] as const)(
  'sees rows, text and indexes of small, large, compressed and never analyzed tables on PostgreSQL %i',
  async (major) => {
    await using db = await freshDatabase(major);
    await db.session.query(`
    CREATE TABLE empty (id int);
    CREATE TABLE small (id int PRIMARY KEY, t text);
    INSERT INTO small SELECT g, repeat('x', 40) FROM generate_series(1, 500) g;
    CREATE TABLE "Large; one" (id int PRIMARY KEY, t text);
    INSERT INTO "Large; one" SELECT g, repeat('x', 100) FROM generate_series(1, 100000) g;
    CREATE TABLE compressed (id int, t text);
    INSERT INTO compressed SELECT g, repeat('abc', 100000) FROM generate_series(1, 40) g;
    CREATE TABLE parted (id int) PARTITION BY LIST (id);
    CREATE TABLE part PARTITION OF parted DEFAULT;
    INSERT INTO parted SELECT 1 FROM generate_series(1, 100);`);
    for (const analyzed of [false, true]) {
      if (analyzed) await db.session.query('ANALYZE');
      await using source = await db.open();
      const started = Date.now();
      const found = await estimate(source, await readTables(source));
      expect(Date.now() - started).toBeLessThan(10_000);
      const rows = 500 + 100_000 + 40 + 100;
      const text = 500 * 45 + 100_000 * 107 + 40 * 300_004 + 100 * 3;
      expect(found.tables).toBe(5);
      expect(Number(found.rows) / rows).toBeCloseTo(1, 1);
      expect(Number(found.textBytes) / text).toBeCloseTo(1, 1);
      // Compression makes the disk smaller than the text.
      expect(found.textBytes).toBeGreaterThan(found.relationBytes);
      expect(found.walBytes).toBeGreaterThan(found.relationBytes);
      expect(found.copySeconds[0]).toBeCloseTo(Number(found.textBytes) / 150e6, 6);
      expect(found.copySeconds[1]).toBeCloseTo(Number(found.textBytes) / 20e6, 6);
      expect(found.indexSeconds[0]).toBeGreaterThan(0);
      expect(found.indexSeconds[1]).toBeGreaterThan(found.indexSeconds[0]);
    }
  },
);

it('takes tables it may not read to be like the others', async () => {
  await using db = await freshDatabase(17);
  await db.session.query(`
    CREATE TABLE open (t text); INSERT INTO open SELECT repeat('x', 100) FROM generate_series(1, 1000);
    CREATE TABLE closed (t text); INSERT INTO closed SELECT repeat('x', 100) FROM generate_series(1, 1000);
    ANALYZE; CREATE ROLE ${db.name} LOGIN PASSWORD 'only-here'; GRANT SELECT ON open TO ${db.name}`);
  try {
    const mine = { ...db.info, user: db.name, password: 'only-here' };
    await using source = await connect(mine, { side: 'source', applicationName: 'test' });
    const found = await estimate(source, await readTables(source));
    expect(found.rows).toBe(2000n);
    expect(Number(found.textBytes) / (2000 * 102)).toBeCloseTo(1, 1);
  } finally {
    await db.session.query(`DROP OWNED BY ${db.name}; DROP ROLE ${db.name}`);
  }
});

it('of nothing is nothing', async () => {
  await using db = await freshDatabase(17);
  expect(await estimate(db.session, [])).toEqual({
    tables: 0,
    rows: 0n,
    relationBytes: 0n,
    textBytes: 0n,
    copySeconds: [0, 0],
    indexSeconds: [0, 0],
    walBytes: 0n,
  });
});
