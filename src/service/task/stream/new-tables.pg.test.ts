/** The fingerprint of a database's tables is another after whatever may bring a table into a selection. */
import { expect, it } from 'vitest';
import { freshDatabase } from '../../../../test/database.ts';
import { fingerprintTables } from './new-tables.ts';

const SCHEMA = `
  CREATE SCHEMA other; CREATE TABLE t (id int); CREATE TABLE a (id int) PARTITION BY RANGE (id); CREATE TABLE b (LIKE a) PARTITION BY RANGE (id);
  CREATE TABLE part PARTITION OF a FOR VALUES FROM (1) TO (2);`;

const OTHERS = [
  'INSERT INTO t VALUES (1)',
  'ALTER TABLE t ADD COLUMN v text',
  'ALTER TABLE t REPLICA IDENTITY FULL',
  'CREATE VIEW w AS SELECT id FROM t',
  'CREATE TEMP TABLE passing (id int)',
];

const CHANGES = [
  'CREATE TABLE u (id int)',
  'ALTER TABLE u RENAME TO x',
  'ALTER TABLE x SET SCHEMA other',
  'DROP TABLE other.x',
  // The partition moves between two looks: neither the number of tables nor a name is another.
  'ALTER TABLE a DETACH PARTITION part; ALTER TABLE b ATTACH PARTITION part FOR VALUES FROM (1) TO (2)',
  'ALTER TABLE b DETACH PARTITION part',
  'DROP TABLE part; CREATE TABLE part (id int)',
];

it.each([12, 18] as const)('tables on version %i', async (major) => {
  await using db = await freshDatabase(major);
  await db.session.query(SCHEMA);
  let before = await fingerprintTables(db.session);
  for (const sql of OTHERS) {
    await db.session.query(sql);
    expect([sql, await fingerprintTables(db.session)]).toEqual([sql, before]);
  }
  for (const sql of CHANGES) {
    await db.session.query(sql);
    const after = await fingerprintTables(db.session);
    expect([sql, after === before]).toEqual([sql, false]);
    before = after;
  }
});
