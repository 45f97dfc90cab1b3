/** Tasks through the API: making, changing and driving them, by whom, and what is refused. No worker runs here. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toTableProgress, toTaskProgress } from '../src/contract/api/task-progress.ts';
import type { Role } from '../src/contract/api/roles.ts';
import { startDue } from '../src/service/fleet/start-due.ts';
import { takeTask } from '../src/service/store/task/owner/take-task.ts';
import { writeProgress } from '../src/service/store/task/progress/write-progress.ts';
import { transition } from '../src/service/task-life/transition.ts';
import { MAJORS } from './global-setup.ts';
import { startService, type Answer, type TestService } from './service.ts';
import { progressOf } from './stored-task.ts';

const SECRET = 'MARKER-of-the-secret';

let service: TestService;
beforeAll(async () => {
  service = await startService(MAJORS[0]!);
});
afterAll(() => service[Symbol.asyncDispose]());

const path = (...parts: string[]) => parts.map((part) => `/${encodeURIComponent(part)}`).join('');

/** A group of its own with two connections, and somebody in it. */
async function place(role: Role = 'admin') {
  const group = `group ${randomUUID().slice(0, 8)}`;
  const admin = await service.account({ group, role: 'admin' });
  const { token, name } = role === 'admin' ? admin : await service.account({ group, role });
  const send = (line: string, body?: unknown, as = token): Promise<Answer> => {
    const [method = '', way = ''] = line.split(' ');
    return service.send(`${method} ${path('groups', group)}${way}`, {
      token: as,
      ...(body === undefined ? {} : { body }),
    });
  };
  for (const end of ['old', 'new'])
    await send(
      'POST /connections',
      { name: end, conninfo: `postgresql://app@127.0.0.1:1/${end}`, password: SECRET },
      admin.token,
    );
  const make = async (more: object = {}) => {
    const made = await send(
      'POST /tasks',
      { name: 'shop', source: 'old', target: 'new', ...more },
      admin.token,
    );
    expect([made.status, made.body.code]).toEqual([201, undefined]);
    return made.body;
  };
  return { group, send, make, account: name, admin: admin.token };
}

/** What a worker would tell. */
async function owner(taskId: string) {
  const { store } = service.node.services;
  const { fence } = (await takeTask(store, taskId, randomUUID()))!;
  const by = { workerId: randomUUID(), fence };
  return {
    fence,
    tells: async (...events: Parameters<typeof transition>[2]['event'][]) => {
      for (const event of events) await transition(store, taskId, { event, by });
    },
  };
}

const PROGRESS = progressOf({
  phase: 'stream',
  rowsCopied: 10n,
  bytesCopied: 20n,
  changesApplied: 3n,
  transactionsApplied: 1n,
  lagBytes: 5n,
  delayMs: 700,
});
const TABLE = {
  table: 'public.t',
  stage: 'streaming',
  rows: 1n,
  bytes: 1n,
  skipped: 0n,
  format: null,
  chunksDone: 1,
  chunksTotal: 1,
  share: 1,
  rowsEstimate: null,
  bytesEstimate: null,
  etaSeconds: null,
  inserts: 0n,
  updates: 0n,
  deletes: 0n,
} as const;

