/** The owner of a task and what it writes in the store, step by step: no database is migrated here. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { noTracing } from '../src/base/tracing/tracing.ts';
import { toTaskProgress } from '../src/contract/api/task-progress.ts';
import { claimRoom, giveRoom } from '../src/service/fleet/claim-room.ts';
import { Owner, type Owned, type Step } from '../src/service/fleet/owner.ts';
import { Reporter } from '../src/service/fleet/reporter.ts';
import { savedEnds } from '../src/service/fleet/task-ends.ts';
import { setEngineTask } from '../src/service/store/task/set-engine-task.ts';
import { setHaltMark } from '../src/service/store/task/set-halt-mark.ts';
import { takeTask } from '../src/service/store/task/owner/take-task.ts';
import { tryAgainNow } from '../src/service/store/task/owner/try-again-now.ts';
import { putWorker } from '../src/service/store/worker/put-worker.ts';
import { setDraining } from '../src/service/store/worker/set-draining.ts';
import { transition } from '../src/service/task-life/transition.ts';
import { freshDatabase, type TestDatabase } from './database.ts';
import { eventually, startFleet, type TestFleet } from './fleet.ts';
import { progressOf } from './stored-task.ts';

let db: TestDatabase;
let fleet: TestFleet;
beforeAll(async () => {
  db = await freshDatabase(18);
  fleet = await startFleet(db);
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
  await db[Symbol.asyncDispose]();
});

const at = () => fleet.node.services.store;
/** A task that has a precheck before it. */
async function begun(more: { maxConnections?: number } = {}): Promise<string> {
  const end = await fleet.connection(db, more);
  const id = await fleet.task({ source: end, target: end });
  await fleet.ask(id, 'start');
  return id;
}

/** Its owner, whose steps the test does. */
function own(taskId: string, step: Step, workerId = randomUUID()): Owner {
  const { services, log } = fleet.node;
  const { store, connections } = services;
  const parts = { store, connections, workerId, cluster: null, log, tracing: noTracing, failpoint: null };
  return new Owner(parts, taskId, step);
}

/** One step, with what the owner has; it ends with the task. */
async function step<T>(taskId: string, work: (owned: Owned, owner: Owner) => Promise<T>): Promise<T> {
  const result = Promise.withResolvers<T>();
  const owner = own(taskId, async (owned) => {
    await work(owned, owner).then(result.resolve, result.reject);
    return false;
  });
  await owner.finished;
  result.reject(new Error('the task was not taken'));
  await owner.giveBack();
  return result.promise;
}

const worker = (id: string, name = 'w') =>
  putWorker(at(), {
    id,
    name,
    version: '0',
    region: null,
    cluster: null,
    host: 'h',
    pid: 1,
    capacity: 1,
    knows: 1,
  });

describe('the owner of a task', () => {
  it('tells whoever follows the task of what is new, whichever way it came', async () => {
    const id = await begun();
    const heard = await step(id, async (owned, owner) => {
      const states: string[] = [];
      owned.onChange(({ state }) => states.push(state));
      await owned.go('precheck-passed');
      await fleet.ask(id, 'stop');
      // Read by a step, before the round of the worker has read it.
      await owned.refresh();
      owner.noticed(await fleet.show(id));
      return states;
    });
    expect(heard).toEqual(['prechecked', 'stopped']);
  });

  it('ends at once what runs when another has the task, and writes nothing more', async () => {
    const id = await begun();
    await step(id, async (owned, owner) => {
      const before = await fleet.show(id);
      const { fence } = (await takeTask(at(), id, randomUUID()))!;
      owner.noticed(before);
      expect(owned.lost.aborted).toBe(false);
      owner.noticed(await fleet.show(id));
      expect([owned.lost.aborted, owned.leaving.aborted]).toEqual([true, true]);
      for (const write of [() => owned.go('precheck-passed'), () => owned.refresh()])
        await expect(write()).rejects.toMatchObject({ code: 'FENCED', facts: { theirs: fence } });
    });
    expect(await fleet.show(id)).toMatchObject({ state: 'prechecking' });
    expect((await fleet.show(id)).workerId).not.toBeNull();
  });

  it('says whether a task is another’s or there was no time for it, which then is anybody’s', async () => {
    const [lost, late] = [await begun(), await begun()];
    for (const [id, why] of [
      [lost, 'lost'],
      [late, 'late'],
    ] as const)
      await step(id, async (_, owner) => owner.end(why));
    const said = (id: string) =>
      fleet
        .log()
        .split('\n')
        .filter((line) => line.includes(id) && line.includes('"warn"'))
        .map((line) => (JSON.parse(line) as { msg: string }).msg);
    expect(said(lost)).toEqual(['task is another worker’s']);
    expect(said(late)).toEqual(['task left where it was: no time to drain']);
    expect((await fleet.show(late)).workerId).toBeNull();
  });

  it('goes on with what a person asks for while a step begins', async () => {
    const id = await begun();
    const states: string[] = [];
    const owner = own(id, async (owned) => {
      states.push(owned.task.state);
      if (states.length > 1) return false;
      await fleet.ask(id, 'stop');
      await owned.go('precheck-passed');
      return true;
    });
    await owner.finished;
    expect(states).toEqual(['prechecking', 'stopping']);
  });

  it('reckons by the clock of the store', async () => {
    const id = await begun();
    const real = Date.now();
    using clock = vi.spyOn(Date, 'now').mockImplementation(() => real - 3_600_000);
    expect(await step(id, async (owned) => owned.now())).toBeGreaterThan(real - 60_000);
    expect(clock).toHaveBeenCalled();
  });

  it('leaves a task that is given to another cluster', async () => {
    const id = await begun();
    const isLeft = await step(id, async (owned, owner) => {
      await db.session.query(
        `UPDATE opendts.task SET cluster = 'x', version = version + 1 WHERE id = '${id}'`,
      );
      owner.noticed(await fleet.show(id));
      return owned.leaving.aborted && !owned.lost.aborted;
    });
    expect(isLeft).toBe(true);
  });
});

