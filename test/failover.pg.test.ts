/** The source fails over to a physical standby: the task follows it where the slot does, and says what it means where it does not. */
import { describe, expect, it } from 'vitest';
import type { MigrationEvent } from '../src/contract/progress.ts';
import type { Lsn } from '../src/engine/change/lsn.ts';
import type { Session } from '../src/engine/pg/session.ts';
import { endOfWal } from '../src/engine/pg/wal-position.ts';
import { cleanup } from '../src/service/task/release/cleanup.ts';
import { failover } from '../src/engine/precheck/checks/failover.ts';
import { OPERATIONS } from '../src/contract/task-spec.ts';
import { tableWishes } from '../src/engine/selection/table-wishes.ts';
import { freshDatabase, type TestDatabase } from './database.ts';
import { pause, reaches } from './follow.ts';
import type { Major } from './global-setup.ts';
import { compare, migrate, SAME_NAMES, start, type RunOptions } from './migration.ts';
import { ownServer, type OwnServer } from './own-server.ts';
import { eitherOf, STANDBY_SLOT, standbyOf, type Standby } from './standby.ts';

const TABLES = `
  CREATE TABLE keyed (id int PRIMARY KEY, v text); CREATE TABLE log (n int, v text);
  INSERT INTO keyed SELECT i, md5(i::text) FROM generate_series(1, 500) i; INSERT INTO log SELECT 1, 'before' FROM generate_series(1, 50)`;

interface Cluster extends AsyncDisposable {
  readonly primary: OwnServer;
  readonly standby: Standby;
}

async function cluster(major: Major, settings: Record<string, string> = {}): Promise<Cluster> {
  // No test here crashes the machine.
  const primary = await ownServer(major, { fsync: 'off', ...settings });
  await primary.database.session.query(TABLES);
  const standby = await standbyOf(primary, { fsync: 'off' });
  return {
    primary,
    standby,
    [Symbol.asyncDispose]: async () => {
      await standby[Symbol.asyncDispose]();
      await primary[Symbol.asyncDispose]();
    },
  };
}

/** Each transaction adds two equal rows to a table without a key, where a change that is lost or applied twice shows. */
async function write(database: TestDatabase, from: number, count: number): Promise<void> {
  for (let n = from; n < from + count; n++) {
    await database.session.query(
      `BEGIN; INSERT INTO log VALUES (${n}, 'w'), (${n}, 'w'); UPDATE keyed SET v = 'n${n}' WHERE id = ${1 + (n % 500)}; COMMIT`,
    );
  }
}

/** A run that follows changes, and ends where the server it is given is at that moment. */
async function following({ primary, standby }: Cluster, target: TestDatabase, options: RunOptions = {}) {
  const goal = Promise.withResolvers<Lsn>();
  const events: MigrationEvent[] = [];
  const migration = start(primary.database, target, {
    sourceInfo: eitherOf(primary, standby),
    until: { kind: 'lsn', lsn: goal.promise },
    events,
    ...options,
  });
  void migration.finished.catch(() => {});
  await reaches(migration, 'stream');
  return {
    migration,
    events,
    catchUp: async ({ session }: TestDatabase) => {
      goal.resolve(await endOfWal(session));
      return migration.finished;
    },
  };
}

/** The standby has a copy of the task's slot that would serve after a promotion. */
async function slotIsReady({ primary, standby }: Cluster): Promise<void> {
  const ready = () =>
    standby.database.session.query(
      "SELECT FROM pg_replication_slots WHERE slot_name LIKE 'dts_sync_%' AND synced AND NOT temporary AND invalidation_reason IS NULL",
    );
  while ((await ready()).length === 0) {
    // Slots advance with it; an idle server writes one every 15 s.
    await primary.database.session.query('SELECT pg_log_standby_snapshot()');
    await pause(100);
  }
}

/** Reads the task's slot under another name, until the session is destroyed. Null where the task is there already. */
async function occupySlot(database: TestDatabase): Promise<Session | null> {
  const { slot, pid } = await database.session.one(
    "SELECT slot_name AS slot, active_pid AS pid FROM pg_replication_slots WHERE slot_name LIKE 'dts_sync_%'",
  );
  if (pid !== null) return null;
  const reader = await database.open({ replication: true });
  // Does not return while it streams.
  void reader
    .query(`START_REPLICATION SLOT ${slot} LOGICAL 0/0 (proto_version '1', publication_names '${slot}')`)
    .catch(() => {});
  return reader;
}

const slots = ({ database }: OwnServer) =>
  database.session.query('SELECT slot_name FROM pg_replication_slots WHERE database IS NOT NULL');

const UNLIMITED = { queriesPerSecond: null, rowsPerSecond: null, bytesPerSecond: null };

const texts = (events: readonly MigrationEvent[]) => events.map(({ message }) => message).join('\n');

const lane = (target: TestDatabase) =>
  target.session.one('SELECT end_lsn::text AS end, timeline::text FROM _opendts.lane WHERE lane = 0');