describe('a task', () => {
  it('is made with its defaults, or without ends until it is configured', async () => {
    const at = await place();
    const made = await at.make({ spec: { types: ['schema', 'full'], jobs: 3 } });
    expect(made).toMatchObject({
      state: 'not-started',
      desired: 'idle',
      possible: ['configure', 'precheck', 'start', 'reset', 'delete'],
      source: { name: 'old' },
      target: { name: 'new' },
      spec: { types: ['schema', 'full'], jobs: 3, conflict: 'report' },
      class: 'small',
      retry: { connectMinutes: 720, otherMinutes: 10 },
      notes: [],
      createdBy: at.account,
      version: 1,
    });
    const bare = await at.send('POST /tasks', {});
    expect(bare.body).toMatchObject({
      state: 'not-configured',
      source: null,
      possible: ['configure', 'delete'],
    });
    expect(bare.body.name).toMatch(/^task-[0-9a-f]{8}$/);
    const where = `/tasks/${bare.body.id}`;
    const half = await at.send(`PATCH ${where}`, { version: 1, source: 'old' });
    expect(half.body).toMatchObject({ state: 'not-configured', version: 2 });
    const whole = await at.send(`PATCH ${where}`, { version: 2, target: 'new', environment: 'test' });
    expect(whole.body).toMatchObject({ state: 'not-started', environment: 'test' });
    expect((await at.send(`PATCH ${where}`, { version: 2, target: 'old' })).body.code).toBe(
      'CHANGED_MEANWHILE',
    );
    expect((await at.send('POST /tasks', { source: 'nothing' })).body.facts.kind).toBe('connection');
    const typed = await at.send('POST /tasks', {
      spec: { columnTypes: { 'a.b.c': 'int); DROP TABLE t; --' } },
    });
    expect([typed.status, typed.body.code]).toEqual([400, 'USAGE']);
    const wrong = await at.send('POST /tasks', { spec: { types: ['everything'], nothing: 1 } });
    expect([wrong.status, wrong.body.code]).toEqual([400, 'INPUT_INVALID']);
  });

  it('lives through its states as persons ask and its owner tells, and says what is possible', async () => {
    const at = await place();
    const { id } = await at.make();
    const ask = async (verb: string) => (await at.send(`POST /tasks/${id}/${verb}`)).body;
    expect(await ask('pause')).toMatchObject({
      code: 'TASK_STATE_REFUSES',
      facts: { state: 'not-started', event: 'pause', possible: 'configure, precheck, start, reset, delete' },
    });
    expect(await ask('start')).toMatchObject({
      state: 'prechecking',
      desired: 'running',
      possible: ['stop'],
    });
    const { fence, tells } = await owner(id);
    await tells('precheck-passed', 'began', 'in-step');
    await writeProgress(service.node.services.store, {
      taskId: id,
      fence,
      progress: toTaskProgress(PROGRESS),
      tables: [toTableProgress(TABLE)],
    });
    const shown = (await at.send(`GET /tasks/${id}`)).body;
    expect(shown).toMatchObject({
      state: 'running',
      possible: ['pause', 'stop'],
      progress: { phase: 'stream', rowsCopied: '10', delayMs: 700 },
    });
    expect((await at.send('GET /tasks')).body.items).toMatchObject([
      { id, state: 'running', phase: 'stream', delayMs: 700, source: 'old', target: 'new' },
    ]);
    expect(await ask('release')).toMatchObject({ code: 'TASK_STATE_REFUSES' });
    // Somebody has it: it is paused when they say so.
    expect(await ask('pause')).toMatchObject({ state: 'pausing', desired: 'paused', stoppedBy: 'person' });
    await tells('paused');
    expect(await ask('resume')).toMatchObject({ state: 'migrating', stoppedBy: null });
    expect(await ask('stop')).toMatchObject({ state: 'stopping' });
    await tells('stopped');
    expect(await ask('resume')).toMatchObject({ code: 'TASK_STATE_REFUSES' });
    expect(await ask('release')).toMatchObject({ state: 'releasing' });
    await tells('released');
    expect(await ask('reset')).toMatchObject({
      state: 'not-configured',
      source: null,
      progress: null,
      startedAt: null,
    });
    const events = (await at.send(`GET /tasks/${id}/events?limit=200`)).body.items.toReversed();
    expect(
      events.map(({ kind, account }: { kind: string; account: string | null }) => [kind, account]),
    ).toEqual([
      ['created', at.account],
      ['start', at.account],
      ['taken', null],
      ['precheck-passed', null],
      ['began', null],
      ['in-step', null],
      ['pause', at.account],
      ['paused', null],
      ['resume', at.account],
      ['stop', at.account],
      ['stopped', null],
      ['release', at.account],
      ['released', null],
      ['reset', at.account],
    ]);
  });

  it('that nobody has is paused, stopped and released at once', async () => {
    const at = await place();
    const { id } = await at.make();
    const ask = async (verb: string) => (await at.send(`POST /tasks/${id}/${verb}`)).body;
    await ask('start');
    expect(await ask('stop')).toMatchObject({ state: 'stopped', desired: 'stopped' });
    expect(await ask('start')).toMatchObject({ state: 'migrating' });
    expect(await ask('pause')).toMatchObject({ state: 'paused' });
    // It has never begun: there is nothing of it on the ends.
    expect(await ask('release')).toMatchObject({ state: 'released' });
    const { version } = (await at.send(`GET /tasks/${id}`)).body;
    expect((await at.send(`DELETE /tasks/${id}?version=${version}`)).status).toBe(200);
    expect((await at.send(`GET /tasks/${id}`)).status).toBe(404);
  });

  it('starts by itself at its time, once, unless it was called off, or says that it could not', async () => {
    const at = await place();
    const { store } = service.node.services;
    const { id } = await at.make();
    const ask = async (request: string, body?: object) => (await at.send(request, body)).body;
    const show = () => ask(`GET /tasks/${id}`);
    const kinds = async () =>
      (await ask(`GET /tasks/${id}/events`)).items.map(({ kind }: { kind: string }) => kind);
    /** Two nodes look at the same moment. */
    const timeComes = async () => {
      await service.database.session.query(`UPDATE opendts.task SET start_at = now() WHERE id = '${id}'`);
      await Promise.all([startDue(store), startDue(store)]);
    };
    const later = { at: '2099-01-01T02:00:00+02:00' };
    const planned = { state: 'not-started', startAt: '2099-01-01T00:00:00Z' };
    expect(await ask(`POST /tasks/${id}/start`, later)).toMatchObject(planned);
    expect(await show()).toMatchObject({ ...planned, possible: expect.arrayContaining(['start', 'stop']) });
    expect((await ask('GET /tasks')).items).toMatchObject([planned]);
    await Promise.all([startDue(store), startDue(store)]);
    expect(await show()).toMatchObject(planned);
    expect(await ask(`POST /tasks/${id}/stop`)).toMatchObject({ state: 'not-started', startAt: null });
    expect((await at.send(`POST /tasks/${id}/stop`)).status).toBe(409);
    expect(await kinds()).toEqual(['start-called-off', 'start-planned', 'created']);

    expect((await ask(`POST /tasks/${id}/start`, later)).startAt).not.toBeNull();
    await timeComes();
    expect(await show()).toMatchObject({ state: 'prechecking', desired: 'running', startAt: null });
    expect((await kinds()).slice(0, 2)).toEqual(['start', 'start-planned']);
    // It runs by now: what else is planned for it is refused.
    expect((await at.send(`POST /tasks/${id}/start`, later)).body.code).toBe('TASK_STATE_REFUSES');
    await timeComes();
    expect(await show()).toMatchObject({ state: 'prechecking', startAt: null });
    expect((await kinds())[0]).toBe('start-refused');
    expect(await ask(`POST /tasks/${id}/start`, { at: 'tomorrow' })).toMatchObject({ code: 'INPUT_INVALID' });
    await ask(`POST /tasks/${id}/stop`);
    // A time that is over is now.
    await ask(`POST /tasks/${id}/start`, later);
    expect(await ask(`POST /tasks/${id}/start`, { at: '2020-01-01T00:00:00Z' })).toMatchObject({
      state: 'migrating',
      startAt: null,
    });
  });

  it('that has begun changes in what does not belong to what it has made', async () => {
    const at = await place();
    const { id, spec } = await at.make();
    await at.send(`POST /tasks/${id}/start`);
    const { tells } = await owner(id);
    await tells('precheck-passed', 'began');
    const change = async (body: object) => {
      const { version } = (await at.send(`GET /tasks/${id}`)).body;
      return (await at.send(`PATCH /tasks/${id}`, { version, ...body })).body;
    };
    expect(await change({ spec: { ...spec, jobs: 7 }, environment: 'test' })).toMatchObject({
      state: 'migrating',
      desired: 'running',
      spec: { jobs: 7 },
    });
    expect(await change({ spec: { ...spec, tables: ['public.a'], jobs: 1 } })).toMatchObject({
      code: 'TASK_BEGUN',
      facts: { fields: 'tables' },
    });
    expect(await change({ target: 'old' })).toMatchObject({
      code: 'TASK_BEGUN',
      facts: { fields: 'target' },
    });
    await tells('completed');
    expect(await change({ spec: { ...spec, jobs: 7 } })).toMatchObject({ code: 'TASK_STATE_REFUSES' });
  });

  it('is limited while it runs, and the version says so to its owner', async () => {
    const at = await place();
    const { id, version } = await at.make();
    const limited = await at.send(`PUT /tasks/${id}/throttle`, {
      version,
      throttle: { megabytes: 10 },
      streamThrottle: {},
    });
    expect(limited.body).toMatchObject({ version: version + 1, spec: { throttle: { megabytes: 10 } } });
    const [event] = (await at.send(`GET /tasks/${id}/events?limit=1`)).body.items;
    expect(event).toMatchObject({
      kind: 'throttled',
      account: at.account,
      facts: { throttle: { megabytes: 10 } },
    });
  });

  it('is tried again as the latest setting of those that share a database says, with a warning when it is short', async () => {
    const at = await place();
    const first = await at.make();
    const second = await at.make({ name: 'second' });
    const set = (body: object) =>
      at.send(`PUT /tasks/${first.id}/retry`, { version: first.version, ...body });
    expect((await set({ connectMinutes: 20, otherMinutes: 20 })).body.code).toBe('INPUT_INVALID');
    expect((await set({ connectMinutes: 9, otherMinutes: 5 })).body.code).toBe('INPUT_INVALID');
    const short = (await set({ connectMinutes: 20, otherMinutes: 5 })).body;
    expect(short.retry).toMatchObject({ connectMinutes: 20, effective: { task: 'shop', otherMinutes: 5 } });
    expect(short.notes).toEqual([
      expect.stringContaining('20 min only; 30 or more'),
      expect.stringContaining('5 min only; 10 or more'),
    ]);
    const other = (await at.send(`GET /tasks/${second.id}`)).body;
    expect(other.retry).toMatchObject({
      connectMinutes: 720,
      effective: { task: 'shop', connectMinutes: 20 },
    });
    expect(other.notes).toEqual([expect.stringContaining('task "shop" shares a database')]);
  });

  it('is cloned with its settings and without its state', async () => {
    const at = await place();
    const original = await at.make({ spec: { tables: ['public.a'] }, taskGroup: 'wave 1' });
    await at.send(`POST /tasks/${original.id}/start`);
    const { status, body } = await at.send(`POST /tasks/${original.id}/clone`, {});
    expect(status).toBe(201);
    expect(body).toMatchObject({
      name: 'copy of shop',
      state: 'not-started',
      spec: { tables: ['public.a'] },
      taskGroup: 'wave 1',
      source: { name: 'old' },
    });
    const named = await at.send(`PUT /tasks/${body.id}/name`, { version: 1, name: 'second wave' });
    expect(named.body).toMatchObject({ name: 'second wave', version: 2 });
  });

  it('has tables, and what a person wants for them waits for its owner', async () => {
    const at = await place('operator');
    const { id } = await at.make();
    const choose = (tables: string[], wish = 'resume') =>
      at.send(`POST /tasks/${id}/tables/choice`, { tables, wish });
    expect((await choose(['public.t'])).body.code).toBe('TASK_STATE_REFUSES');
    await at.send(`POST /tasks/${id}/start`, undefined, at.admin);
    const { fence, tells } = await owner(id);
    await tells('precheck-passed', 'began');
    const stopped = { code: 'TABLE_CHANGED', reason: 'its columns have changed', keptBytes: '0' };
    await writeProgress(service.node.services.store, {
      taskId: id,
      fence,
      progress: toTaskProgress(PROGRESS),
      tables: [toTableProgress(TABLE, stopped), toTableProgress({ ...TABLE, table: 'public.u' })],
    });
    expect((await choose(['public.t', 'public.x'])).body).toMatchObject({
      code: 'NOT_FOUND',
      facts: { kind: 'table', name: 'public.x' },
    });
    const list = async (query = '') => (await at.send(`GET /tasks/${id}/tables${query}`)).body.items;
    expect((await list()).map(({ wish }: { wish: unknown }) => wish)).toEqual([null, null]);
    expect((await choose(['public.t'])).body).toEqual({ tables: ['public.t'] });
    expect(await list('?name=c.t')).toMatchObject([{ table: 'public.t', stopped, wish: 'resume' }]);
    expect((await list('?stage=failed')).length).toBe(0);
    expect((await at.send(`GET /tasks/${id}/series`)).body).toEqual({ everyMinutes: 1, points: [] });
  });

  it('of a task group is started, paused and stopped with the others, each for itself', async () => {
    const at = await place();
    for (const name of ['a', 'b']) await at.make({ name, taskGroup: 'wave' });
    await at.make({ name: 'c', taskGroup: 'wave', source: undefined });
    await at.make({ name: 'd' });
    const all = async (verb: string) => (await at.send(`POST /task-groups/wave/${verb}`)).body;
    expect((await all('start')).items).toMatchObject([
      { name: 'a', state: 'prechecking', refused: null },
      { name: 'b', state: 'prechecking', refused: null },
      { name: 'c', state: 'not-configured', refused: { code: 'TASK_STATE_REFUSES' } },
    ]);
    expect((await all('pause')).items[0].refused.remedy).toBe('Possible is: stop.');
    expect((await all('stop')).items.map(({ state }: { state: string }) => state)).toEqual([
      'stopped',
      'stopped',
      'not-configured',
    ]);
    expect((await at.send('GET /tasks?taskGroup=wave&state=stopped')).body.items).toHaveLength(2);
    expect((await at.send('POST /task-groups/nothing/start')).body.facts.kind).toBe('task group');
  });

  it('is found by its name where it is the only one of it', async () => {
    const at = await place();
    const first = await at.make();
    expect((await at.send('GET /tasks/shop')).body.id).toBe(first.id);
    await at.make();
    expect((await at.send('GET /tasks/shop')).body.code).toBe('TASK_AMBIGUOUS');
    expect((await at.send(`GET /tasks/${first.id}`)).body.id).toBe(first.id);
  });

  it('of another group is not found, by its id either', async () => {
    const [own, other] = [await place(), await place()];
    const { id } = await other.make();
    const tries = [
      await own.send(`GET /tasks/${id}`),
      await own.send(`PATCH /tasks/${id}`, { version: 1, environment: 'mine' }),
      await own.send(`POST /tasks/${id}/start`),
      await own.send(`DELETE /tasks/${id}?version=1`),
      await own.send(`GET /tasks/${id}/events`),
      await own.send(`GET /tasks/${id}/tables`),
      await own.send(`POST /tasks/${id}/clone`, {}),
    ];
    for (const { status, body } of tries)
      expect([status, body.code, body.facts.kind]).toEqual([404, 'NOT_FOUND', 'task']);
    expect((await own.send('GET /tasks')).body.items).toEqual([]);
    const connection = (await other.send('GET /connections/old')).body.id;
    const foreign = await own.send('POST /tasks', { source: connection });
    expect([foreign.status, foreign.body.facts.kind]).toEqual([404, 'connection']);
  });

  it('may have any name: metacharacters of SQL, of paths and of JSON stay what they are', async () => {
    const at = await place();
    for (const odd of [
      `'; DROP SCHEMA opendts CASCADE; --`,
      `"x"`,
      'a/b?c=d#e',
      '%2F',
      '$1',
      '\\',
      "O'Neil $$ 世界",
    ]) {
      const made = await at.make({ name: odd, taskGroup: odd, environment: odd, cluster: odd });
      expect(made).toMatchObject({ name: odd, taskGroup: odd, environment: odd, cluster: odd });
      expect((await at.send(`GET ${path('tasks', odd)}`)).body.id).toBe(made.id);
      expect((await at.send(`GET /tasks?name=${encodeURIComponent(odd)}`)).body.items).toHaveLength(1);
      const started = await at.send(`POST ${path('task-groups', odd, 'start')}`);
      expect(started.body.items).toMatchObject([{ name: odd, state: 'prechecking' }]);
    }
    for (const name of ['', ' x', 'x\n', randomUUID(), 'x'.repeat(101)])
      expect((await at.send('POST /tasks', { name })).body.code).toBe('INPUT_INVALID');
  });

  it('is listed page by page, and made once by a request that is sent again', async () => {
    const at = await place();
    const names = ['a', 'b', 'c', 'd', 'e'];
    for (const name of names) await at.make({ name });
    const first = (await at.send('GET /tasks?limit=2')).body;
    const second = (await at.send(`GET /tasks?limit=2&cursor=${first.nextCursor}`)).body;
    const third = (await at.send(`GET /tasks?limit=2&cursor=${second.nextCursor}`)).body;
    const shown = [first, second, third].flatMap(({ items }) =>
      items.map(({ name }: { name: string }) => name),
    );
    expect(shown).toEqual(names.toReversed());
    expect(third.nextCursor).toBeNull();
    const foreign = Buffer.from('["rubbish"]').toString('base64url');
    for (const list of ['tasks', `tasks/${first.items[0].id}/events`, 'audit'])
      expect((await at.send(`GET /${list}?cursor=${foreign}`)).body.code).toBe('INPUT_INVALID');
    const key = randomUUID();
    const again = () =>
      service.send(`POST ${path('groups', at.group, 'tasks')}`, {
        token: at.admin,
        headers: { 'idempotency-key': key },
        body: { name: 'once' },
      });
    const [one, two] = [await again(), await again()];
    expect(two.body).toEqual(one.body);
  });

  it('is listed as quickly among a thousand as alone', async () => {
    const [few, many] = [await place(), await place()];
    await few.make();
    const { id } = await many.make();
    await service.database.session.query(
      `INSERT INTO opendts.task
         SELECT (pg_catalog.jsonb_populate_record(t, pg_catalog.jsonb_build_object('id', other, 'name', other))).*
           FROM opendts.task t, pg_catalog.jsonb_array_elements_text($1::jsonb) AS other WHERE t.id = $2`,
      [JSON.stringify(Array.from({ length: 999 }, () => randomUUID())), id],
    );
    await service.database.session.query('ANALYZE opendts.task');
    const median = async (at: typeof few, length: number) => {
      const times: number[] = [];
      for (let time = 0; time < 11; time++) {
        const begin = performance.now();
        const { body } = await at.send('GET /tasks?limit=50');
        expect([body.code, body.detail, body.items?.length]).toEqual([undefined, undefined, length]);
        times.push(performance.now() - begin);
      }
      return times.toSorted((a, b) => a - b)[5]!;
    };
    const alone = await median(few, 1);
    expect((await median(many, 50)) - alone).toBeLessThan(50);
  });

  it('says in the audit log who did what, and tells nobody a password', async () => {
    const at = await place();
    const { id } = await at.make();
    const answers = [
      await at.send(`POST /tasks/${id}/start`),
      await at.send(`GET /tasks/${id}`),
      await at.send(`GET /tasks/${id}/events`),
      await at.send('GET /connections/old'),
      await at.send(`POST /tasks/${id}/release`),
      await at.send('GET /audit'),
    ];
    for (const { text } of answers) expect(text).not.toContain(SECRET);
    expect(service.log()).not.toContain(SECRET);
    const entries = answers.at(-1)!.body.items;
    expect(entries.slice(0, 3)).toMatchObject([
      { operation: 'task.release', object: 'shop', outcome: 'failed', errorCode: 'TASK_STATE_REFUSES' },
      { operation: 'task.start', object: 'shop', account: at.account, after: { state: 'prechecking' } },
      { operation: 'task.create', object: 'shop', after: { source: 'old', target: 'new' } },
    ]);
  });
});

