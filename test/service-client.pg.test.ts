/** A whole migration over HTTP by a client that knows the OpenAPI document and nothing else of us. */
import { readFileSync } from 'node:fs';
import { Ajv2020, type AnySchema } from 'ajv/dist/2020.js';
import ajvFormats from 'ajv-formats';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { startWorker } from '../src/service/fleet/worker.ts';
import { startCollector, type Collector, type SeenSpan } from './collector.ts';
import { freshPair } from './database.ts';
import { OpenApiClient, type Called, type Document } from './openapi-client.ts';
import { startService, type TestService } from './service.ts';
import { catalog } from './source-catalog.ts';

async function clientOf(service: TestService): Promise<OpenApiClient> {
  return new OpenApiClient(service.url, (await service.send('GET /openapi.json')).body as Document);
}

const done = async (called: Promise<Called>) => {
  const { status, body } = await called;
  expect([status, body]).toEqual([expect.toBeOneOf([200, 201]), expect.anything()]);
  return body;
};

describe('the OpenAPI document', () => {
  it('is one as OpenAPI 3.1 describes them, with schemas that a validator of JSON Schema can read', async () => {
    await using service = await startService(15);
    const document = (await service.send('GET /openapi.json')).body as Document;
    const ajv = new Ajv2020({ strict: false, logger: false, allErrors: true });
    ajvFormats.default(ajv);
    const schema = readFileSync(new URL('openapi-3.1.schema.yaml', import.meta.url), 'utf8')
      // Ajv finds such an anchor only where it is the whole document's.
      .replaceAll("$dynamicRef: '#meta'", "$ref: '#/$defs/schema'")
      .replaceAll('$dynamicAnchor: meta', '');
    const isOpenApi = ajv.compile(parse(schema) as AnySchema);
    void isOpenApi(document);
    expect(isOpenApi.errors).toBeNull();
    expect(isOpenApi({ ...document, info: {} })).toBe(false);
    // What that leaves to be read: every field of a path is a parameter.
    for (const [path, methods] of Object.entries(document.paths))
      for (const { operationId, parameters } of Object.values(methods)) {
        const inPath = parameters.filter((one) => one.in === 'path' && one.required).map(({ name }) => name);
        const fields = [...path.matchAll(/\{(\w+)\}/g)].map(([, field]) => String(field));
        expect([operationId, inPath.toSorted()]).toEqual([operationId, fields.toSorted()]);
      }
    expect((await clientOf(service)).compileAll()).toBeGreaterThan(100);
  });

  it('is enough to migrate a database: log in, make a group, connections and a task, and take it through its life, all of which its traces tell', async () => {
    await using collector = await startCollector();
    await using service = await startService(15, { collector: collector.url });
    await using pair = await freshPair(
      15,
      17,
      'CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)',
    );
    const before = await catalog(pair.source);
    const { tracing, node } = service;
    const { services, anotherStore, log } = node;
    await using _worker = await startWorker(
      { store: services.store, anotherStore, connections: services.connections, log, tracing },
      {
        name: 'here',
        region: null,
        cluster: null,
        capacity: 2,
        drainSeconds: 20,
        version: '0',
        failpoint: null,
      },
    );
    const client = await clientOf(service);
    const { name, password: once } = service.node.firstAccount!;
    const login = (password: string) => client.call('session.create', { name, password });
    expect((await login('wrong')).body.code).toBe('LOGIN_FAILED');
    const useSession = ({ headers, body }: Called) => {
      const cookie = (headers.get('set-cookie') ?? '').split(';')[0] ?? '';
      client.headers = { cookie, ...(body.csrfToken ? { 'x-csrf-token': body.csrfToken } : {}) };
    };
    useSession(await login(once));
    await done(client.call('password.change', { current: once, password: 'long enough for it' }));
    client.headers = {};
    useSession(await login('long enough for it'));
    const { token } = await done(client.call('token.create', { name: 'flow' }));
    client.headers = { authorization: `Bearer ${token}` };
    await done(client.call('group.create', { name: 'shop', 'Idempotency-Key': 'x1' }));
    const group = 'shop';
    for (const [end, { uri }] of [
      ['old', pair.source],
      ['new', pair.target],
    ] as const) {
      await done(client.call('connection.create', { group, name: end, conninfo: uri }));
      expect(await done(client.call('connection.test', { group, connection: end }))).toMatchObject({
        passed: true,
      });
    }
    const task = await done(
      client.call('task.create', { group, name: 'move', source: 'old', target: 'new' }),
    );
    expect((await client.call('task.pause', { group, task: 'move' })).body.code).toBe('TASK_STATE_REFUSES');
    await done(client.call('task.precheck', { group, task: task.id }));
    const comesTo = (state: string) =>
      expect
        .poll(async () => (await done(client.call('task.show', { group, task: 'move' }))).state, {
          timeout: 90_000,
          interval: 300,
        })
        .toBe(state);
    await comesTo('prechecked');
    expect((await done(client.call('task.checks', { group, task: 'move' }))).precheck.result).toBe('passed');
    await done(client.call('task.start', { group, task: task.id }));
    await comesTo('running');
    await pair.source.session.query('INSERT INTO t VALUES (2)');
    await expect
      .poll(async () => (await pair.target.session.query('SELECT id FROM t ORDER BY id')).length, {
        timeout: 30_000,
      })
      .toBe(2);
    await done(client.call('task.pause', { group, task: 'move' }));
    await comesTo('paused');
    await done(client.call('task.resume', { group, task: 'move' }));
    await comesTo('running');
    expect((await done(client.call('task.tables', { group, task: 'move' }))).items).toMatchObject([
      { table: 'public.t' },
    ]);
    await done(client.call('task.series', { group, task: 'move' }));
    await done(client.call('task.stop', { group, task: 'move' }));
    await comesTo('stopped');
    await done(client.call('task.release', { group, task: 'move' }));
    await comesTo('released');
    expect(await catalog(pair.source)).toEqual(before);
    expect((await done(client.call('task.list', { group }))).items).toMatchObject([
      { name: 'move', state: 'released' },
    ]);
    expect(
      (await done(client.call('task.events', { group, task: 'move', limit: 5 }))).items[0],
    ).toMatchObject({ toState: 'released' });
    const { items } = await done(client.call('audit.listGroup', { group, from: '2020-01-01', limit: 200 }));
    expect(items.length).toBeGreaterThan(8);

    const typed = 'typed-by-somebody';
    expect((await service.send(`GET /groups/${typed}/tasks?name=${typed}`, { token })).status).toBe(404);
    await tracing[Symbol.asyncDispose]();
    isToldOf(collector, task.id);
    const lines = service.log().split('\n');
    const login1 = collector.spans.find(({ fields }) => fields['opendts.operation'] === 'session.create');
    expect(lines.filter((line) => line.includes(`"trace_id":"${login1?.traceId}"`))).toEqual([
      expect.stringContaining('"route":"/api/v1/session"'),
    ]);
    for (const secret of [
      typed,
      'long enough for it',
      once,
      token,
      pair.source,
      pair.target,
      'CREATE TABLE',
      '$1',
    ])
      expect(collector.text()).not.toContain(secret);
  }, 240_000);
});

