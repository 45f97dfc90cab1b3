/** Tasks of a server by the command line: a file applied and exported, and the whole life of a task on a worker. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { noFailpoints } from '../src/base/runtime/failpoint.ts';
import { readConfig } from '../src/config.ts';
import { startWorker } from '../src/service/fleet/worker.ts';
import type { Output } from '../src/surface/cli/context.ts';
import { runCli } from '../src/surface/cli/program.ts';
import { freshPair } from './database.ts';
import { startService, type TestService } from './service.ts';
import { catalog } from './source-catalog.ts';

const SECRET = 'MARKER-of-the-secret';
const folder = mkdtempSync(join(tmpdir(), 'opendts-cli-'));
let service: TestService;
let token: string;
beforeAll(async () => {
  service = await startService(17);
  ({ token } = await service.account({ isAdministrator: true }));
});
afterAll(async () => {
  await service[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

async function group(name: string): Promise<void> {
  expect((await service.send('POST /groups', { token, body: { name } })).status).toBe(201);
}

/** In this process: a process each would cost more than what is tested. */
async function run(
  args: readonly string[],
  more: { env?: Record<string, string>; input?: string; isTTY?: boolean } = {},
) {
  let [stdout, stderr] = ['', ''];
  const output = (take: (text: string) => void) =>
    ({
      write: (text: string) => (take(text), true),
      isTTY: more.isTTY ?? false,
      columns: 80,
      rows: 24,
    }) as unknown as Output;
  const code = await runCli(args, {
    config: readConfig({ HOME: folder, OPENDTS_SERVER: service.url, OPENDTS_TOKEN: token, ...more.env }),
    stdout: output((text) => void (stdout += text)),
    stderr: output((text) => void (stderr += text)),
    stdin: Readable.from([more.input ?? '']) as NodeJS.ReadStream,
    signal: new AbortController().signal,
    onReload: () => {},
    failpoints: noFailpoints,
  });
  return { code, stdout, stderr };
}

/** What it says with --json, which has to go well. */
async function json(...args: string[]) {
  const { code, stdout, stderr } = await run([...args, '--json']);
  expect([args.join(' '), code, code === 0 ? '' : stderr]).toEqual([args.join(' '), 0, '']);
  return JSON.parse(stdout);
}

const FILE = `
apiVersion: opendts/v1
kind: Task
metadata: { name: shop, taskGroup: wave }
spec:
  source: old
  target: postgresql://app:\${env:NEW_PASSWORD}@127.0.0.1:1/shop
  types: [schema, full]
  retry: { connectMinutes: 60, otherMinutes: 20 }
---
apiVersion: opendts/v1
kind: Connection
metadata: { name: old }
spec:
  conninfo: host=127.0.0.1 port=1 user=app dbname=shop
  password: \${env:OLD_PASSWORD}
  region: here
`;

describe('a login', () => {
  it('is kept for the other commands until it is ended, and its token is good for nothing then', async () => {
    const made = await service.send('POST /accounts', {
      token,
      body: { name: 'ada', isAdministrator: true },
    });
    const env = { OPENDTS_TOKEN: '' };
    const input = `${made.body.oneTimePassword}\na password of my own\n`;
    expect((await run(['login', '--user', 'ada'], { env, input })).code).toBe(0);
    const kept = JSON.parse(readFileSync(join(folder, '.config', 'opendts', 'login.json'), 'utf8'));
    const list = async () => (await run(['worker', 'list'], { env })).code;
    expect(await list()).toBe(0);
    expect((await run(['logout'], { env })).stdout).toBe(`logged out of ${service.url}\n`);
    expect([await list(), (await service.send('GET /groups', { token: kept.token })).status]).toEqual([
      3, 401,
    ]);
    expect((await run(['logout'], { env })).stderr).toContain('There is no token');
  });
});

