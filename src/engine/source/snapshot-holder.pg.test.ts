import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canHold, holdNextCommit } from '../../../test/held-commit.ts';
import { ownServer } from '../../../test/own-server.ts';
import { freshDatabase, type TestDatabase } from '../../../test/database.ts';
import { startEmbedded, type EmbeddedServer } from '../../base/embedded/server.ts';
import { sleep } from '../../base/runtime/sleep.ts';
import { parseSnapshot, sees } from '../change/snapshot.ts';
import { readTables } from '../pg/catalog/tables/tables.ts';
import { parseConninfo } from '../pg/conninfo/parse.ts';
import { connect } from '../pg/connect.ts';
import type { Session } from '../pg/session.ts';
import { holdFreshSnapshot, holdSlotSnapshot, type HeldSnapshot } from './snapshot-holder.ts';
import { openChunkReader, type ReaderOptions } from './chunk-reader.ts';

describe('a commit that is in the WAL but not yet visible, because it waits for a synchronous standby', () => {
  let server: EmbeddedServer;
  const open = async (replication = false): Promise<Session> => {
    const session = await connect(parseConninfo(server.uri('postgres'), 'source'), {
      side: 'source',
      applicationName: 'test',
      replication,
    });
    await session.query('RESET search_path');
    return session;
  };
  const local = async () => {
    const session = await open();
    await session.query('SET synchronous_commit = local');
    return session;
  };

  beforeAll(async () => {
    server = await startEmbedded({
      major: 17,
      settings: { wal_level: 'logical', synchronous_standby_names: 'nobody' },
    });
  });
  afterAll(() => server.remove());

  it('keeps the slot snapshot from being read until every other snapshot sees it too (P3)', async () => {
    await using control = await local();
    await control.query('CREATE TABLE t (id int PRIMARY KEY)');
    await using first = await local();
    await using second = await local();
    await using stuck = await open();
    const nothingWaits = async () =>
      (await control.one(`SELECT count(*)::text AS n FROM pg_locks WHERE NOT granted`)).n === '0';

    // Two old transactions, one after the other, hold slot creation up in its two phases.
    await first.query('BEGIN; SELECT pg_current_xact_id()');
    const holder = await open(true);
    const held = holdSlotSnapshot(holder, { name: 'p3', plugin: 'pgoutput' }, { control, waitMs: 60_000 });
    let isHeld = false;
    void held.then(() => (isHeld = true));
    while (await nothingWaits()) await sleep(20);
    await second.query('BEGIN; SELECT pg_current_xact_id()');
    await first.query('ROLLBACK');
    await sleep(300);
    // Begins and "commits" between the phases: the slot's snapshot will see it, nobody else does.
    await stuck.query('BEGIN');
    const { xid } = await stuck.one('INSERT INTO t VALUES (1) RETURNING pg_current_xact_id()::text AS xid');
    const committing = stuck.query('COMMIT');
    while ((await control.query("SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'")).length === 0)
      await sleep(20);
    await second.query('ROLLBACK');
    await sleep(1_500);
    expect((await control.query("SELECT FROM pg_replication_slots WHERE slot_name = 'p3'")).length).toBe(1);
    expect((await control.query('SELECT id FROM t')).length).toBe(0);
    expect(isHeld).toBe(false);

    await control.query(`ALTER SYSTEM SET synchronous_standby_names = ''`);
    await control.query('SELECT pg_reload_conf()');
    // Command-line settings win over ALTER SYSTEM: cancelling the wait releases it as well.
    await control.query("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    await committing.catch(() => {});
    await using snapshot = await held;
    expect(sees(snapshot.snapshot, BigInt(xid ?? ''))).toBe(true);
    await using reader = await open();
    await reader.query(
      `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '${snapshot.exportedId}'`,
    );
    expect((await reader.query('SELECT id FROM t')).length).toBe(1);
  });

  it('is not accepted as a later snapshot that lacks what the first one saw (I2)', async () => {
    await using control = await local();
    await control.query('CREATE TABLE u (id int)');
    await using stuck = await open();
    await stuck.query('BEGIN');
    const { xid } = await stuck.one('INSERT INTO u VALUES (1) RETURNING pg_current_xact_id()::text AS xid');
    const committing = stuck.query('COMMIT');
    while ((await control.query("SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'")).length === 0)
      await sleep(20);
    // What a slot's snapshot would say that saw the commit record.
    const s1 = parseSnapshot(`${BigInt(xid ?? '') + 1n}:${BigInt(xid ?? '') + 1n}:`);
    let isHeld = false;
    const later = holdFreshSnapshot(() => open(), { covers: s1, settled: null });
    void later.then(() => (isHeld = true));
    await sleep(500);
    expect(isHeld).toBe(false);
    await control.query("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    await committing.catch(() => {});
    await using held = await later;
    expect(sees(held.snapshot, BigInt(xid ?? ''))).toBe(true);
  });
});

const ANY = { covers: null, settled: null };

function reading(db: TestDatabase, held: HeldSnapshot): ReaderOptions {
  return { open: () => db.open(), control: () => Promise.resolve(db.session), held, throttle: null };
}

describe.each([12, 17, 18] as const)(
  'a commit that is in the WAL but not yet in the commit log, on PostgreSQL %i',
  (major) => {
    it.runIf(canHold)(
      'is waited for: reading its rows before would lose them for good (P3)',
      async () => {
        await using server = await ownServer(major);
        const { database } = server;
        const control = database.session;
        await control.query('CREATE TABLE t (id int PRIMARY KEY)');
        await using first = await database.open();
        await using second = await database.open();
        await using stuck = await database.open();
        const nothingWaits = async () =>
          (await control.one(`SELECT count(*)::text AS n FROM pg_locks WHERE NOT granted`)).n === '0';
        // As above: it begins and commits between the two phases of slot creation, so the slot's snapshot sees it.
        await first.query('BEGIN; SELECT txid_current()');
        const stop = new AbortController();
        const holder = await database.open({ replication: true });
        const held = holdSlotSnapshot(
          holder,
          { name: 'p3', plugin: 'pgoutput' },
          { control, waitMs: 60_000, signal: stop.signal },
        );
        let isHeld = false;
        void held.then(() => (isHeld = true));
        while (await nothingWaits()) await sleep(20);
        await second.query('BEGIN; SELECT txid_current()');
        await first.query('ROLLBACK');
        await sleep(300);
        await stuck.query('BEGIN');
        const { xid } = await stuck.one(
          'INSERT INTO public.t VALUES (1) RETURNING txid_current()::text AS xid',
        );
        await using commit = await holdNextCommit(stuck.pid);
        const committing = stuck.query('COMMIT');
        await commit.held;
        await second.query('ROLLBACK');
        await sleep(1_500);
        const isThere = "SELECT FROM pg_replication_slots WHERE slot_name = 'p3'";
        expect((await control.query(isThere)).length).toBe(1);
        expect(isHeld).toBe(false);
        await commit.release();
        await committing;
        await using snapshot = await held;
        expect(sees(snapshot.snapshot, BigInt(xid ?? ''))).toBe(true);
        await using reader = await database.open();
        await reader.query(
          `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '${snapshot.exportedId}'`,
        );
        expect((await reader.query('SELECT id FROM public.t')).length).toBe(1);
      },
      60_000,
    );
  },
);

describe('a table rewritten after the snapshot was taken', () => {
  it.each([
    ['ALTER TYPE', 'ALTER TABLE t ALTER id TYPE bigint'],
    ['TRUNCATE', 'TRUNCATE t'],
  ])('is refused instead of being read as empty: %s (P3)', async (_, rewrite) => {
    await using db = await freshDatabase(15);
    await db.session.query('CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 10)');
    const [table] = await readTables(db.session);
    await using held = await holdFreshSnapshot(() => db.open(), ANY);
    await using reader = await openChunkReader(reading(db, held));
    await db.session.query(rewrite);
    const locked = reader.lock([table!], new AbortController().signal);
    await expect(locked).rejects.toMatchObject({ code: 'TABLE_REWRITTEN' });
  });

  it('reports a snapshot whose holder is gone', async () => {
    await using db = await freshDatabase(15);
    const held = await holdFreshSnapshot(() => db.open(), ANY);
    await held[Symbol.asyncDispose]();
    await expect(openChunkReader(reading(db, held))).rejects.toMatchObject({
      code: 'SNAPSHOT_LOST',
    });
  });
});
