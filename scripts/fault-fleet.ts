/**
 * Three `opendts worker` processes on one store run twelve tasks, one of them with a large table that all three copy. Every 20 seconds random
 * workers are killed (SIGKILL, another one is started) or frozen (SIGSTOP, and SIGCONT once others have their tasks): first while the
 * tables are copied, then under a load. Work must move within 30 s. In both halves the metadata database crashes once, and is away for a
 * minute. In the end all is compared: content, and the accounts (I6) against what the sources themselves say they sent; after the release
 * nothing may be left.
 *   npm run faults:fleet             twelve minutes        npm run faults:fleet -- --quick     about one
 */
import { startEmbedded, type EmbeddedServer } from '../src/base/embedded/server.ts';
import { sleep } from '../src/base/runtime/sleep.ts';
import { connect } from '../src/engine/pg/connect.ts';
import { parseConninfo } from '../src/engine/pg/conninfo/parse.ts';
import type { Session } from '../src/engine/pg/session.ts';
import { openCli, say as tell } from './faults/cli.ts';
import { Crowd } from './faults/crowd.ts';
import { FleetUnderTest } from './faults/fleet.ts';
import { STREAM_TABLES } from './faults/stream-tables.ts';
import { ledgerDifferences, openWitness, readLedger, type Counts, type Witness } from './faults/witness.ts';
import { startWriters } from './faults/writers.ts';

const LONG = {
  tasks: 12,
  everyMs: 20_000,
  /** Workers that are killed and frozen at once, in turn. */
  copy: Array.from({ length: 10 }, (_, at) => (at % 2 === 0 ? ['kill'] : ['freeze'])),
  stream: Array.from({ length: 20 }, (_, at) =>
    at % 5 === 4 ? ['kill', 'freeze'] : at % 2 === 0 ? ['kill'] : ['freeze'],
  ),
  awayMs: 60_000,
  /** About 2 GB, of which the limit lets pass so much a second. */
  rows: 8_000_000,
  spec: { jobs: 8, chunkMegabytes: 16, throttle: { megabytes: 8 } },
};
/** Also part of npm test. */
const QUICK: typeof LONG = {
  tasks: 4,
  everyMs: 1_000,
  copy: [['kill', 'freeze']],
  stream: [['kill', 'freeze']],
  awayMs: 5_000,
  rows: 80_000,
  spec: { jobs: 2, chunkMegabytes: 0.3, throttle: { megabytes: 1 } },
};
const form = process.argv.includes('--quick') ? QUICK : LONG;
/** What a task must not come to because the store was away. */
const WORSE = ['failed', 'retrying', 'precheck-failed'] as const;
const LOAD = { writers: 1, pauseMs: 100, shares: { bulk: 0.002, moves: 0.005 }, holds: false };
const rows = (count: number) =>
  `CREATE TABLE large (id int PRIMARY KEY, v text);
   INSERT INTO large SELECT g, repeat(md5(g::text), 6) FROM generate_series(1, ${count}) g; ANALYZE large`;

interface Task {
  readonly id: string;
  readonly name: string;
  readonly source: string;
  readonly target: string;
}

const totals = { transactions: 0, moved: 0 };
const started = performance.now();
using cli = openCli();
const servers: EmbeddedServer[] = [];
const crowd = new Crowd(cli, form.tasks);
const say = (line: string) => tell(`${Math.round((performance.now() - started) / 1000)} s: ${line}`);

const open = (uri: string): Promise<Session> =>
  connect(parseConninfo(uri, 'source'), { side: 'source', applicationName: 'faults' });

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
  await here.query(rows(at === 1 ? form.rows : 20_000));
  return { name, ...ends, id: await fleet.task(name, ends, form.spec) };
}

