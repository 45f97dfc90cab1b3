/** The slot from its creation on: who holds that up, who reads it, what it keeps, and what becomes of it (C2, C8). */
import { describe, expect, it } from 'vitest';
import type { MigrationEvent } from '../src/contract/progress.ts';
import type { Session } from '../src/engine/pg/session.ts';
import { freshDatabase, freshPair, type TestDatabase } from './database.ts';
import { follow, pause } from './follow.ts';
import { compare, migrate, start } from './migration.ts';
import { ownServer } from './own-server.ts';
import { firstOf } from './matrix.ts';

const TABLE = "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')";

const texts = (events: readonly MigrationEvent[]) => events.map(({ message }) => message).join('\n');

/** What of a task is left in the source's server: slots of the database, and processes that serve replication. */
async function left({ session }: TestDatabase): Promise<unknown> {
  const slots = await session.query(
    'SELECT slot_name FROM pg_replication_slots WHERE database = current_database()',
  );
  const senders = await session.query("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walsender'");
  return { slots: slots.length, senders: senders.length };
}

/** A session with an open transaction that has written. */
async function openWriter(source: TestDatabase): Promise<Session> {
  const session = await source.open({ role: 'old-report' });
  await session.query("BEGIN; INSERT INTO public.t VALUES (99, 'secret value')");
  return session;
}

describe.each([12, 18] as const)('the creation of a slot on PostgreSQL %i', (major) => {
  it('names who holds it up while it waits, gives up in time, and leaves nothing behind', async () => {
    await using server = await ownServer(major, { max_prepared_transactions: 5, fsync: 'off' });
    await using target = await freshDatabase(18);
    const source = server.database;
    await source.session.query(TABLE);
    await source.session.query(
      "BEGIN; INSERT INTO t VALUES (2, 'secret value'); PREPARE TRANSACTION 'forgotten'",
    );
    await using writer = await openWriter(source);
    const events: MigrationEvent[] = [];
    const started = performance.now();
    await expect(migrate(source, target, { events, slotWaitMs: 4_000 })).rejects.toMatchObject({
      code: 'SLOT_BLOCKED',
      message: expect.stringMatching(/in 4 s: .*'forgotten'/),
    });
    expect(performance.now() - started).toBeLessThan(30_000);
    const said = events.filter(({ message }) => /once these transactions/.test(message));
    // Said while it waited, and once: nothing had changed.
    expect(said).toHaveLength(1);
    expect(said[0]?.message).toMatch(
      new RegExp(
        `prepared transaction 'forgotten' \\(user postgres, database postgres, since 2.*backend ${writer.pid} \\(user postgres, application test:old-report, database postgres, since 2`,
      ),
    );
    expect(said[0]?.message).toContain('4 s in all (--slot-wait)');
    expect(texts(events)).not.toContain('secret');
    await expect.poll(() => left(source)).toEqual({ slots: 0, senders: 0 });
    // Once they are gone it is created, and the next run goes on.
    const going = migrate(source, target, { slotWaitMs: 60_000 });
    await pause(1_500);
    await source.session.query("COMMIT PREPARED 'forgotten'");
    await writer.query('COMMIT');
    expect((await going).outcome).toBe('caught-up');
    expect((await compare(source, target)).differing).toEqual([]);
  });

  it('is called off when the run is stopped, and leaves nothing behind', async () => {
    await using server = await ownServer(major, { fsync: 'off' });
    await using target = await freshDatabase(15);
    const source = server.database;
    await source.session.query(TABLE);
    await using _ = await openWriter(source);
    const abort = new AbortController();
    const events: MigrationEvent[] = [];
    const migration = start(source, target, { events, signal: abort.signal });
    await expect.poll(() => texts(events), { timeout: 30_000 }).toContain('once these transactions');
    expect(await left(source)).toEqual({ slots: 1, senders: 1 });
    const asked = performance.now();
    abort.abort();
    expect((await migration.finished).outcome).toBe('stopped');
    // The server was told, not left: that would take longer.
    expect(performance.now() - asked).toBeLessThan(4_500);
    await expect.poll(() => left(source)).toEqual({ slots: 0, senders: 0 });
  });
});