describe.each([
  [17, 18, 'read-write'],
  [18, 15, 'any'],
] as const)('from %i to %i (target_session_attrs=%s) a task', (from, to, targetSessionAttrs) => {
  it('follows its source to the promoted standby: nothing is lost, nothing applied twice', async () => {
    await using ends = await cluster(from, { synchronized_standby_slots: STANDBY_SLOT });
    await using target = await freshDatabase(to);
    const { primary, standby } = ends;
    const sourceInfo = { ...eitherOf(primary, standby), targetSessionAttrs };
    const run = await following(ends, target, { sourceInfo });
    let written = 0;
    const writing = (async () => {
      for (; ; written += 10) await write(primary.database, written, 10);
    })().catch(() => {});
    await slotIsReady(ends);
    await pause(500);
    await primary.die();
    await writing;
    // Nobody is primary meanwhile.
    const between = targetSessionAttrs === 'any' ? /is a standby.* is there and ready/ : /is read-only/;
    await expect.poll(() => texts(run.events), { timeout: 10_000 }).toMatch(between);
    await standby.promote();
    await write(standby.database, 100_000, 50);
    expect((await run.catchUp(standby.database)).outcome).toBe('caught-up');
    expect(written).toBeGreaterThan(0);
    expect((await compare(standby.database, target)).differing).toEqual([]);
    expect((await lane(target)).timeline).toBe('2');
    expect(texts(run.events)).toContain('failed over and is on timeline 2');
    // What is recorded lies behind the branch now: the next run must not take that for a loss.
    await write(standby.database, 200_000, 5);
    await migrate(primary.database, target, { sourceInfo });
    expect((await compare(standby.database, target)).differing).toEqual([]);
    await expect(cleanup({ source: sourceInfo, target: target.info, dryRun: false })).rejects.toMatchObject({
      code: 'SLOT_LEFT',
      message: expect.stringContaining(`may have stayed on 127.0.0.1:${primary.port}/postgres`),
      remedy: expect.stringMatching(/pg_drop_replication_slot.* WHERE slot_name IN \('dts_sync_\w+'\)/),
    });
    expect(await slots(standby)).toEqual([]);
    // It is gone for good.
    await cleanup({ source: standby.database.info, target: target.info, dryRun: false });
    expect(await target.session.query("SELECT FROM pg_namespace WHERE nspname = '_opendts'")).toEqual([]);
  });
});

/** Stops a run that is in step, with the standby ready to take over. */
async function stoppedInStep(ends: Cluster, target: TestDatabase): Promise<void> {
  const run = await following(ends, target);
  await slotIsReady(ends);
  await write(ends.primary.database, 0, 5);
  await run.catchUp(ends.primary.database);
}

it('a source with a standby is told before what a failover would do to the migration', async () => {
  const look = async (major: Major, settings: Record<string, string> = {}) => {
    await using ends = await cluster(major, settings);
    const { session, info } = ends.primary.database;
    const [found] = await failover.run({
      source: session,
      target: session,
      sourceInfo: info,
      targetInfo: info,
      types: new Set(['incremental']),
      tables: [],
      targetTables: [],
      mapping: SAME_NAMES,
      wishOf: tableWishes([], { operations: OPERATIONS, rules: [] }),
      conflict: 'report',
      partitions: 'keep',
      wholeDatabase: true,
      heartbeat: true,
      captureDdl: 'auto',
      replicaIdentity: 'needed',
      jobs: 1,
    });
    return found;
  };
  expect(await look(15)).toMatchObject({
    result: 'alert',
    what: expect.stringContaining('before 17'),
    evidence: STANDBY_SLOT,
  });
  expect(await look(18)).toMatchObject({
    result: 'alert',
    what: expect.stringContaining('the source has 1 standby, and changes may be applied that are lost'),
    fix: expect.stringContaining(`synchronized_standby_slots = '${STANDBY_SLOT}';`),
  });
  expect(await look(17, { synchronized_standby_slots: STANDBY_SLOT })).toMatchObject({ result: 'passed' });
});

describe('a source that fails over and has lost what the target has', () => {
  it('is named, with both timelines, and nothing is read from it', async () => {
    await using ends = await cluster(17);
    await using target = await freshDatabase(18);
    const { primary, standby } = ends;
    await stoppedInStep(ends, target);
    await standby.caughtUp();
    await standby.cutOff();
    await write(primary.database, 1_000, 20);
    const sourceInfo = eitherOf(primary, standby);
    await migrate(primary.database, target, { sourceInfo });
    const before = await lane(target);
    await primary.die();
    await standby.promote();
    await write(standby.database, 5_000, 20);
    await expect(migrate(primary.database, target, { sourceInfo })).rejects.toMatchObject({
      code: 'TIMELINE_LEFT',
      message: expect.stringMatching(
        /on timeline 2, which left timeline 1 at [0-9A-F/]+, before the recorded position [0-9A-F/]+/,
      ),
      remedy: expect.stringMatching(/opendts verify.*opendts cleanup.*synchronized_standby_slots/),
    });
    expect(await lane(target)).toEqual(before);
  });

  it('is named also where only a copy under a later snapshot has seen what was lost', async () => {
    await using ends = await cluster(18);
    await using target = await freshDatabase(17);
    const { primary, standby } = ends;
    await stoppedInStep(ends, target);
    await primary.die();
    await standby.promote();
    // As if a table had been copied again shortly before the old primary died.
    await target.session.query("UPDATE _opendts.copy_chunk SET snapshot = '9:9:', read_until = '7F/0'");
    await expect(
      migrate(primary.database, target, { sourceInfo: eitherOf(primary, standby) }),
    ).rejects.toMatchObject({ code: 'TIMELINE_LEFT', facts: { recorded: '7F/0' } });
  });
});