describe('a file', () => {
  it('is applied, says what changed, changes nothing the second time, and comes back by export without passwords', async () => {
    await group('files');
    await group('copies');
    const file = join(folder, 'task.yaml');
    const env = { OLD_PASSWORD: SECRET, NEW_PASSWORD: `${SECRET}2` };
    const apply = async (text: string, ...args: string[]) => {
      writeFileSync(file, text);
      const { code, stdout, stderr } = await run(['apply', '-f', file, '--group', 'files', ...args], { env });
      expect([code, stderr]).toEqual([0, '']);
      return stdout;
    };
    expect(await apply(FILE)).toBe(
      'connection old created\nconnection shop target created\ntask shop created\n',
    );
    expect(await apply(FILE)).toBe(
      'connection old unchanged\nconnection shop target unchanged\ntask shop unchanged\n',
    );
    const other = FILE.replace('[schema, full]', '[full]').replace('region: here', 'region: there');
    expect(await apply(other.replace('60', '90').replace('wave', 'wave 2'), '--passwords')).toBe(
      [
        'connection old updated: region, password',
        'connection shop target updated: password',
        'task shop updated: taskGroup, types, retry',
        '',
      ].join('\n'),
    );
    expect(await apply(other.replace('60', '90').replace('wave', 'wave 2').replace(':1/', ':2/'))).toContain(
      'connection shop target updated: conninfo, password',
    );

    const exported = (await run(['export', '--group', 'files'])).stdout;
    expect(exported).not.toContain(SECRET);
    const documents = parseAllDocuments(exported).map((document) => document.toJS());
    expect(documents.map(({ kind, metadata }) => [kind, metadata.name])).toEqual([
      ['Connection', 'old'],
      ['Connection', 'shop target'],
      ['Task', 'shop'],
    ]);
    expect(documents[2]).toMatchObject({
      metadata: { taskGroup: 'wave 2' },
      spec: {
        source: 'old',
        target: 'shop target',
        types: ['full'],
        retry: { connectMinutes: 90, otherMinutes: 20 },
      },
    });
    expect(documents[2].spec.jobs).toBeUndefined();
    const again = await run(['apply', '-f', '-', '--group', 'files'], { input: exported });
    expect(again.stdout).toBe(
      'connection old unchanged\nconnection shop target unchanged\ntask shop unchanged\n',
    );
    const copied = await run(['apply', '-f', '-', '--group', 'copies', '--json'], { input: exported });
    expect(JSON.parse(copied.stdout)).toMatchObject({
      kind: 'Applied',
      data: { items: [{ done: 'created' }, { done: 'created' }, { done: 'created' }] },
      next_steps: [{ command: expect.stringMatching(/^opendts task start [0-9a-f-]{36} --group copies$/) }],
    });
    expect((await run(['export', '--group', 'copies'])).stdout).toBe(exported);
  }, 120_000);

  it('that is wrong is named with its line, and changes nothing', async () => {
    const text = `${FILE}---\napiVersion: opendts/v1\nkind: Task\nmetadata: { name: x }\nspec:\n  sorce: ${SECRET}\n`;
    const { code, stderr } = await run(['apply', '-f', '-', '--group', 'files'], {
      input: text,
      env: { OLD_PASSWORD: 'a', NEW_PASSWORD: 'b' },
    });
    expect(code).toBe(2);
    expect(stderr).toContain('line 23, column 3: unknown field "sorce"');
    expect(stderr).not.toContain(SECRET);
    for (const [wrong, told] of [
      ['apiVersion: opendts/v1\nkind: Tsk\n', 'line 2, column 7: kind: write Task or Connection'],
      ['', 'line 1, column 1: there is nothing in it'],
    ] as const)
      expect((await run(['apply', '-f', '-'], { input: wrong })).stderr).toContain(told);
    const without = { OPENDTS_SERVER: service.url.replace('http://', '') };
    expect((await run(['worker', 'list'], { env: without })).code).toBe(0);
    const { stderr: tls } = await run(['task', 'list'], {
      env: { OPENDTS_SERVER: service.url.replace('http', 'https') },
    });
    expect(tls).toContain('it speaks no TLS (write http://)');
  });
});