/** What the traces say of the whole flow. */
function isToldOf({ spans }: Collector, taskId: string): void {
  const partsOf = ({ spanId }: SeenSpan) => spans.filter(({ parentSpanId }) => parentSpanId === spanId);
  const [refused, ...logins] = spans.filter(({ fields }) => fields['opendts.operation'] === 'session.create');
  expect(refused?.fields).toEqual({
    'http.request.method': 'POST',
    'http.route': '/api/v1/session',
    'url.path': '/api/v1/session',
    'url.scheme': 'http',
    'http.response.status_code': '401',
    'opendts.operation': 'session.create',
  });
  expect(logins.map(({ name, isFailed }) => [name, isFailed])).toEqual([
    ['POST /api/v1/session', false],
    ['POST /api/v1/session', false],
  ]);
  for (const login of logins) {
    const statements = partsOf(login);
    expect(statements.length).toBeGreaterThan(2);
    for (const { name, traceId, fields } of statements) {
      expect(traceId).toBe(login.traceId);
      expect(fields).toEqual({ 'db.system.name': 'postgresql', 'db.operation.name': name });
      expect(name).toMatch(/^(SELECT|INSERT|UPDATE|DELETE|WITH)$/);
    }
  }
  const started = spans.find(({ fields }) => fields['opendts.operation'] === 'task.start');
  expect(started?.fields).toMatchObject({ 'opendts.task.id': taskId, 'http.response.status_code': '200' });
  // What its owner did, in order; the statements of weeks are no parts of it.
  const owned = spans.filter(
    ({ name, fields }) => name.startsWith('task ') && fields['opendts.task.id'] === taskId,
  );
  expect(owned.map(({ name }) => name).filter((name) => name !== 'task take')).toEqual([
    'task precheck',
    'task run',
    'task pause',
    'task run',
    'task stop',
    'task release',
  ]);
  expect(owned.filter(({ isFailed }) => isFailed)).toEqual([]);
  const [first] = owned.filter(({ name }) => name === 'task run');
  const stages = first ? partsOf(first).map(({ name }) => name) : [];
  expect(stages).toEqual(expect.arrayContaining(['stage schema', 'stage copy', 'stage catch-up']));
  expect(stages.filter((name) => !name.startsWith('stage '))).toEqual([]);
  expect(first?.events).toContain('stream begins');
}
