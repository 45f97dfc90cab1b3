/**
 * Three `opendts worker` processes on one store run twelve tasks, one of them with a large table. Every 20 seconds a random worker is
 * killed (SIGKILL, another one is started) or frozen (SIGSTOP, and SIGCONT once others have its tasks): first while the tables are copied,
 * then under a load. Work must move within 30 s. In the end all is compared: content, and the accounts (I6) against what the sources
 * themselves say they sent; after the release nothing may be left.
 *   npm run faults:fleet             ten minutes        npm run faults:fleet -- --quick     about one
 */
import { startEmbedded, type EmbeddedServer } from '../src/base/embedded/server.ts';
import { sleep } from '../src/base/runtime/sleep.ts';
import { connect } from '../src/engine/pg/connect.ts';
import { parseConninfo } from '../src/engine/pg/conninfo/parse.ts';
import type { Session } from '../src/engine/pg/session.ts';
import { openCli, say, type Run } from './faults/cli.ts';
import { FleetUnderTest } from './faults/fleet.ts';
import { STREAM_TABLES } from './faults/stream-tables.ts';
import { ledgerDifferences, openWitness, readLedger, type Counts, type Witness } from './faults/witness.ts';
import { startWriters } from './faults/writers.ts';

const quick = process.argv.includes('--quick');
const TASKS = 12;
const WORKERS = 3;
const EVERY_MS = quick ? 5_000 : 20_000;
const COPY_EVENTS = quick ? 2 : 10;
const STREAM_EVENTS = quick ? 2 : 20;
const LARGE_ROWS = quick ? 100_000 : 8_000_000;
const MOVED_MS = 30_000;
const LOAD = { writers: 1, pauseMs: 100, shares: { bulk: 0.002, moves: 0.005 }, holds: false };
const SPEC = { chunkMegabytes: quick ? 2 : 16, throttle: { megabytes: quick ? 3 : 12 } };
const rows = (count: number) =>
  `CREATE TABLE large (id int PRIMARY KEY, v text);
   INSERT INTO large SELECT g, repeat(md5(g::text), 6) FROM generate_series(1, ${count}) g; ANALYZE large`;

interface Task {
  readonly id: string;
  readonly name: string;
  readonly source: string;
  readonly target: string;
}

const totals = { kills: 0, freezes: 0, slowestMs: 0, transactions: 0 };
const started = performance.now();
using cli = openCli();
const servers: EmbeddedServer[] = [];
const workers: Run[] = [];
let nextWorker = 1;

const open = (uri: string): Promise<Session> =>
  connect(parseConninfo(uri, 'source'), { side: 'source', applicationName: 'faults' });

function startWorker(): void {
  workers.push(cli.run('worker', ['--name', `worker-${nextWorker++}`, '--capacity', String(TASKS)]));
}

async function makeTask(fleet: FleetUnderTest, at: number): Promise<Task> {
  const [source, target] = servers;
  const name = `task${at}`;
  for (const server of [source, target]) {
    await using session = await open(server?.uri('postgres') ?? '');
    await session.query(`CREATE DATABASE ${name}`);
  }
  const ends = { source: source?.uri(name) ?? '', target: target?.uri(name) ?? '' };
  await using here = await open(ends.source);
  await here.query('SET search_path = public');
  await here.query(STREAM_TABLES);
  await here.query(rows(at === 1 ? LARGE_ROWS : 20_000));
  return { name, ...ends, id: await fleet.task(name, ends, SPEC) };
}

async function run(fleet: FleetUnderTest): Promise<void> {
  const tasks: Task[] = [];
  for (let at = 1; at <= TASKS; at++) tasks.push(await makeTask(fleet, at));
  for (let at = 0; at < WORKERS; at++) startWorker();
  for (const { id } of tasks) await fleet.ask(id, 'start');
  for (let at = 0; at < COPY_EVENTS; at++) await disturb(fleet, tasks);
  for (const { id } of tasks) await fleet.until(id, 'running', 900_000);
  say('all tasks are in step');
  const books: { task: Task; witness: Witness; before: Counts }[] = [];
  for (const task of tasks) {
    await using there = await open(task.target);
    const witness = await openWitness(() => open(task.source), `faults_${task.name}`);
    books.push({ task, witness, before: await readLedger(there) });
  }
  const writers = tasks.map(({ source }) => startWriters(() => open(source), 1, LOAD));
  for (let at = 0; at < STREAM_EVENTS; at++) await disturb(fleet, tasks);
  for (const one of writers) totals.transactions += await one.stop();
  for (const { id } of tasks) await fleet.until(id, 'running', 120_000);
  for (const { task, witness, before } of books) {
    await assertExact(task, witness, before);
    await witness[Symbol.asyncDispose]();
    await cli.mustRun('verify', ['--source', task.source, '--target', task.target]);
  }
  for (const { id } of tasks) await fleet.ask(id, 'stop');
  for (const { id } of tasks) await fleet.until(id, 'stopped', 120_000);
  for (const { id } of tasks) await fleet.ask(id, 'release');
  for (const { id } of tasks) await fleet.until(id, 'released', 120_000, ['release-failed']);
  await assertNothingLeft(tasks);
}

