/** Whether a table was written to between two snapshots: every kind of write is seen, and none is made up. */
import { describe, expect, it } from 'vitest';
import { freshDatabase, type TestDatabase } from '../../../test/database.ts';
import { sleep } from '../../base/runtime/sleep.ts';
import { WHOLE } from '../change/cut.ts';
import { parseSnapshot, type Snapshot } from '../change/snapshot.ts';
import { readTables } from '../pg/catalog/tables/tables.ts';
import { currentSnapshot } from '../pg/slot/create.ts';
import { isUnchanged } from './write-test.ts';

/** What is there now, as a snapshot sees it. */
async function snapshotOf(db: TestDatabase): Promise<Snapshot> {
  const { text } = await db.session.one(`SELECT ${currentSnapshot(db.session.version)}::text AS text`);
  return parseSnapshot(text ?? '');
}

/** Once nothing is open any more that is older than now: other tests write on the same server. */
async function settledSnapshotOf(db: TestDatabase): Promise<Snapshot> {
  const { xid } = await db.session.one('SELECT txid_current()::text AS xid');
  for (;;) {
    const snapshot = await snapshotOf(db);
    if (snapshot.xmin > BigInt(xid ?? '')) return snapshot;
    await sleep(10);
  }
}

/** A table of 100 rows in a database, and the question put after `write`. */
async function judged(major: 12 | 15 | 18, write: (db: TestDatabase) => Promise<unknown>): Promise<boolean> {
  await using db = await freshDatabase(major);
  await db.session.query(
    'CREATE TABLE t (id int, v text); INSERT INTO t SELECT i, i FROM generate_series(1, 100) i',
  );
  const earlier = await settledSnapshotOf(db);
  await write(db);
  const [table] = await readTables(db.session);
  await using reader = await db.open();
  await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  return await isUnchanged(reader, { table: table!, cut: WHOLE, chunk: 0 }, { earlier, rows: 100n });
}

const run = (sql: string) => (db: TestDatabase) => db.session.query(sql);

describe.each([12, 15, 18] as const)('on PostgreSQL %i a table', (major) => {
  it.each([
    ['an insert', 'INSERT INTO t VALUES (101)'],
    ['a delete', 'DELETE FROM t WHERE id = 5'],
    ['an update', "UPDATE t SET v = 'x' WHERE id = 5"],
    ['a delete and an insert', 'DELETE FROM t WHERE id = 5; INSERT INTO t VALUES (5)'],
    [
      'an update in a subtransaction',
      "BEGIN; SAVEPOINT s; UPDATE t SET v = 'y' WHERE id = 7; RELEASE s; COMMIT",
    ],
    ['TRUNCATE and as many new rows', 'TRUNCATE t; INSERT INTO t SELECT i, i FROM generate_series(1, 100) i'],
  ])('has been written to by %s', async (_, sql) => {
    expect(await judged(major, run(sql))).toBe(false);
  });

  it.each([
    ['reading and locking rows', 'SELECT * FROM t FOR UPDATE'],
    ['a transaction that was rolled back', "BEGIN; UPDATE t SET v = 'z'; INSERT INTO t VALUES (0); ROLLBACK"],
    ['writes to other tables', 'CREATE TABLE u AS SELECT * FROM t'],
    ['VACUUM FREEZE', 'VACUUM FREEZE t'],
    ['an update of another column set to nothing', 'UPDATE t SET v = v WHERE false'],
  ])('has not been written to by %s', async (_, sql) => {
    expect(await judged(major, run(sql))).toBe(true);
  });

  it('has been written to by a transaction that was open at the earlier snapshot, also through its subtransactions', async () => {
    await using db = await freshDatabase(major);
    await db.session.query(
      'CREATE TABLE t (id int, v text); INSERT INTO t SELECT i, i FROM generate_series(1, 100) i',
    );
    await using other = await db.open();
    await other.query(
      "BEGIN; INSERT INTO public.t VALUES (-1); DELETE FROM public.t WHERE id = -1; SAVEPOINT s; UPDATE public.t SET v = 'late' WHERE id = 9; RELEASE s",
    );
    // Later xids, so that the subtransaction's lies below the snapshot's xmax.
    await db.session.query('CREATE TABLE later (id int)');
    const earlier = await snapshotOf(db);
    await other.query('COMMIT');
    const table = (await readTables(db.session)).find(({ name }) => name === 't')!;
    await using reader = await db.open();
    await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const place = { table, cut: WHOLE, chunk: 0 };
    expect(await isUnchanged(reader, place, { earlier, rows: 100n })).toBe(false);
  });
});
