/** What a full copy may cost its source: limits that end it, locks that stand in nobody's way, and a holder that is missed at once. */
import { describe, expect, it } from 'vitest';
import type { MigrationEvent } from '../src/contract/progress.ts';
import type { Migration } from '../src/service/task/migrate.ts';
import type { RunOptions } from './migration.ts';
import { freshDatabase, type TestDatabase } from './database.ts';
import { pause, reaches } from './follow.ts';
import { compare, migrate, start } from './migration.ts';
import { firstOf } from './matrix.ts';

const TABLES = `
  CREATE TABLE big (id int PRIMARY KEY, v text); CREATE TABLE other (id int PRIMARY KEY, v text); CREATE TABLE keyless (v text);
  INSERT INTO big SELECT i, repeat(md5(i::text), 20) FROM generate_series(1, 60000) i;
  INSERT INTO other SELECT i, repeat(md5(i::text), 20) FROM generate_series(1, 30000) i;
  INSERT INTO keyless SELECT md5(i::text) FROM generate_series(1, 100) i; ANALYZE`;

/** About 60 MB: far longer than any test waits. */
const SLOW = { queriesPerSecond: null, rowsPerSecond: null, bytesPerSecond: 200_000 };
const NONE = { snapshotAge: null, retainedWal: null };

interface Running {
  readonly migration: Migration;
  readonly events: MigrationEvent[];
}

/** Returns once rows flow. */
async function copying(
  source: TestDatabase,
  target: TestDatabase,
  options: RunOptions = {},
): Promise<Running> {
  await source.session.query(TABLES);
  const events: MigrationEvent[] = [];
  const migration = start(source, target, { limits: SLOW, events, ...options });
  void migration.finished.catch(() => {});
  await reaches(migration, 'copy');
  while (migration.progress().bytesCopied === 0n) await pause(20);
  return { migration, events };
}

const warned = ({ events }: Running, pattern: RegExp) =>
  events.filter(({ level, message }) => level === 'warn' && pattern.test(message)).length;

/** Sessions of ours in the source's database that keep an old snapshot alive. */
async function holders(source: TestDatabase): Promise<number> {
  const rows = await source.session.query(
    `SELECT FROM pg_stat_activity WHERE datname = current_database() AND backend_xmin IS NOT NULL
        AND application_name ~ '^opendts:.*:(holder|copy)$'`,
  );
  return rows.length;
}

async function spendXids(source: TestDatabase, count: number): Promise<void> {
  await source.session.query(
    `DO $$ BEGIN FOR i IN 1..${count} LOOP PERFORM txid_current(); COMMIT; END LOOP; END $$`,
  );
}

const mySlots = (source: TestDatabase) =>
  source.session.query('SELECT slot_name FROM pg_replication_slots WHERE database = current_database()');

describe.each(
  firstOf(1, [
    [12, 18],
    [17, 15],
  ] as const),
)('a copy from %i to %i', (from, to) => {
  it('ends when its snapshot grows older than allowed, and goes on under a later one', async () => {
    await using source = await freshDatabase(from);
    await using target = await freshDatabase(to);
    // Wide steps: other tests spend xids on the same server.
    const limits = { ...NONE, snapshotAge: 20_000n };
    const run = await copying(source, target, { protect: limits });
    await spendXids(source, 16_500);
    await expect.poll(() => warned(run, /beyond 20000 the copy is ended/), { timeout: 10_000 }).toBe(1);
    await source.session.query("INSERT INTO big VALUES (0, 'later')");
    await spendXids(source, 4_000);
    await expect(run.migration.finished).rejects.toMatchObject({
      code: 'SOURCE_PROTECTED',
      message: expect.stringMatching(/snapshot became 2\d{4} transactions old, allowed are 20000.*released/),
      remedy: expect.stringContaining('Run again'),
    });
    await expect.poll(() => holders(source)).toBe(0);
    expect(await mySlots(source)).toHaveLength(1);
    const { outcome } = await migrate(source, target, { protect: limits });
    expect(outcome).toBe('caught-up');
    expect((await compare(source, target)).differing).toEqual([]);
  });

  it('ends when the slot keeps more WAL than allowed, drops it, and says at once what is left to do', async () => {
    await using source = await freshDatabase(from);
    await using target = await freshDatabase(to);
    const run = await copying(source, target, { protect: { ...NONE, retainedWal: 100_000_000n } });
    // A segment of 16 MB each.
    for (let i = 0; i < 7; i++)
      await source.session.query(`CREATE TABLE w${i} (); SELECT pg_switch_wal(); CHECKPOINT`);
    await expect(run.migration.finished).rejects.toMatchObject({
      code: 'SOURCE_PROTECTED',
      message: expect.stringMatching(
        /keep 0\.1 GB of WAL, allowed are 0\.1 GB .* released and the slot dropped/,
      ),
      remedy: expect.stringContaining('opendts cleanup'),
    });
    await expect.poll(() => holders(source)).toBe(0);
    expect(await mySlots(source)).toEqual([]);
    const events: MigrationEvent[] = [];
    await expect(migrate(source, target, { events })).rejects.toMatchObject({ code: 'SLOT_LOST' });
    expect(events.filter(({ phase }) => phase === 'copy')).toEqual([]);
  });
});