/** A worker is killed or frozen, in turn; what it had must be another's soon. */
async function disturb(fleet: FleetUnderTest, tasks: readonly Task[]): Promise<void> {
  await sleep(EVERY_MS * (0.5 + Math.random()));
  const at = Math.floor(Math.random() * workers.length);
  const worker = workers[at];
  const id = /worker (\S+) runs/.exec(worker?.output() ?? '')?.[1];
  if (!worker || id === undefined) return;
  const had: string[] = [];
  for (const task of tasks) if ((await fleet.show(task.id)).workerId === id) had.push(task.id);
  const isKill = totals.kills <= totals.freezes;
  worker.child.kill(isKill ? 'SIGKILL' : 'SIGSTOP');
  const began = performance.now();
  if (isKill) {
    workers.splice(at, 1);
    startWorker();
  }
  for (const one of had) {
    while ((await fleet.show(one)).workerId === id) {
      if (performance.now() - began > MOVED_MS)
        throw new Error(`a task did not move within ${MOVED_MS / 1000} s`);
      await sleep(200);
    }
  }
  const movedMs = Math.round(performance.now() - began);
  if (had.length > 0) totals.slowestMs = Math.max(totals.slowestMs, movedMs);
  if (isKill) totals.kills++;
  else totals.freezes++;
  if (!isKill) worker.child.kill('SIGCONT');
  const seconds = Math.round((performance.now() - started) / 1000);
  say(`${isKill ? 'killed' : 'froze'} one with ${had.length} tasks: moved in ${movedMs} ms (${seconds} s)`);
}

/** What is on its way has arrived when the figures are the same. */
async function assertExact({ name, target }: Task, witness: Witness, before: Counts): Promise<void> {
  await using there = await open(target);
  let wrong: string[] = [];
  for (let attempt = 0; attempt < 300; attempt++) {
    wrong = ledgerDifferences(await witness.count(), await readLedger(there), before);
    if (wrong.length === 0) return;
    await sleep(200);
  }
  throw new Error(`the accounts of ${name} are not exact:\n${wrong.join('\n')}`);
}

async function assertNothingLeft(tasks: readonly Task[]): Promise<void> {
  for (const { source, target } of tasks) {
    await using here = await open(source);
    await using there = await open(target);
    const left = [
      ...(await here.query(
        `SELECT 'slot ' || slot_name AS what FROM pg_catalog.pg_replication_slots WHERE database = pg_catalog.current_database()
          UNION ALL SELECT 'publication ' || pubname FROM pg_catalog.pg_publication`,
      )),
      ...(await there.query(
        `SELECT 'schema ' || nspname AS what FROM pg_catalog.pg_namespace WHERE nspname LIKE '\\_opendts%'`,
      )),
    ];
    if (left.length > 0) throw new Error(`left over: ${left.map(({ what }) => what).join(', ')}`);
  }
}

try {
  const settings = { wal_level: 'logical', fsync: 'off', max_connections: 300 };
  const slots = { max_replication_slots: 60, max_wal_senders: 60 };
  for (const major of [17, 18])
    servers.push(await startEmbedded({ major, settings: { ...settings, ...slots } }));
  const store = await startEmbedded({ major: 17, settings: { fsync: 'off' } });
  servers.push(store);
  await using fleet = await FleetUnderTest.open(store.uri('postgres'));
  Object.assign(process.env, fleet.env);
  await run(fleet);
  const minutes = ((performance.now() - started) / 60_000).toFixed(1);
  say(
    `${TASKS} tasks right after ${totals.kills} kills and ${totals.freezes} freezes of workers; accounts exact; nothing left over; work moved within ${totals.slowestMs} ms; ${totals.transactions} transactions written meanwhile; ${minutes} min`,
  );
} catch (thrown) {
  say(thrown instanceof Error ? thrown.message : String(thrown));
  say(workers.map((worker) => worker.output().slice(-2000)).join('\n'));
  process.exitCode = 1;
} finally {
  for (const { child } of workers) child.kill('SIGKILL');
  for (const server of servers) await server.remove();
}
