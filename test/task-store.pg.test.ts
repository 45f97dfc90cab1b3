/** Tasks in the store: their way through the states, fences, progress, wishes and series. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { toTableProgress, toTaskProgress } from '../src/contract/api/task-progress.ts';
import type { TableProgress } from '../src/contract/progress.ts';
import { insertGroup } from '../src/service/store/account/group/insert-group.ts';
import { migrate } from '../src/service/store/migrate.ts';
import { Store } from '../src/service/store/store.ts';
import { appendEvent } from '../src/service/store/task/event/append-event.ts';
import { changeState } from '../src/service/store/task/change-state.ts';
import { settleWish } from '../src/service/store/task/wish/settle-wish.ts';
import { effectiveRetry } from '../src/service/store/task/owner/effective-retry.ts';
import { findTask } from '../src/service/store/task/find-task.ts';
import { findTasksNamed } from '../src/service/store/task/find-tasks-named.ts';
import { leaveTask } from '../src/service/store/task/owner/leave-task.ts';
import { listEvents } from '../src/service/store/task/event/list-events.ts';
import { listSeries } from '../src/service/store/task/progress/list-series.ts';
import { listTables } from '../src/service/store/task/progress/list-tables.ts';
import { listTasks } from '../src/service/store/task/list-tasks.ts';
import { listWishes } from '../src/service/store/task/wish/list-wishes.ts';
import { pruneSeries } from '../src/service/store/task/progress/prune-series.ts';
import { putWish } from '../src/service/store/task/wish/put-wish.ts';
import { readProgress } from '../src/service/store/task/progress/read-progress.ts';
import { takeTask } from '../src/service/store/task/owner/take-task.ts';
import { writeProgress } from '../src/service/store/task/progress/write-progress.ts';
import { writeSeries } from '../src/service/store/task/progress/write-series.ts';
import { listWorkers } from '../src/service/store/worker/list-workers.ts';
import { putWorker } from '../src/service/store/worker/put-worker.ts';
import { seeWorker } from '../src/service/store/worker/see-worker.ts';
import { transition } from '../src/service/task-life/transition.ts';
import { freshDatabase } from './database.ts';
import { MAJORS } from './global-setup.ts';
import { progressOf, storedTask } from './stored-task.ts';

const nobody = { accountId: null, accountName: null, workerId: null };
const person = { account: { id: randomUUID(), name: 'ada' } };

async function openStore() {
  // The oldest server that the store may be on.
  const db = await freshDatabase(MAJORS[0]!);
  const store = Store.at(db.uri);
  await migrate(store);
  const group = await insertGroup(store, randomUUID(), 'shop');
  const newTask = (name: string, more = {}) => storedTask(store, { groupId: group!.id, name, ...more });
  return {
    db,
    store,
    groupId: group!.id,
    newTask,
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      await db[Symbol.asyncDispose]();
    },
  };
}

const TABLE: TableProgress = {
  table: 'public.t',
  stage: 'copying',
  rows: 9_007_199_254_740_993n,
  bytes: 2n,
  skipped: 0n,
  format: 'binary',
  chunksDone: 1,
  chunksTotal: 2,
  share: 0.5,
  rowsEstimate: null,
  bytesEstimate: null,
  etaSeconds: { low: 1, high: 2 },
  inserts: 0n,
  updates: 0n,
  deletes: 0n,
};
const PROGRESS = progressOf({
  tables: [TABLE, { ...TABLE, table: 'public.u', stage: 'waiting' }],
  delayMs: 12.4,
  slot: { retainedBytes: 5n, walStatus: null, safeBytes: null },
  elapsedMs: 1,
});

describe('a task in the store', () => {
  it('goes from state to state with its timeline, and refuses with what is possible', async () => {
    await using at = await openStore();
    const { store } = at;
    const { id } = await at.newTask('a');
    const owner = { workerId: randomUUID() };
    expect(await transition(store, id, { event: 'start', by: person })).toMatchObject({
      state: 'prechecking',
      desired: 'running',
      version: 2,
    });
    const { fence } = (await takeTask(store, id, owner.workerId))!;
    const by = { ...owner, fence };
    for (const event of ['precheck-passed', 'began', 'in-step'] as const)
      await transition(store, id, { event, by });
    await expect(transition(store, id, { event: 'release', by: person })).rejects.toMatchObject({
      code: 'TASK_STATE_REFUSES',
      facts: { task: 'a', state: 'running', event: 'release', possible: 'pause, stop' },
    });
    const failure = { code: 'CONNECTION_LOST', message: 'm', remedy: 'r', facts: { a: 1 } };
    const failed = await transition(store, id, { event: 'failed', by, set: { failure, attempts: 2 } });
    expect(failed).toMatchObject({ failure, attempts: 2, stoppedBy: 'failure', workerId: owner.workerId });
    const stopped = await transition(store, id, { event: 'stop', by: person, facts: { why: 'cutover' } });
    expect(stopped).toMatchObject({ state: 'stopped', desired: 'stopped', stoppedBy: 'person' });
    expect(stopped.startedAt).not.toBeNull();
    expect(await leaveTask(store, id, fence)).toBe(true);
    await appendEvent(store, { taskId: id, kind: 'adjusted', by: nobody, facts: {} });
    const events = await listEvents(store, id, { after: null, limit: 20 });
    expect(events.map(({ kind }) => kind).toReversed()).toEqual([
      'created',
      'start',
      'taken',
      'precheck-passed',
      'began',
      'in-step',
      'failed',
      'stop',
      'adjusted',
    ]);
    expect(events[1]).toMatchObject({
      fromState: 'failed',
      toState: 'stopped',
      account: 'ada',
      facts: { why: 'cutover' },
    });
    expect(await listEvents(store, id, { after: events[7]!.id, limit: 20 })).toEqual(events.slice(8));
  });

  it('tells of every change on the channel', async () => {
    await using at = await openStore();
    const { id } = await at.newTask('a');
    const client = new pg.Client(at.db.uri);
    await client.connect();
    const heard = new Promise((resolve) => client.once('notification', resolve));
    await client.query('LISTEN opendts_task');
    await transition(at.store, id, { event: 'precheck', by: person });
    expect(await heard).toMatchObject({ payload: id });
    await client.end();
  });

  it('takes nothing from a worker whose fence is old', async () => {
    await using at = await openStore();
    const { store } = at;
    const { id } = await at.newTask('a');
    await transition(store, id, { event: 'precheck', by: person });
    const first = (await takeTask(store, id, randomUUID()))!;
    const second = (await takeTask(store, id, randomUUID()))!;
    const old = { workerId: first.workerId!, fence: first.fence };
    await expect(transition(store, id, { event: 'precheck-passed', by: old })).rejects.toMatchObject({
      code: 'FENCED',
    });
    // Also where the task is taken over between the look and the change.
    const change = {
      id,
      from: 'prechecking',
      to: 'prechecked',
      desired: 'idle',
      kind: 'x',
      by: nobody,
      facts: {},
    } as const;
    expect(await changeState(store, { ...change, set: {}, fence: first.fence })).toBeNull();
    const written = { taskId: id, progress: toTaskProgress(PROGRESS), tables: [toTableProgress(TABLE)] };
    expect(await writeProgress(store, { ...written, fence: first.fence })).toBe(false);
    expect(await readProgress(store, id)).toBeNull();
    expect(await listTables(store, { taskId: id, name: null, stage: null, after: null, limit: 9 })).toEqual(
      [],
    );
    expect(await leaveTask(store, id, first.fence)).toBe(false);
    expect((await findTask(store, id))!.workerId).toBe(second.workerId);
    expect(await writeProgress(store, { ...written, fence: second.fence })).toBe(true);
  });

  it('shows how far it is, table by table, without losing digits', async () => {
    await using at = await openStore();
    const { store } = at;
    const { id } = await at.newTask('a');
    const { fence } = (await takeTask(store, id, randomUUID()))!;
    const stopped = { code: 'TABLE_CHANGED', reason: 'r', keptBytes: '0' };
    const tables = [toTableProgress(TABLE), toTableProgress({ ...TABLE, table: 'public.u' }, stopped)];
    await writeProgress(store, { taskId: id, fence, progress: toTaskProgress(PROGRESS), tables });
    await writeProgress(store, { taskId: id, fence, progress: toTaskProgress(PROGRESS), tables: [] });
    expect((await readProgress(store, id))!.body).toMatchObject({
      tables: { copying: 1, waiting: 1, done: 0 },
      slot: { retainedBytes: '5' },
    });
    const all = { taskId: id, name: null, stage: null, after: null, limit: 9 };
    const found = await listTables(store, all);
    expect(found.map(({ name, body }) => [name, body.rows, body.stopped])).toEqual([
      ['public.t', '9007199254740993', null],
      ['public.u', '9007199254740993', stopped],
    ]);
    expect(await listTables(store, { ...all, name: 'c.u' })).toHaveLength(1);
    expect(await listTables(store, { ...all, after: 'public.t' })).toHaveLength(1);
    expect(await listTables(store, { ...all, stage: 'done' })).toEqual([]);
  });

  it('keeps a wish for a table until the owner of now has done it, and not one of a table that it has not', async () => {
    await using at = await openStore();
    const { store } = at;
    const { id } = await at.newTask('a');
    const { fence } = (await takeTask(store, id, randomUUID()))!;
    const tables = [toTableProgress(TABLE)];
    await writeProgress(store, { taskId: id, fence, progress: toTaskProgress(PROGRESS), tables });
    expect(await putWish(store, { taskId: id, names: ['public.t', 'public.x'], wish: 'recopy' })).toEqual([
      'public.t',
    ]);
    const [recopy] = await listWishes(store, id);
    await putWish(store, { taskId: id, names: ['public.t'], wish: 'resume' });
    // What was asked for since is not forgotten with it.
    const note = { taskId: id, fence, kind: 'table-chosen', facts: {} };
    await settleWish(store, recopy!, note);
    const [resume] = await listWishes(store, id);
    expect(resume).toMatchObject({ name: 'public.t', wish: 'resume' });
    const told = async () => (await listEvents(store, id, { after: null, limit: 9 })).length;
    const before = await told();
    // A former owner cannot tell of it, so it may not take it away either.
    const former = settleWish(store, resume!, { ...note, fence: String(BigInt(fence) - 1n) });
    await expect(former).rejects.toMatchObject({ code: 'FENCED' });
    expect([(await listWishes(store, id)).length, (await told()) - before]).toEqual([1, 0]);
    await settleWish(store, resume!, note);
    expect([(await listWishes(store, id)).length, (await told()) - before]).toEqual([0, 1]);
  });

  it('keeps one row a minute for 30 days', async () => {
    await using at = await openStore();
    const { store } = at;
    const { id } = await at.newTask('a');
    const { fence } = (await takeTask(store, id, randomUUID()))!;
    const minute = {
      taskId: id,
      delayMs: 1.6,
      lagBytes: 9_007_199_254_740_993n,
      rowsCopied: 1n,
      bytesCopied: 2n,
      changesApplied: 3n,
    };
    await writeSeries(store, { ...minute, fence: '0' });
    await writeSeries(store, { ...minute, fence });
    await writeSeries(store, { ...minute, fence, delayMs: null });
    await store.query(
      z.unknown(),
      `INSERT INTO opendts.task_series SELECT task_id, at - days * interval '1 day', delay_ms, lag_bytes, 0, 0, 0
         FROM opendts.task_series, unnest(ARRAY[29, 31]) AS days`,
    );
    expect([await pruneSeries(store, 1), await pruneSeries(store, 5), await pruneSeries(store, 5)]).toEqual([
      1, 0, 0,
    ]);
    const span = { from: '2000-01-01T00:00:00Z', to: '2100-01-01T00:00:00Z', everyMinutes: 1 };
    const points = await listSeries(store, id, span);
    expect(points.map(({ rowsCopied, lagBytes }) => [rowsCopied, lagBytes])).toEqual([
      ['0', '9007199254740993'],
      ['1', '9007199254740993'],
    ]);
    expect(await listSeries(store, id, { ...span, everyMinutes: 10_000_000 })).toEqual(points.slice(1));
  });

  it('is listed with the others, page by page, the newest first', async () => {
    await using at = await openStore();
    const made = [];
    for (const name of ['a', "b'; --", 'C', 'a'])
      made.push(await at.newTask(name, { taskGroup: name === 'C' ? 'g' : null }));
    const all = { groupId: at.groupId, state: null, taskGroup: null, name: null, after: null, limit: 3 };
    const first = await listTasks(at.store, all);
    expect(first.map(({ id }) => id)).toEqual(
      made
        .slice(1)
        .map(({ id }) => id)
        .toReversed(),
    );
    const second = await listTasks(at.store, { ...all, after: first[2]!.place });
    expect(second.map(({ id }) => id)).toEqual([made[0]!.id]);
    expect(await listTasks(at.store, { ...all, state: 'running' })).toEqual([]);
    expect(await listTasks(at.store, { ...all, name: "b'; --" })).toHaveLength(1);
    expect(await listTasks(at.store, { ...all, name: 'c', taskGroup: 'g' })).toHaveLength(1);
    expect(await listTasks(at.store, { ...all, groupId: randomUUID() })).toEqual([]);
    expect(await findTasksNamed(at.store, at.groupId, { idOrName: 'a' })).toHaveLength(2);
    expect(await findTasksNamed(at.store, at.groupId, { idOrName: made[0]!.id, lock: true })).toHaveLength(1);
    expect(await findTasksNamed(at.store, randomUUID(), { idOrName: 'a' })).toEqual([]);
  });

  it('is tried again as the latest setting of those that share a database says', async () => {
    await using at = await openStore();
    const { id } = await at.newTask('a');
    await at.newTask('b', { retryConnectMinutes: 30 });
    expect(await effectiveRetry(at.store, id)).toMatchObject({ taskName: 'a', connectMinutes: 720 });
    await at.store.query(
      z.unknown(),
      `INSERT INTO opendts.connection (id, group_id, name, kind, conninfo, secret_kind)
         SELECT gen, $1::uuid, 'c', 'postgresql', 'postgresql://h/d', 'none' FROM (SELECT $2::uuid AS gen) s`,
      [at.groupId, randomUUID()],
    );
    await at.store.query(
      z.unknown(),
      `UPDATE opendts.task SET source_connection = c.id FROM opendts.connection c WHERE task.name = 'a'`,
    );
    await at.store.query(
      z.unknown(),
      `UPDATE opendts.task SET target_connection = c.id FROM opendts.connection c WHERE task.name = 'b'`,
    );
    expect(await effectiveRetry(at.store, id)).toMatchObject({ taskName: 'b', connectMinutes: 30 });
    expect(await effectiveRetry(at.store, randomUUID())).toBeNull();
  });
});

describe('a worker in the store', () => {
  it('says that it is there, and hears that it is to drain', async () => {
    await using at = await openStore();
    const id = randomUUID();
    const worker = {
      id,
      name: 'w1',
      version: '0.1.0',
      region: null,
      cluster: 'c',
      host: 'h',
      pid: 1,
      capacity: 4,
    };
    const seeing = { id, knows: 9, lastSeen: null };
    expect(await seeWorker(at.store, seeing)).toBeNull();
    await putWorker(at.store, { ...worker, knows: 9 });
    await putWorker(at.store, { ...worker, knows: 9, capacity: 5 });
    expect(await listWorkers(at.store)).toMatchObject([{ ...worker, capacity: 5, isDraining: false }]);
    await at.store.query(z.unknown(), 'UPDATE opendts.worker SET draining = true');
    const seen = await seeWorker(at.store, seeing);
    expect(seen).toMatchObject({ isDraining: true, isOlder: false, isOutdated: false });
    await seeWorker(at.store, { ...seeing, lastSeen: seen!.seenAt });
    expect(await seeWorker(at.store, { ...seeing, lastSeen: seen!.seenAt })).toMatchObject({
      isOlder: false,
    });
    const later = '2999-01-01 00:00:00+00';
    expect(await seeWorker(at.store, { ...seeing, lastSeen: later })).toMatchObject({ isOlder: true });
  });
});