describe('a connection that tasks use', () => {
  it('names them, stays while they do, and tells them when it changes', async () => {
    const at = await place();
    const { id } = await at.make();
    const shown = (await at.send('GET /connections/old')).body;
    expect(shown.usedBy).toEqual([{ id, name: 'shop', state: 'not-started', as: 'source' }]);
    const refused = await at.send('DELETE /connections/old?version=1');
    expect([refused.status, refused.body.code]).toEqual([409, 'CONNECTION_IN_USE']);
    expect(refused.body.detail).toContain('task "shop" (not-started)');
    const started = (await at.send(`POST /tasks/${id}/start`)).body;
    await at.send('PATCH /connections/old', { version: 1, password: `${SECRET}2` });
    const told = (await at.send(`GET /tasks/${id}`)).body;
    expect(told.version).toBe(started.version + 1);
    const [event] = (await at.send(`GET /tasks/${id}/events`)).body.items;
    expect(event).toMatchObject({ kind: 'connection-changed', facts: { connection: 'old' } });
    await at.send(`POST /tasks/${id}/stop`);
    await at.send(`POST /tasks/${id}/release`);
    const { version } = (await at.send(`GET /tasks/${id}`)).body;
    await at.send(`DELETE /tasks/${id}?version=${version}`);
    expect((await at.send('DELETE /connections/old?version=2')).status).toBe(200);
  });
});
