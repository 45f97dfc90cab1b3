/** What the watch sees on real servers, and that it never gets in anybody's way. */
import { createServer, type AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { freshDatabase, type TestDatabase } from '../../../test/database.ts';
import { MAJORS } from '../../../test/global-setup.ts';
import { AppError } from '../../base/errors/app-error.ts';
import { sleep } from '../../base/runtime/sleep.ts';
import { connect } from '../pg/connect.ts';
import type { Session } from '../pg/session.ts';
import { importSnapshot } from './import-snapshot.ts';
import { holdFreshSnapshot, holdSlotSnapshot } from './snapshot-holder.ts';
import type { Overrun } from './source-limits.ts';
import { readSourceState, watchSource, type SourceWatch } from './source-watch.ts';

const LIMITS = { snapshotAge: 1000n, retainedWal: 10n ** 12n };

function as(db: TestDatabase, role: string, replication = false): Promise<Session> {
  const applicationName = `opendts:${db.name}:${role}`;
  return connect(db.info, { side: 'source', applicationName, replication });
}

/** Uses up this many transaction ids. */
async function spendXids(db: TestDatabase, count: number): Promise<void> {
  await db.session.query(
    `DO $$ BEGIN FOR i IN 1..${count} LOOP PERFORM pg_catalog.txid_current(); COMMIT; END LOOP; END $$`,
  );
}

/** A watch whose calls are noted. */
function noting(db: TestDatabase, options: Partial<SourceWatch> = {}) {
  const warnings: string[] = [];
  const overruns: Overrun[] = [];
  const watch = watchSource({
    taskId: db.name,
    limits: LIMITS,
    slot: null,
    open: () => as(db, 'watch'),
    onWarning: (message) => warnings.push(message),
    onOverrun: async (over) => void overruns.push(over),
    everyMs: 50,
    ...options,
  });
  return { watch, warnings, overruns };
}

const watchers = async (db: TestDatabase) =>
  (await db.session.query(`SELECT FROM pg_stat_activity WHERE application_name = 'opendts:${db.name}:watch'`))
    .length;

describe.each(MAJORS)('on PostgreSQL %i the watch', (major) => {
  it('sees how old the snapshot is, also when only a worker still holds it, and what the slot keeps', async () => {
    await using db = await freshDatabase(major);
    const slot = `s_${db.name}`;
    const read = () => readSourceState(db.session, { taskId: db.name, limits: LIMITS, slot });
    expect(await read()).toEqual({ snapshotAge: null, slot: 'gone', waiters: [], longTransactions: [] });
    const held = await holdSlotSnapshot(
      await as(db, 'holder', true),
      { name: slot, plugin: 'pgoutput' },
      {
        control: db.session,
        waitMs: 10_000,
      },
    );
    await using worker = await as(db, 'copy');
    await importSnapshot(worker, held);
    await spendXids(db, 50);
    const before = await read();
    expect(before.snapshotAge).toBeGreaterThanOrEqual(50n);
    expect(before.slot).toMatchObject({ slot, walStatus: major === 12 ? null : 'reserved', safeBytes: null });
    await held[Symbol.asyncDispose]();
    await db.session.query(
      'CREATE TABLE t (v text); INSERT INTO t SELECT repeat(md5(i::text), 10) FROM generate_series(1, 10000) i',
    );
    const after = await read();
    expect(after.snapshotAge).toBeGreaterThanOrEqual(before.snapshotAge!);
    const kept = (state: typeof after) => (typeof state.slot === 'string' ? 0n : state.slot.retainedBytes);
    expect(kept(after)).toBeGreaterThan(kept(before) + 3_000_000n);
    await worker.end();
    await expect.poll(async () => (await read()).snapshotAge).toBeNull();
  });

  it('sees transactions that are open for long, those that write and those that only read, and none of ours', async () => {
    await using db = await freshDatabase(major);
    await db.session.query('CREATE TABLE t (id int)');
    const begin = async (role: string, sql: string) => {
      const session = await as(db, role);
      await session.query(
        `SET application_name = ${role === 'copy' ? `'opendts:x:copy'` : `'app_${db.name}'`}`,
      );
      await session.query(`BEGIN ISOLATION LEVEL REPEATABLE READ; ${sql}`);
      return session;
    };
    await using writer = await begin('a', 'INSERT INTO public.t VALUES (1)');
    await using reader = await begin('b', 'SELECT FROM public.t');
    await using ours = await begin('copy', 'SELECT FROM public.t');
    const read = async (longSeconds: number) =>
      (
        await readSourceState(db.session, { taskId: db.name, limits: LIMITS, slot: null, longSeconds })
      ).longTransactions.filter(({ who }) => who.includes(db.name) || who.includes(`backend ${ours.pid} `));
    expect(await read(60)).toEqual([]);
    await sleep(1_100);
    const found = await read(1);
    expect(found).toHaveLength(2);
    expect(found).toContainEqual({
      who: expect.stringContaining(`backend ${writer.pid} (user postgres, application app_`),
      seconds: expect.any(Number),
      writes: true,
    });
    expect(found).toContainEqual({
      who: expect.stringContaining(`backend ${reader.pid} `),
      seconds: expect.any(Number),
      writes: false,
    });
    await ours.query('ROLLBACK');
  });

  it('sees who waits behind a copy, and nobody else', async () => {
    await using db = await freshDatabase(major);
    await db.session.query('CREATE TABLE t (id int); CREATE TABLE u (id int); CREATE TABLE v (id int)');
    await using worker = await as(db, 'copy');
    await worker.query('BEGIN; LOCK TABLE public.t, public.u IN ACCESS SHARE MODE');
    await using other = await as(db, 'other');
    await other.query('BEGIN; LOCK TABLE public.v IN ACCESS SHARE MODE');
    await using alter = await db.open();
    await using reader = await db.open();
    await using elsewhere = await db.open();
    const waiting = [
      alter.query('ALTER TABLE public.t ADD COLUMN x int'),
      elsewhere.query('ALTER TABLE public.v ADD COLUMN x int'),
    ];
    const blocked = async () =>
      (await db.session.query('SELECT FROM pg_locks WHERE NOT granted AND locktype = $1', ['relation']))
        .length;
    await expect.poll(blocked).toBeGreaterThanOrEqual(2);
    waiting.push(reader.query('SELECT FROM public.t'));
    await expect.poll(blocked).toBeGreaterThanOrEqual(3);
    const state = await readSourceState(db.session, { taskId: db.name, limits: LIMITS, slot: null });
    expect(state).toEqual({
      snapshotAge: null,
      slot: 'none',
      waiters: [{ pid: String(alter.pid), table: 'public.t' }],
      longTransactions: [],
    });
    await worker.query('COMMIT');
    await other.query('COMMIT');
    await Promise.all(waiting);
  });
});

describe('the watch', () => {
  it('warns once of each thing, then calls the end once and asks no more', async () => {
    await using db = await freshDatabase(18);
    await using held = await holdFreshSnapshot(() => as(db, 'holder'), { covers: null, settled: null });
    const { watch, warnings, overruns } = noting(db, { limits: { snapshotAge: 500n, retainedWal: null } });
    using _ = watch;
    await spendXids(db, 420);
    await expect.poll(() => warnings).toHaveLength(1);
    await sleep(300);
    expect(warnings).toEqual([expect.stringContaining('transactions old; beyond 500')]);
    await spendXids(db, 200);
    await expect.poll(() => overruns).toHaveLength(1);
    await sleep(300);
    expect(overruns).toEqual([{ kind: 'snapshot-age', age: expect.any(BigInt), limit: 500n }]);
    expect(held.lost.aborted).toBe(false);
    await expect.poll(() => watchers(db)).toBe(0);
  });

  it('opens no session before its first turn, and leaves none behind', async () => {
    await using db = await freshDatabase(15);
    let opened = 0;
    const open = () => {
      opened++;
      return as(db, 'watch');
    };
    const short = noting(db, { open, everyMs: 60_000 });
    await sleep(100);
    short.watch[Symbol.dispose]();
    expect(opened).toBe(0);
    const { watch } = noting(db, { open });
    await expect.poll(() => watchers(db)).toBe(1);
    await sleep(300);
    watch[Symbol.dispose]();
    expect(opened).toBe(1);
    await expect.poll(() => watchers(db)).toBe(0);
  });

  it('goes on with another session after its own was lost', async () => {
    await using db = await freshDatabase(15);
    await using held = await holdFreshSnapshot(() => as(db, 'holder'), { covers: null, settled: null });
    const { watch, overruns } = noting(db, { limits: { snapshotAge: 100n, retainedWal: null } });
    using _ = watch;
    await expect.poll(() => watchers(db)).toBe(1);
    await db.session.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'opendts:${db.name}:watch'`,
    );
    await spendXids(db, 150);
    await expect.poll(() => overruns, { timeout: 5_000 }).toHaveLength(1);
    expect(held.lost.aborted).toBe(false);
  });

  it('says once that it is blind, where there is a limit to keep, and asks less and less often', async () => {
    await using db = await freshDatabase(15);
    let asked = 0;
    const open = () => {
      asked++;
      return Promise.reject(new AppError('CONNECTION_LOST', { side: 'source', problem: 'full' }));
    };
    const limited = noting(db, { open, everyMs: 10 });
    await sleep(1_000);
    limited.watch[Symbol.dispose]();
    expect(limited.warnings).toEqual([expect.stringContaining('its limits are not kept at present')]);
    expect(asked).toBeGreaterThan(3);
    expect(asked).toBeLessThan(15);
    const free = noting(db, { open, everyMs: 10, limits: { snapshotAge: null, retainedWal: null } });
    await sleep(500);
    free.watch[Symbol.dispose]();
    expect(free.warnings).toEqual([]);
  });

  it('gives up a question that is not answered, and asks on another session', async () => {
    await using db = await freshDatabase(15);
    const pids: number[] = [];
    const open = async () => {
      const session = await as(db, 'watch');
      pids.push(session.pid);
      return session;
    };
    const { watch } = noting(db, { open, answerMs: 300 });
    await expect.poll(() => pids).toHaveLength(1);
    process.kill(pids[0]!, 'SIGSTOP');
    try {
      await expect.poll(() => pids, { timeout: 5_000 }).toHaveLength(2);
    } finally {
      process.kill(pids[0]!, 'SIGCONT');
      watch[Symbol.dispose]();
    }
    await expect.poll(() => watchers(db)).toBe(0);
  });

  it('lets go of a server that does not answer, without anybody waiting', async () => {
    await using db = await freshDatabase(15);
    const silent = createServer((socket) => socket.on('error', () => {}).resume());
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    const hosts = [{ host: '127.0.0.1', address: null, port, password: null }];
    let opened: Promise<Session> | null = null;
    const { watch, warnings } = noting(db, {
      open: () =>
        (opened = connect(
          { ...db.info, hosts, connectTimeoutSeconds: 1 },
          { side: 'source', applicationName: 'opendts:x:watch' },
        )),
    });
    await expect.poll(() => opened !== null).toBe(true);
    watch[Symbol.dispose]();
    await expect(opened).rejects.toThrow();
    await sleep(200);
    expect(warnings).toEqual([]);
    await new Promise((resolve) => silent.close(resolve));
  });
});