/** Stands before the server: keeps what is asked for, cuts or refuses the event stream. */
async function startDoor({ refuses = false } = {}) {
  const asked: string[] = [];
  const streams: ServerResponse[] = [];
  const server = createServer((request, response) => {
    const { url = '', method = 'GET', headers } = request;
    asked.push(`${method} ${url} ${String(headers['last-event-id'] ?? '')}`.trim());
    const isStream = url.includes('/events?task=');
    if (isStream && refuses) return void response.writeHead(502).end();
    if (isStream) streams.push(response);
    const { host: _, connection: __, ...kept } = headers;
    const sent = fetch(`${service.url}${url}`, { method, headers: kept as Record<string, string> });
    void sent.then(async ({ status, body }) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      if (body) await pipeline(body, response).catch(() => {});
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    env: { OPENDTS_SERVER: `http://127.0.0.1:${port}` },
    asked,
    cut: () => streams.splice(0).forEach((stream) => stream.destroy()),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe('a watch', () => {
  /** No worker has the task: it stays as it is until somebody asks for something. */
  async function prechecking(name: string): Promise<string[]> {
    await group(name);
    for (const end of ['old', 'new'])
      await json('connection', 'create', end, `postgresql://app@127.0.0.1:1/${end}`, '--group', name);
    await json('task', 'create', 'shop', '--source', 'old', '--target', 'new', '--group', name);
    await json('task', 'precheck', 'shop', '--group', name);
    return ['shop', '--group', name];
  }
  const showsIn = (asked: readonly string[]) =>
    asked.filter((one) => /GET .*\/tasks\/[^/]+$/.test(one)).length;

  it('follows the events of the server, and goes on behind the last one when the stream is cut', async () => {
    const at = await prechecking('followed');
    await using door = await startDoor();
    const watch = run(['task', 'watch', ...at], { env: door.env });
    const streams = () => door.asked.filter((one) => one.includes('/events?task='));
    await expect.poll(() => showsIn(door.asked), { timeout: 10_000 }).toBeGreaterThan(2);
    const before = showsIn(door.asked);
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    // Who asks every second has asked four times.
    expect(showsIn(door.asked) - before).toBeLessThan(3);
    expect(streams()).toEqual([expect.stringMatching(/task=[0-9a-f-]{36}$/)]);
    door.cut();
    await expect.poll(streams, { timeout: 10_000 }).toHaveLength(2);
    expect(streams()[1]).toMatch(/ \S+-\d+$/);
    await json('task', 'stop', ...at);
    expect((await watch).stdout).toBe('shop is stopped\n');
  });

  it('asks every second where the stream is refused', async () => {
    const at = await prechecking('refused');
    await using door = await startDoor({ refuses: true });
    const watch = run(['task', 'watch', ...at], { env: door.env });
    await expect.poll(() => showsIn(door.asked), { timeout: 10_000 }).toBeGreaterThan(3);
    await json('task', 'stop', ...at);
    expect((await watch).stdout).toBe('shop is stopped\n');
  });
});

describe('a task', () => {
  it('is made, prechecked, started, watched until it runs, paused, resumed, stopped, released and deleted', async () => {
    await using pair = await freshPair(
      17,
      18,
      'CREATE TABLE public.t (id int PRIMARY KEY); CREATE TABLE public.u (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 100)',
    );
    const { source, target } = pair;
    const before = await catalog(source);
    const { services, anotherStore, log } = service.node;
    await using worker = await startWorker(
      {
        store: services.store,
        anotherStore,
        connections: services.connections,
        log,
      },
      {
        name: 'here',
        region: null,
        cluster: null,
        capacity: 5,
        drainSeconds: 20,
        version: '0.0.0',
        failpoint: null,
      },
    );
    expect(worker.id).not.toBe('');
    await group("it's");
    const at = ['--group', "it's"];
    for (const [name, { uri }] of Object.entries({ old: source, new: target }))
      await json('connection', 'create', name, uri, ...at);
    const made = await json(
      'task',
      'create',
      'shop',
      '--source',
      'old',
      '--target',
      'new',
      '--jobs',
      '1',
      ...at,
    );
    expect(made).toMatchObject({ kind: 'Task', data: { state: 'not-started', spec: { jobs: 1 } } });
    const { id } = made.data;
    expect(made.next_steps[0]).toEqual({
      why: 'See whether it could run',
      command: `opendts task precheck ${id} --group 'it'\\''s'`,
    });

    await json('task', 'precheck', 'shop', ...at);
    expect((await json('task', 'watch', 'shop', ...at)).data.state).toBe('prechecked');
    const planned = await run(['task', 'start', 'shop', '--at', '2099-01-01T02:00:00+02:00', ...at]);
    expect(planned.stdout).toMatch(
      /^shop is prechecked, starts at 2099-01-01 00:00:00 UTC; possible now: .*stop/,
    );
    expect((await json('task', 'stop', 'shop', ...at)).data).toMatchObject({
      state: 'prechecked',
      startAt: null,
    });
    const hours = [
      '08:00-18:00 Europe/Berlin max-megabytes=5 max-stream-rows=1000',
      '20:00-21:00 UTC max-rows=9',
    ];
    await json('task', 'configure', 'shop', ...at, '--blackout', ...hours);
    expect((await run(['task', 'show', 'shop', ...at])).stdout).toContain(
      `blackout:     ${hours.join('; ')}`,
    );
    expect((await run(['export', ...at])).stdout).toContain('timeZone: Europe/Berlin');
    expect((await json('task', 'configure', 'shop', ...at, '--blackout', '')).data.blackout).toEqual([]);
    expect((await run(['task', 'checks', 'shop', ...at])).stdout).toMatch(/^source {3}PostgreSQL 17/);
    await json('task', 'start', 'shop', ...at);
    const running = await run(['task', 'watch', 'shop', '--until', 'running', ...at], { isTTY: true });
    expect([running.code, running.stdout]).toEqual([0, 'shop is running\n']);
    expect(running.stderr).toMatch(/in-step → running \(worker /);
    expect(running.stderr).toContain('all tables are in step');
    // The view of a migration, as soon as something is known of it.
    const late = await run(['task', 'watch', 'shop', '--until', 'paused', '--timeout', '2', ...at], {
      isTTY: true,
    });
    expect(late.code).toBe(8);
    expect(late.stderr).toMatch(/[a-z-]+ {3}2 tables \(.*\n.*\n\n {2}public\.t {2}/);
    expect((await run(['task', 'list', ...at])).stdout).toMatch(/^name .*\nshop {2}running .* old .* new /);
    const shown = (await run(['task', 'show', 'shop', ...at])).stdout;
    expect(shown).toMatch(/^name: {9}shop$/m);
    expect(shown).toMatch(/^possible: {5}pause, stop$/m);
    await source.session.query('INSERT INTO public.t VALUES (1000)');
    const count = async () => (await target.session.one('SELECT count(*) AS n FROM public.t'))['n'];
    await expect.poll(count, { timeout: 20_000 }).toBe('101');

    // A row that stands in the way stops the table, which the others do not wait for; a person has it copied again.
    await target.session.query('INSERT INTO public.t VALUES (2000)');
    await source.session.query('INSERT INTO public.t VALUES (2000); INSERT INTO public.u VALUES (1)');
    const tables = async (...more: string[]) =>
      (await run(['task', 'tables', 'shop', ...more, ...at])).stdout;
    await expect.poll(() => tables(), { timeout: 30_000 }).toMatch(/public\.t .* [A-Z_]+: /);
    expect((await json('task', 'list', ...at)).data.items).toMatchObject([{ state: 'running' }]);
    expect(await tables('--recopy', 'public.t')).toContain('(recopy is asked for)');
    await expect.poll(() => tables(), { timeout: 30_000 }).not.toMatch(/asked for|[A-Z_]+: /);
    await source.session.query('INSERT INTO public.t VALUES (2001)');
    await expect.poll(count, { timeout: 20_000 }).toBe('103');

    // Another one is left out of the way, as a dead letter that the release does not lose by itself.
    await target.session.query('INSERT INTO public.t VALUES (2002)');
    await source.session.query('INSERT INTO public.t VALUES (2002)');
    await expect.poll(() => tables(), { timeout: 30_000 }).toMatch(/public\.t .* [A-Z_]+: /);
    await tables('--dead-letter', 'public.t');
    await expect.poll(() => tables(), { timeout: 30_000 }).not.toMatch(/asked for|[A-Z_]+: /);

    const refused = await run(['task', 'release', 'shop', ...at]);
    expect([refused.code, refused.stderr]).toEqual([
      2,
      'opendts: Task "shop" is running: "release" is not possible now.\nPossible is: pause, stop.\n',
    ]);
    await json('task', 'pause', 'shop', ...at);
    expect((await run(['task', 'watch', 'shop', '--until', 'paused', ...at])).stdout).toBe(
      'shop is paused\n',
    );
    // Nothing more comes of it by itself.
    expect((await json('task', 'watch', 'shop', ...at)).data.state).toBe('paused');
    await json('task', 'resume', 'shop', ...at);
    await json('task', 'watch', 'shop', '--until', 'running', ...at);
    await json('task', 'throttle', 'shop', '--max-stream-rows', '1000', ...at);
    const configured = ['task', 'configure', 'shop', '--environment', 'production', '--max-megabytes', '5'];
    expect((await json(...configured, ...at)).data).toMatchObject({
      environment: 'production',
      spec: { jobs: 1, throttle: { megabytes: 5 }, streamThrottle: { rows: 1000 } },
    });
    expect((await json('task', 'retry', 'shop', '--connect-minutes', '60', ...at)).data).toMatchObject({
      retry: { connectMinutes: 60, otherMinutes: 10 },
    });
    const file = join(folder, 'shop.yaml');
    writeFileSync(
      file,
      'apiVersion: opendts/v1\nkind: Task\nspec: { retry: { connectMinutes: 90, otherMinutes: 15 }, jobs: 2 }\n',
    );
    const more = ['--file', file, '--other-minutes', '20', '--max-rows', '7', '--environment', ''];
    expect((await json('task', 'configure', 'shop', ...more, ...at)).data).toMatchObject({
      environment: null,
      spec: { jobs: 2, throttle: { rows: 7 } },
      retry: { connectMinutes: 90, otherMinutes: 20 },
    });
    const begun = await run(['task', 'configure', 'shop', '--exclude-table', 'x', ...at]);
    expect([begun.code, begun.stderr]).toEqual([2, expect.stringContaining('excludeTables cannot change')]);
    expect((await run(['task', 'configure', 'shop', ...at])).code).toBe(2);
    await json('task', 'rename', 'shop', 'store', ...at);
    await json('task', 'stop', 'store', ...at);
    await json('task', 'watch', 'store', ...at);
    await json('task', 'release', 'store', ...at);
    const left = await run(['task', 'watch', 'store', ...at]);
    expect([left.code, left.stdout]).toEqual([
      2,
      expect.stringMatching(/release-failed\nDEAD_LETTERS_LEFT: 1 /),
    ]);
    await json('task', 'release', 'store', '--drop-dead-letters', ...at);
    expect((await json('task', 'watch', 'store', ...at)).data.state).toBe('released');
    expect(await catalog(source)).toEqual(before);
    const events = (await run(['task', 'events', 'store', '--all', ...at])).stdout;
    for (const word of ['released', 'throttled', 'renamed', 'in-step', 'precheck-passed'])
      expect(events).toContain(word);
    const series = (await run(['task', 'series', 'store', '--from', '2026-01-01T00:00:00+01:00', ...at]))
      .stdout;
    expect(series).toMatch(/^time \(UTC\) +delay .*\n\d{4}-\d\d-\d\d \d\d:\d\d:00 /);
    expect((await json('task', 'clone', 'store', 'next', ...at)).data).toMatchObject({
      state: 'not-started',
    });
    await json('task', 'delete', 'store', ...at);
    expect((await json('task', 'list', ...at)).data.items).toMatchObject([{ name: 'next' }]);
  }, 240_000);
});