it('the primary of before a failover is not read from when it comes back, and cleanup drops its slot as well', async () => {
  await using ends = await cluster(18);
  await using target = await freshDatabase(18);
  const { primary, standby } = ends;
  await stoppedInStep(ends, target);
  await standby.promote();
  await write(standby.database, 1_000, 5);
  await migrate(primary.database, target, { sourceInfo: standby.database.info });
  const abort = new AbortController();
  const events: MigrationEvent[] = [];
  const back = start(primary.database, target, { events, signal: abort.signal });
  await expect
    .poll(() => texts(events), { timeout: 10_000 })
    .toMatch(/on timeline 1.* timeline 2 have been applied/);
  abort.abort();
  expect((await back.finished).outcome).toBe('stopped');
  const source = { ...standby.database.info, hosts: eitherOf(standby, primary).hosts };
  const { removed } = await cleanup({ source, target: target.info, dryRun: false });
  expect(removed).toContainEqual(
    expect.stringMatching(
      new RegExp(`^replication slot dts_sync_\\w+ on 127\\.0\\.0\\.1:${primary.port}/postgres$`),
    ),
  );
  expect([await slots(primary), await slots(standby)]).toEqual([[], []]);
});

it.each([12, 15] as const)(
  'a source of version %i that fails over has no slot any more, and says so',
  async (from) => {
    await using ends = await cluster(from);
    await using target = await freshDatabase(18);
    const { primary, standby } = ends;
    const run = await following(ends, target);
    await write(primary.database, 0, 5);
    await standby.caughtUp();
    await primary.die();
    await standby.promote();
    await expect(run.migration.finished).rejects.toMatchObject({
      code: 'SLOT_LOST',
      message: expect.stringMatching(
        /^Replication slot dts_sync_\w+ is gone: changes since [0-9A-F/]+ can no longer be read/,
      ),
      remedy: expect.stringMatching(
        /failed over \(timeline 1 to 2\), and slots of PostgreSQL before 17 do not follow.*opendts verify.*opendts cleanup/,
      ),
    });
  },
);

it.each([
  ['before changes are followed', 1n << 60n],
  ['beside them', 1n],
])(
  'a source that fails over during the copy loses the snapshot; the rest is copied under one of the new primary: %s',
  async (_, bytes) => {
    await using ends = await cluster(17, { synchronized_standby_slots: STANDBY_SLOT });
    await using target = await freshDatabase(15);
    const { primary, standby } = ends;
    await primary.database.session.query(
      `CREATE TABLE big (id int PRIMARY KEY, v text); INSERT INTO big SELECT i, repeat(md5(i::text), 20) FROM generate_series(1, 20000) i; ANALYZE`,
    );
    await standby.caughtUp();
    const events: MigrationEvent[] = [];
    const migration = start(primary.database, target, {
      sourceInfo: eitherOf(primary, standby),
      limits: { ...UNLIMITED, bytesPerSecond: 300_000 },
      chunkBytes: 1_000_000n,
      walBudget: { bytes, ms: 900_000 },
      events,
    });
    void migration.finished.catch(() => {});
    await reaches(migration, 'copy');
    await slotIsReady(ends);
    if (bytes === 1n)
      await expect
        .poll(() => texts(events), { timeout: 20_000 })
        .toContain('Changes are applied from now on');
    while (migration.progress().tables.every(({ chunksDone }) => chunksDone === 0)) await pause(20);
    await write(primary.database, 0, 20);
    await standby.caughtUp();
    await primary.die();
    await standby.promote();
    await write(standby.database, 1_000, 20);
    // The copy is at the new primary before the stream is.
    const reader = bytes === 1n ? await occupySlot(standby.database) : null;
    migration.limit(UNLIMITED);
    if (reader !== null) {
      const isCopied = () => migration.progress().tables.every((one) => one.chunksDone === one.chunksTotal);
      await expect.poll(isCopied, { timeout: 30_000 }).toBe(true);
      reader.destroy();
    }
    expect((await migration.finished).outcome).toBe('caught-up');
    expect(migration.progress().rowsCopied).toBeGreaterThan(20_000n);
    expect(texts(events)).toContain('failed over and is on timeline 2');
    expect((await compare(standby.database, target)).differing).toEqual([]);
    expect((await lane(target)).timeline).toBe('2');
  },
);
