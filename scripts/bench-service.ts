/**
 * What many tasks and many watchers cost the service (docs/bench-service.md): a process of `opendts serve` on a store with 1,000 tasks.
 *   npm run bench:service                listing beside that of an empty group, and 200 clients that follow 60 changes
 *   npm run bench:service -- --quick     fewer rounds
 *   … --json                             one JSON line with the bars at the end
 * Ends with 1 when a client was not told everything.
 */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { taskSettings } from '../src/contract/task-spec.ts';
import { literal } from '../src/engine/pg/ident.ts';
import type { Session } from '../src/engine/pg/session.ts';
import { hashOf, newApiToken } from '../src/service/account/tokens.ts';
import { table } from '../src/surface/cli/view/text.ts';
import { followEvents, type EventClient } from '../test/event-client.ts';
import { bar, median } from './bench/bars.ts';
import { openDatabase } from './bench/cluster-pair.ts';
import { runBench, type BenchContext } from './bench/run-bench.ts';

const BIN = fileURLToPath(new URL('../bin/opendts.js', import.meta.url));
const STORE = 'store';
const TASKS = 1_000;
const CLIENTS = 200;
/** Of the tasks, all but their number. */
const ID = '00000000-0000-4000-8000-';

function options(): { rounds: number; changes: number; name: string; json: boolean } {
  const { values } = parseArgs({
    options: { quick: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } },
  });
  const { quick, json } = values;
  return quick
    ? { rounds: 50, changes: 10, name: 'quick', json }
    : { rounds: 300, changes: 60, name: 'full', json };
}

interface Served extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
}

async function serve(uri: string, { env, signal }: BenchContext): Promise<Served> {
  const child = spawn(
    process.execPath,
    [BIN, 'serve', '--port', '0', '--no-worker', '--log-level', 'error'],
    {
      env: { ...env, DATABASE_URL: uri, OPENDTS_KEY: Buffer.alloc(32, 1).toString('base64') },
      stdio: ['ignore', 'pipe', 'inherit'],
      signal,
    },
  );
  child.on('error', () => {});
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  let said = '';
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.on('data', (bytes) => {
      said += String(bytes);
      const [, found] = /listening on (\S+)/.exec(said) ?? [];
      if (found !== undefined) resolve(found);
    });
    void ended.then(() => reject(new Error('opendts serve has ended')));
  });
  return {
    url,
    pid: child.pid ?? 0,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** Two groups, one of them with the tasks; gives a token of somebody who sees both. */
async function fill(session: Session): Promise<string> {
  const { token, prefix } = newApiToken();
  const [account, empty, full] = [randomUUID(), randomUUID(), randomUUID()];
  const body = JSON.stringify({ phase: 'stream', copy: { share: 1 }, rowsCopied: '1', changesApplied: '1' });
  await session.query(`
    INSERT INTO opendts.account (id, name, must_change_password, is_administrator) VALUES ('${account}', 'bench', false, true);
    INSERT INTO opendts.api_token (id, account_id, name, prefix, token_hash, expires_at)
    VALUES ('${randomUUID()}', '${account}', 'bench', '${prefix}', '${hashOf(token)}', now() + interval '1 day');
    INSERT INTO opendts.resource_group (id, name) VALUES ('${empty}', 'empty'), ('${full}', 'full');
    INSERT INTO opendts.task (id, group_id, name, spec, class, desired, state, retry_connect_minutes, retry_other_minutes)
    SELECT ('${ID}' || lpad(i::text, 12, '0'))::uuid, '${full}', 'task ' || i, ${literal(JSON.stringify(taskSettings.parse({})))}, 'small', 'running', 'running', 720, 10
      FROM generate_series(1, ${TASKS}) i;
    INSERT INTO opendts.task_progress (task_id, fence, body, delay_ms) SELECT id, 0, ${literal(body)}, 100 FROM opendts.task;
    ANALYZE`);
  return token;
}

interface Timed {
  readonly what: string;
  readonly ms: readonly number[];
}

/** Turn by turn, so that whatever else the machine does meets all of them. */
async function listings(url: string, headers: Record<string, string>, rounds: number): Promise<Timed[]> {
  const lists = {
    'GET tasks, empty group': 'empty/tasks',
    [`GET tasks, ${TASKS} tasks`]: 'full/tasks',
    'the same, 200 a page': 'full/tasks?limit=200',
  };
  const timed = Object.entries(lists).map(([what, path]) => ({ what, path, ms: [] as number[] }));
  for (let round = -10; round < rounds; round++)
    for (const { path, ms } of timed) {
      const began = performance.now();
      const answer = await fetch(`${url}/api/v1/groups/${path}`, { headers });
      await answer.text();
      if (!answer.ok) throw new Error(`${path} answers ${answer.status}`);
      if (round >= 0) ms.push(performance.now() - began);
    }
  return timed;
}

const isReady = (client: EventClient) =>
  client.until((events) => events.at(-1)?.data.kind === 'ready', 60_000);

async function watching(
  served: Served,
  session: Session,
  { headers, changes }: { headers: Record<string, string>; changes: number },
): Promise<{ timed: Timed[]; told: number; memory: readonly [number, number] }> {
  const before = memoryOf(served.pid);
  const began = performance.now();
  const url = `${served.url}/api/v1/groups/full/events`;
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => followEvents({ url, headers })));
  try {
    await Promise.all(clients.map(isReady));
    const ready = performance.now() - began;
    const ms: number[] = [];
    for (let change = 2; change < changes + 2; change++) {
      const asked = performance.now();
      const id = `'${ID}${String(change).padStart(12, '0')}'`;
      await session.query(
        `UPDATE opendts.task SET version = ${change}, updated_at = clock_timestamp() WHERE id = ${id}; SELECT pg_notify('opendts_task', ${id})`,
      );
      await Promise.all(
        clients.map((client) =>
          client.until((events) => events.at(-1)?.data.task?.version === change, 60_000),
        ),
      );
      ms.push(performance.now() - asked);
    }
    const told = clients.filter(({ events }) => events.length === TASKS + 2 + changes).length;
    return {
      timed: [
        { what: `${CLIENTS} clients told ${TASKS} tasks each`, ms: [ready] },
        { what: `a change told to ${CLIENTS} clients`, ms },
      ],
      told,
      memory: [before, memoryOf(served.pid)],
    };
  } finally {
    await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
  }
}