it('a process that was superseded while it prepared the source does not drop the slot of the new owner', async () => {
  await using ends = await freshPair(17, 18, TABLE);
  const { source, target } = ends;
  await using locker = await source.open();
  // What publishing a table waits for, and nothing before.
  await locker.query('BEGIN; LOCK TABLE public.t IN SHARE UPDATE EXCLUSIVE MODE');
  await target.session.query(TABLE);
  const old = start(source, target, { types: ['incremental'] });
  void old.finished.catch(() => {});
  const waits = () =>
    source.session.query(
      "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND application_name ~ ':control$'",
    );
  await expect.poll(async () => (await waits()).length, { timeout: 20_000 }).toBe(1);
  // The new owner, on a server where it may not end the old one's sessions.
  const { slot } = await target.session.one(
    "UPDATE _opendts.task SET fence = fence + 1 RETURNING 'dts_sync_' || task_id AS slot",
  );
  await source.session.query(`SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
  await locker.query('ROLLBACK');
  await expect(old.finished).rejects.toMatchObject({ code: 'FENCED' });
  expect(
    await source.session.query(
      'SELECT slot_name FROM pg_replication_slots WHERE database = current_database()',
    ),
  ).toEqual([{ slot_name: slot }]);
});

it('a slot that somebody else reads is not taken from him: he is named, and when he is gone the task goes on', async () => {
  await using ends = await freshPair(17, 15, TABLE);
  const { source, target } = ends;
  const run = await follow(source, target);
  const { name } = await source.session.one(
    'SELECT slot_name AS name FROM pg_replication_slots WHERE database = current_database()',
  );
  await using foreign = await source.open({ replication: true, role: 'curious' });
  const held = async () => {
    const { pid } = await source.session.one(
      'SELECT active_pid AS pid FROM pg_replication_slots WHERE database = current_database()',
    );
    return Number(pid) === foreign.pid;
  };
  while (!(await held())) {
    await source.session.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name ~ ':stream$'",
    );
    // Does not return while it streams.
    void foreign
      .query(`START_REPLICATION SLOT ${name} LOGICAL 0/0 (proto_version '1', publication_names '${name}')`)
      .catch(() => {});
    await pause(30);
  }
  await expect
    .poll(() => texts(run.events), { timeout: 30_000 })
    .toMatch(
      new RegExp(
        `slot ${name} is in use by backend ${foreign.pid} \\(user postgres, application test:curious, from 127\\.0\\.0\\.1\\)`,
      ),
    );
  expect(await held()).toBe(true);
  foreign.destroy();
  await source.session.query("INSERT INTO t VALUES (2, 'b')");
  expect((await run.catchUp()).outcome).toBe('caught-up');
  expect((await compare(source, target)).differing).toEqual([]);
});

describe.each(
  firstOf(1, [
    [18, /invalidated by the server \(wal_removed\)/],
    [15, /lost \(its WAL was removed\)/],
  ] as const),
)('on PostgreSQL %i a slot that keeps too much', (major, state) => {
  it('is shown and warned of before the server drops it, and named as lost after', async () => {
    await using server = await ownServer(major, {
      max_slot_wal_keep_size: '64MB',
      // No checkpoint but the test's own.
      max_wal_size: '2GB',
      checkpoint_timeout: '1h',
      fsync: 'off',
    });
    await using target = await freshDatabase(18);
    const source = server.database;
    await source.session.query(TABLE);
    const run = await follow(source, target);
    let ended = false;
    run.migration.finished.catch(() => (ended = true));
    await expect
      .poll(() => run.migration.progress().slot, { timeout: 15_000 })
      .toMatchObject({ walStatus: 'reserved', safeBytes: expect.any(BigInt) });
    // The target stands still, so the slot does.
    await using locker = await target.open();
    await locker.query('BEGIN; LOCK TABLE public.t IN ACCESS EXCLUSIVE MODE');
    const grow = async () => {
      await source.session.query("INSERT INTO t SELECT max(id) + 1, 'x' FROM t; SELECT pg_switch_wal()");
      // Time to be looked at.
      await pause(1_500);
    };
    const warned = (pattern: RegExp) => pattern.test(texts(run.events));
    while (!ended && !warned(/will drop it after/)) await grow();
    expect(warned(/drops it at its next checkpoint/)).toBe(false);
    while (!ended && !warned(/drops it at its next checkpoint/)) await grow();
    expect(run.migration.progress().slot).toMatchObject({ walStatus: 'unreserved' });
    await source.session.query('CHECKPOINT');
    await locker.query('ROLLBACK');
    await expect(run.migration.finished).rejects.toMatchObject({
      code: 'SLOT_LOST',
      message: expect.stringMatching(state),
      remedy: expect.stringContaining('max_slot_wal_keep_size'),
    });
  });
});
