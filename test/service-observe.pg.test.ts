/** What is seen of a node from outside: metrics, health, its log; and what is never seen. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect } from '../src/engine/pg/connect.ts';
import { METRICS, PREFIX, type Declared, type MetricName } from '../src/service/metrics/declared.ts';
import { followEvents } from './event-client.ts';
import { METRICS_TOKEN, startService, type TestService } from './service.ts';

let service: TestService;
let admin: string;
beforeAll(async () => {
  service = await startService(12);
  admin = (await service.account({ isAdministrator: true })).token;
});
afterAll(() => service[Symbol.asyncDispose]());

async function scrape(token: string | null = METRICS_TOKEN): Promise<{ status: number; text: string }> {
  const headers = token === null ? {} : { authorization: `Bearer ${token}` };
  const response = await fetch(`${service.url}/metrics`, { headers });
  return { status: response.status, text: await response.text() };
}

async function task(group: string, name: string): Promise<string> {
  const made = await service.send(`POST /groups/${group}/tasks`, { token: admin, body: { name } });
  expect(made.status).toBe(201);
  return made.body.id;
}

/** As if a worker had it. */
async function runs(id: string): Promise<void> {
  const body = {
    phase: 'copy',
    tables: { copying: 2, streaming: 1 },
    rowsCopied: '12345678901234567890',
    bytesCopied: '77',
    copy: { share: 0.25 },
    changesApplied: '3',
    transactionsApplied: '2',
    deadLetters: '0',
    lagBytes: null,
    slot: { retainedBytes: '4096' },
  };
  await service.database.session.query(
    `UPDATE opendts.task SET state = 'migrating', worker_id = '${randomUUID()}' WHERE id = '${id}'`,
  );
  await service.database.session.query(
    `INSERT INTO opendts.task_progress (task_id, fence, body, delay_ms) VALUES ('${id}', 0, '${JSON.stringify(body)}', 1500)`,
  );
}