/** Of a process, in MB. */
function memoryOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1000;
}

function line({ what, ms }: Timed): string[] {
  const sorted = ms.toSorted((a, b) => a - b);
  const at = (share: number) => (sorted[Math.ceil(share * sorted.length) - 1] ?? 0).toFixed(1);
  return [what, String(ms.length), at(0.5), at(0.95), at(1)];
}

await runBench(
  () => ({ name: 'bench:service', size: options().name, json: options().json }),
  async (bench) => {
    const { rounds, changes } = options();
    {
      await using admin = await openDatabase(bench.pair.source, 'postgres');
      await admin.query(`CREATE DATABASE ${STORE}`);
    }
    await using served = await serve(bench.pair.source.uri(STORE), bench);
    await using session = await openDatabase(bench.pair.source, STORE);
    const headers = { authorization: `Bearer ${await fill(session)}` };
    bench.say(`${rounds} rounds of listing …`);
    const listed = await listings(served.url, headers, rounds);
    bench.say(`${CLIENTS} clients follow ${changes} changes …`);
    const { timed, told, memory } = await watching(served, session, { headers, changes });
    const [empty, full] = listed.map(({ ms }) => median(ms) ?? NaN);
    return {
      about: [
        `store: ${TASKS} tasks with progress; server: ${memory[0].toFixed(0)} MB before, ${memory[1].toFixed(0)} MB with ${CLIENTS} clients`,
      ],
      table: table(['what', 'n', 'median ms', 'p95', 'max'], [...listed, ...timed].map(line), [
        'n',
        'median ms',
        'p95',
        'max',
      ]),
      bars: [
        bar(`listing of ${TASKS} tasks minus that of none, median ms`, (full ?? NaN) - (empty ?? NaN), {
          max: 50,
        }),
        bar(`clients of ${CLIENTS} that were told everything`, told, { min: CLIENTS }),
      ],
      troubles: [],
      failed: told < CLIENTS,
      checked: 'Checked: every client was told every task once, and every change once.',
    };
  },
);
