/** A whole migration over HTTP by a client that knows the OpenAPI document and nothing else of us. */
import { readFileSync } from 'node:fs';
import { Ajv2020, type AnySchema } from 'ajv/dist/2020.js';
import ajvFormats from 'ajv-formats';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { startWorker } from '../src/service/fleet/worker.ts';
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

  it('is enough to migrate a database: log in, make a group, connections and a task, and take it through its life', async () => {
    await using service = await startService(15);
    await using pair = await freshPair(
      15,
      17,
      'CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)',
    );
    const before = await catalog(pair.source);
    const { services, anotherStore, log } = service.node;
    await using _worker = await startWorker(
      { store: services.store, anotherStore, connections: services.connections, log },
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
  }, 240_000);
});