/** Nobody can reach the store, until it is let go. */
async function storeAway(): Promise<AsyncDisposable> {
  const { info, name } = service.database;
  const other = await connect({ ...info, database: 'postgres' }, { side: 'target', applicationName: 'test' });
  await other.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
  await other.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}' AND application_name = 'opendts:store'`,
  );
  return {
    [Symbol.asyncDispose]: async () => {
      await other.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`);
      await other.end();
    },
  };
}

describe('metrics', () => {
  it('are told to whoever shows the metrics token or administers, and to nobody else', async () => {
    const viewer = await service.account({ group: 'seen', role: 'admin' });
    const answers = await Promise.all([null, 'x'.repeat(30), viewer.token, METRICS_TOKEN, admin].map(scrape));
    expect(answers.map(({ status }) => status)).toEqual([401, 401, 403, 200, 200]);
  });

  it('count tasks, what they do, workers and requests, under the names and labels that are declared, and no table has a series', async () => {
    await service.send('POST /groups', { token: admin, body: { name: 'counted' } });
    await task('counted', 'idle');
    const id = await task('counted', 'a "name"\\\n'.trim());
    await runs(id);
    await service.database.session.query(
      `INSERT INTO opendts.worker (id, name, version, host, pid, capacity, draining, seen_at)
       VALUES ('${randomUUID()}', 'w', '1', 'h', 1, 20, false, now()), ('${randomUUID()}', 'v', '1', 'h', 2, 7, true, now()),
              ('${randomUUID()}', 'u', '1', 'h', 3, 9, false, now() - interval '1 hour')`,
    );
    expect((await service.send('GET /groups/nothing/tasks', { token: admin })).status).toBe(404);
    expect((await service.send('GET /nowhere', { token: admin })).status).toBe(404);
    await scrape();
    const { text } = await scrape();
    for (const line of [
      'tasks{state="migrating"} 1',
      'tasks{state="failed"} 0',
      `task_info{task="${id}",name="a \\"name\\"\\\\"} 1`,
      `task_state{task="${id}",state="migrating"} 1`,
      `replication_lag_seconds{task="${id}"} 1.5`,
      `copy_ratio{task="${id}"} 0.25`,
      `rows_copied_total{task="${id}"} 12345678901234567000`,
      `changes_applied_total{task="${id}"} 3`,
      `tables{task="${id}",stage="copying"} 2`,
      `slot_retained_wal_bytes{task="${id}"} 4096`,
      'workers{state="active"} 1',
      'workers{state="draining"} 1',
      'workers{state="lost"} 1',
      'tasks_waiting 1',
      'worker_places 20',
      'worker_tasks 1',
      'tasks_without_series 0',
      'store_up 1',
      'build_info{version="0.0.0"} 1',
      'http_requests_total{operation="task.list",status="404"} 1',
      'http_requests_total{operation="other",status="404"} 1',
      'http_request_duration_seconds_count{operation="task.list"} 1',
    ])
      expect(text).toContain(`\n${PREFIX}${line}\n`);
    expect(text).toMatch(/^opendts_audit_unsent_age_seconds (?!0$)[\d.]+$/m);
    // Not known: nothing is said, instead of 0.
    expect(text).not.toContain('replication_lag_bytes{');
    const said = [...text.matchAll(/^(?!#)opendts_(\w+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})? \S+$/gm)];
    expect(said.length).toBe(text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length);
    for (const [, name = '', labels = ''] of said) {
      const declared: Declared | undefined = METRICS[name as MetricName];
      expect([name, declared === undefined]).toEqual([name, false]);
      const names = [...labels.matchAll(/(\w+)="(?:[^"\\]|\\.)*"/g)].map(([, label]) => label);
      expect(names.filter((label) => label !== 'le' && !declared?.labels?.includes(label!))).toEqual([]);
    }
  });

  it('say that the store is away, and so does readiness; the process lives', async () => {
    const health = async () => {
      const answers = await Promise.all(['/livez', '/readyz'].map((path) => fetch(`${service.url}${path}`)));
      const [, ready] = await Promise.all(
        answers.map((answer) => answer.json() as Promise<{ code?: string }>),
      );
      return [...answers.map(({ status }) => status), ready?.code];
    };
    expect(await health()).toEqual([200, 200, undefined]);
    {
      await using _away = await storeAway();
      expect(await health()).toEqual([200, 503, 'STORE_UNAVAILABLE']);
      const { status, text } = await scrape();
      expect(status).toBe(200);
      expect(text).toContain('opendts_store_up 0\n');
      expect(text).toContain('opendts_process_resident_memory_bytes ');
      expect(text).not.toContain('opendts_tasks{');
    }
    expect(await health()).toEqual([200, 200, undefined]);
    const { session } = service.database;
    await session.query(
      'CREATE TABLE public.kept AS SELECT * FROM opendts.migration; DELETE FROM opendts.migration WHERE number > 7',
    );
    expect(await health()).toEqual([200, 503, 'STORE_BEHIND']);
    await session.query('TRUNCATE opendts.migration; INSERT INTO opendts.migration TABLE public.kept');
  });
});

describe('secrets and values', () => {
  it('are in no log, answer, metric, event or entry of the audit log, whatever is asked for and however it fails', async () => {
    const MARKER = 'MARKER-of-a-secret';
    const group = `g-${randomUUID().slice(0, 8)}`;
    const { session } = service.database;
    await service.send('POST /groups', { token: admin, body: { name: group } });
    const send = (request: string, body?: unknown, token = admin) => service.send(request, { token, body });
    const connection = {
      name: 'shop',
      conninfo: `postgresql://app:${MARKER}@127.0.0.1:1/shop`,
      kind: 'postgresql',
    };
    const said: string[] = [];
    const note = async (answer: ReturnType<typeof send>) => {
      const { status, text } = await answer;
      said.push(text);
      return status;
    };
    expect(await note(send(`POST /groups/${group}/connections`, connection))).toBe(201);
    expect(
      await note(
        send(`POST /groups/${group}/connections`, {
          ...connection,
          name: 'new',
          conninfo: 'postgresql://u@127.0.0.1:1/x',
          password: MARKER,
        }),
      ),
    ).toBe(201);
    expect(
      await note(send(`POST /groups/${group}/tasks`, { name: 't', source: 'shop', target: 'new' })),
    ).toBe(201);
    expect(await note(send(`POST /groups/${group}/connections/shop/test`))).toBe(200);
    // The texts of the server quote the row, and what it has found wrong with a value.
    await session.query(
      `ALTER TABLE opendts.connection ADD CONSTRAINT c CHECK (region IS NULL OR region <> '${MARKER}' OR region::integer = 1)`,
    );
    expect(await note(send(`PATCH /groups/${group}/connections/shop`, { version: 1, region: MARKER }))).toBe(
      500,
    );
    await session.query('ALTER TABLE opendts.connection DROP CONSTRAINT c');
    expect(await note(service.send('POST /session', { body: { name: 'admin', password: MARKER } }))).toBe(
      401,
    );
    expect(
      await note(service.send('POST /session', { body: { name: MARKER.repeat(20), password: MARKER } })),
    ).toBe(400);
    expect(await note(send('GET /groups', undefined, MARKER))).toBe(401);
    expect(
      await note(send(`PATCH /groups/${group}/connections/shop`, { version: MARKER, password: MARKER })),
    ).toBe(400);
    const broken = await fetch(`${service.url}/api/v1/session`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', cookie: `opendts_session=${MARKER}` },
      body: `{"password": "${MARKER}`,
    });
    expect(broken.status).toBe(400);
    {
      await using client = await followEvents({
        url: `${service.url}/api/v1/groups/${group}/events`,
        headers: { authorization: `Bearer ${admin}` },
      });
      await client.until((events) => events.some(({ data }) => data.kind === 'ready'));
      said.push(JSON.stringify(client.events));
    }
    said.push(await broken.text(), (await scrape(MARKER)).text, (await scrape()).text);
    expect(await note(send('GET /audit?limit=200'))).toBe(200);
    expect(await note(send(`GET /groups/${group}/connections`))).toBe(200);
    const log = service.log();
    expect(log).toContain('"msg":"a request failed"');
    expect(log).toContain('"sqlstate":"22P02"');
    for (const text of [...said, log]) {
      expect(text).not.toContain(MARKER);
      expect(text).not.toContain(admin);
      expect(text).not.toContain(METRICS_TOKEN);
    }
    for (const line of log.trim().split('\n'))
      expect(JSON.parse(line)).toMatchObject({ level: expect.any(String), msg: expect.any(String) });
  });
});