describe('a job', () => {
  it('of before takes no task from a worker that lives, and takes it from one that is not seen any more', async () => {
    const id = await begun();
    const [one, two] = [randomUUID(), randomUUID()];
    for (const workerId of [one, two]) await worker(workerId);
    const first = await takeTask(at(), id, one);
    expect(await takeTask(at(), id, two)).toBeNull();
    expect((await fleet.show(id)).fence).toBe(first?.fence);
    await db.session.query(`UPDATE opendts.worker SET seen_at = now() - interval '11 s' WHERE id = '${one}'`);
    const second = await takeTask(at(), id, two);
    expect(BigInt(second?.fence ?? 0)).toBeGreaterThan(BigInt(first?.fence ?? 0));
  });
});

describe('a worker', () => {
  it('is drained by its name, whoever had that name before and was killed', async () => {
    const [killed, lives] = [randomUUID(), randomUUID()];
    for (const id of [killed, lives]) await worker(id, 'rack-7');
    await db.session.query(
      `UPDATE opendts.worker SET seen_at = now() - interval '16 s' WHERE id = '${killed}'`,
    );
    const changed = await setDraining(at(), 'rack-7', true);
    expect(changed).toEqual([{ id: lives, name: 'rack-7', isDraining: true }]);
  });
});

describe('what is told of a run', () => {
  it('is nothing any more under an old fence, which the owner hears of', async () => {
    const id = await begun();
    const { fence } = (await takeTask(at(), id, randomUUID()))!;
    await takeTask(at(), id, randomUUID());
    let isFenced = false;
    await using reporter = new Reporter({
      store: at(),
      log: fleet.node.log,
      taskId: id,
      fence,
      leaving: new AbortController().signal,
      onFenced: () => (isFenced = true),
    });
    reporter.progress({ progress: toTaskProgress(progressOf()), tables: [] });
    reporter.note('phase', { message: 'of the former owner' });
    await eventually(
      () => isFenced,
      (isSo) => isSo,
    );
    expect(await setHaltMark(at(), { taskId: id, fence, mark: 'x' })).toBe(false);
    await expect(setEngineTask(at(), { taskId: id, fence, engineTaskId: 'x' })).rejects.toMatchObject({
      code: 'FENCED',
    });
    expect(await fleet.show(id)).toMatchObject({ engineTaskId: null, haltMark: null });
    expect((await fleet.events(id)).filter(({ kind }) => kind === 'phase')).toEqual([]);
  });
});

describe('the places of a connection', () => {
  it('are given to as many as there is room for, however many ask at once', async () => {
    const end = await fleet.connection(db, { maxConnections: 27 });
    const ends = { source: end, target: await fleet.connection(db) };
    const workerId = randomUUID();
    await worker(workerId);
    const ids = await Promise.all(Array.from({ length: 8 }, () => fleet.task(ends, { spec: { jobs: 1 } })));
    const all = Promise.withResolvers<void>();
    let waiting = 0;
    const owners = ids.map((id) =>
      own(
        id,
        async (owned) => {
          const saved = await savedEnds(owned.parts, owned.task);
          if (++waiting === ids.length) all.resolve();
          await all.promise;
          await claimRoom(owned, saved);
          return false;
        },
        workerId,
      ),
    );
    // One has seven sessions: three have room, the others wait.
    const places = () => db.session.one('SELECT count(*)::text AS n FROM opendts.connection_use');
    const waits = () =>
      db.session.one(
        "SELECT count(*)::text AS n FROM opendts.task_event WHERE kind = 'waits-for-connections'",
      );
    await eventually(waits, ({ n }) => n === '5');
    // On either end.
    expect(await places()).toEqual({ n: '6' });
    for (const owner of owners) owner.end('drain');
    await Promise.all(owners.map(({ finished }) => finished));
    for (const owner of owners) await giveRoom(owner);
    expect(await places()).toEqual({ n: '0' });
  });
});

describe('a task that has failed', () => {
  it('is tried again as one that was well when its connection is changed, unless a person must say that it may go on', async () => {
    const end = await fleet.connection(db);
    const fail = async (code: string) => {
      const id = await fleet.task({ source: end, target: end });
      await fleet.ask(id, 'start');
      const { fence } = (await takeTask(at(), id, randomUUID()))!;
      const by = { workerId: randomUUID(), fence };
      for (const event of ['precheck-passed', 'began'] as const) await transition(at(), id, { event, by });
      const failure = { code, message: '', remedy: '', facts: {} };
      const failedSince = new Date().toISOString();
      const set = { failure, failedSince, attempts: 3, nextAttemptAt: null, adjustments: { jobs: 1 } };
      await transition(at(), id, { event: 'failed', by, set });
      return id;
    };
    const [refused, halted] = [await fail('CONNECT_REFUSED_LOGIN'), await fail('TASK_HALTED')];
    await tryAgainNow(at(), end.id);
    const now = await fleet.show(refused);
    expect(now).toMatchObject({ state: 'failed', failedSince: null, attempts: 0, adjustments: {} });
    expect(now.nextAttemptAt).not.toBeNull();
    expect(await fleet.show(halted)).toMatchObject({ nextAttemptAt: null, attempts: 3 });
  });
});