it('a copy whose slot somebody drops ends, for it would be in vain', async () => {
  await using source = await freshDatabase(18);
  await using target = await freshDatabase(15);
  const run = await copying(source, target);
  await source.session.query(
    'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()',
  );
  await expect(run.migration.finished).rejects.toMatchObject({
    code: 'SLOT_LOST',
    message: expect.stringContaining('is gone'),
  });
});

it('a copy stops at once for the sake of the source also where a worker waits for a lock', async () => {
  await using source = await freshDatabase(17);
  await using target = await freshDatabase(18);
  await source.session.query('CREATE TABLE aaa (id int PRIMARY KEY); INSERT INTO aaa VALUES (1)');
  await using locker = await source.open();
  const limits = { ...NONE, snapshotAge: 300n };
  // Slots and publications are made before: they would wait for the lock.
  const types = ['schema', 'full'] as const;
  await source.session.query(TABLES);
  const migration = start(source, target, {
    types,
    protect: limits,
    onEvent: ({ phase, message }) => {
      if (phase === 'schema' && /creating/.test(message))
        void locker.query('BEGIN; LOCK TABLE public.big, public.other, public.keyless, public.aaa');
    },
  });
  void migration.finished.catch(() => {});
  await reaches(migration, 'copy');
  const waiting = () =>
    source.session.query(
      "SELECT FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND application_name ~ ':copy$'",
    );
  await expect.poll(async () => (await waiting()).length, { timeout: 10_000 }).toBeGreaterThan(0);
  await spendXids(source, 400);
  await expect(migration.finished).rejects.toMatchObject({ code: 'SOURCE_PROTECTED' });
  expect(await waiting()).toEqual([]);
  await locker.query('ROLLBACK');
});

it('a copy tells at once when the session that holds its snapshot has ended, and is finished under a later one', async () => {
  await using source = await freshDatabase(17);
  await using target = await freshDatabase(18);
  const run = await copying(source, target, { jobs: 2 });
  await source.session.query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name ~ ':holder$'",
  );
  await expect
    .poll(() => warned(run, /session that holds the snapshot has ended/), { timeout: 2_000 })
    .toBe(1);
  expect(run.migration.progress().phase).toBe('copy');
  await source.session.query("INSERT INTO big VALUES (0, 'later')");
  // The workers have the snapshot and go on; only a new reader finds it gone.
  await source.session.query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name ~ ':copy$'",
  );
  run.migration.limit({ queriesPerSecond: null, rowsPerSecond: null, bytesPerSecond: null });
  expect((await run.migration.finished).outcome).toBe('caught-up');
  expect(warned(run, /is copied under a new snapshot/)).toBe(1);
  expect(warned(run, /session that holds the snapshot has ended/)).toBe(1);
  expect((await compare(source, target)).differing).toEqual([]);
});

describe('while rows are copied', () => {
  it('no lock on a table of the source is stronger than that of a SELECT', async () => {
    await using source = await freshDatabase(18);
    await using target = await freshDatabase(17);
    const { migration } = await copying(source, target);
    const held = new Set<string>();
    const ends = performance.now() + 4_000;
    while (performance.now() < ends) {
      const locks = await source.session.query(
        `SELECT c.relname AS name, l.mode, a.application_name AS role
           FROM pg_locks l JOIN pg_stat_activity a USING (pid) JOIN pg_class c ON c.oid = l.relation
          WHERE a.application_name LIKE 'opendts:%' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND c.relnamespace = 'public'::regnamespace`,
      );
      for (const { name, mode, role } of locks) held.add(`${role?.split(':')[2]} ${mode} ${name}`);
      await pause(20);
    }
    migration.limit({ queriesPerSecond: null, rowsPerSecond: null, bytesPerSecond: null });
    await migration.finished;
    expect([...held]).toContain('copy AccessShareLock big');
    expect([...held].filter((lock) => !lock.includes(' AccessShareLock '))).toEqual([]);
  });

  it('whoever must wait for them is named once', async () => {
    await using source = await freshDatabase(15);
    await using target = await freshDatabase(18);
    const run = await copying(source, target);
    // Rows of another table may flow already.
    const isHeld = `SELECT FROM pg_locks WHERE relation = 'public.big'::regclass AND pid <> pg_backend_pid()`;
    await expect.poll(() => source.session.query(isHeld).then((locks) => locks.length)).toBeGreaterThan(0);
    await using alter = await source.open();
    // Looked at from the start: it may be canceled before whoever cancels it has his answer.
    const canceled = expect(alter.query('ALTER TABLE public.big ADD COLUMN added int')).rejects.toThrow(
      'canceling',
    );
    const pattern = new RegExp(`Backend ${alter.pid} .* waits for the copy of public.big; later queries`);
    await expect.poll(() => warned(run, pattern), { timeout: 60_000 }).toBe(1);
    await pause(3_500);
    expect(warned(run, pattern)).toBe(1);
    await source.session.query(`SELECT pg_cancel_backend(${alter.pid})`);
    await canceled;
    run.migration.limit({ queriesPerSecond: null, rowsPerSecond: null, bytesPerSecond: null });
    expect((await run.migration.finished).outcome).toBe('caught-up');
  });
});