async function run(fleet: FleetUnderTest): Promise<void> {
  const tasks: Task[] = [];
  for (let at = 1; at <= form.tasks; at++) tasks.push(await makeTask(fleet, at));
  const [large] = tasks;
  if (!large) throw new Error('no tasks');
  crowd.fill();
  await crowd.ready();
  say('workers run');
  for (const { id } of tasks) await fleet.ask(id, 'start');
  while ((await copied(large)) === 0) await sleep(500);
  await loseStore(fleet, tasks, 'the copy', async () => [await copied(large)]);
  for (const what of form.copy) await disturb(fleet, tasks, what);
  for (const { id } of tasks) await fleet.until(id, 'running', 900_000);
  const lenders = await fleet.lenders(large.id);
  if (lenders < Math.min(2, form.copy.length))
    throw new Error(`${lenders} others have lent hands to the copy`);
  say(`all tasks are in step; ${lenders} workers lent hands to the large table`);
  const books: { task: Task; witness: Witness; before: Counts }[] = [];
  for (const task of tasks) {
    await using there = await open(task.target);
    const witness = await openWitness(() => open(task.source), `faults_${task.name}`);
    books.push({ task, witness, before: await readLedger(there) });
  }
  const writers = tasks.map(({ source }) => startWriters(() => open(source), 1, LOAD));
  await loseStore(fleet, tasks, 'the stream', () => Promise.all(tasks.map(applied)));
  for (const what of form.stream) await disturb(fleet, tasks, what);
  for (const one of writers) totals.transactions += await one.stop();
  for (const { id } of tasks) await fleet.until(id, 'running', 120_000);
  say('the load has stopped');
  for (const { task, witness, before } of books) {
    await assertExact(task, witness, before);
    await witness[Symbol.asyncDispose]();
    await cli.mustRun('verify', ['--source', task.source, '--target', task.target]);
  }
  say('all is right');
  for (const { id } of tasks) await fleet.ask(id, 'stop');
  for (const { id } of tasks) await fleet.until(id, 'stopped', 120_000);
  for (const { id } of tasks) await fleet.ask(id, 'release');
  for (const { id } of tasks) await fleet.until(id, 'released', 120_000, ['release-failed']);
  await assertNothingLeft(tasks);
}

let next = 0;

async function disturb(
  fleet: FleetUnderTest,
  tasks: readonly Task[],
  what: readonly string[],
): Promise<void> {
  await sleep(Math.max(0, next - performance.now()));
  next = performance.now() + form.everyMs * (0.75 + Math.random() / 2);
  say(await crowd.disturb(fleet, { tasks, what }));
}

/** The metadata database crashes and is away for a while: what `far` counts grows all the same, and no task is any worse for it. */
async function loseStore(
  fleet: FleetUnderTest,
  tasks: readonly Task[],
  where: string,
  far: () => Promise<number[]>,
): Promise<void> {
  await crowd.ready();
  const owners = await fleet.owners(tasks);
  const store = servers.pop();
  if (!store) throw new Error('no store');
  await store.stop('immediate');
  let before: readonly number[] = [];
  try {
    // What was on its way has come.
    await sleep(form.awayMs / 4);
    before = await far();
    await sleep((form.awayMs * 3) / 4);
    const after = await far();
    if (after.some((count, at) => count <= (before[at] ?? 0)))
      throw new Error(
        `in ${where} a task stood still while the store was away: ${before.join()}, then ${after.join()}`,
      );
  } finally {
    servers.push(await store.restart());
  }
  for (const { id } of tasks) await fleet.until(id, ['migrating', 'running'], 120_000, WORSE);
  await crowd.answers(fleet);
  const moved = (await fleet.owners(tasks)).filter((owner, at) => owner !== owners[at]).length;
  totals.moved += moved;
  say(`the store was away for ${form.awayMs / 1000} s in ${where}: ${moved} tasks have another owner since`);
}

/** Chunks that are on the target. */
async function copied({ target }: Task): Promise<number> {
  await using there = await open(target);
  const { yes } = await there.one("SELECT pg_catalog.to_regclass('_opendts.copy_chunk') IS NOT NULL AS yes");
  if (yes !== 't') return 0;
  return Number((await there.one('SELECT count(*)::text AS n FROM _opendts.copy_chunk')).n);
}

/** Commits that are on the target. */
async function applied({ target }: Task): Promise<number> {
  await using there = await open(target);
  return Number((await there.one('SELECT sum(commits)::text AS n FROM _opendts.lane')).n);
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
  // The last: it is lost and comes back.
  const store = await startEmbedded({ major: 17, settings: { fsync: 'off' } });
  servers.push(store);
  await using fleet = await FleetUnderTest.open(store.uri('postgres'));
  Object.assign(process.env, fleet.env);
  await run(fleet);
  const minutes = ((performance.now() - started) / 60_000).toFixed(1);
  const { kills, freezes, slowestMs } = crowd.totals;
  say(
    `${form.tasks} tasks right after ${kills} kills and ${freezes} freezes of workers; accounts exact; nothing left over; work moved within ${slowestMs} ms; the store was away twice for ${form.awayMs / 1000} s, after which ${totals.moved} tasks had another owner; ${totals.transactions} transactions written meanwhile; ${minutes} min`,
  );
} catch (thrown) {
  say(thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown));
  say(crowd.outputs());
  process.exitCode = 1;
} finally {
  crowd.kill();
  for (const server of servers) await server.remove();
}
