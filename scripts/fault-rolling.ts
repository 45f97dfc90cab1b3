/**
 * Disturbs `opendts migrate` while changes are applied beside its copy: the WAL budget is next to nothing, a load writes to all tables,
 * rows vanish from the target so that tables stop and are copied again, and at random moments the process is killed, or connections to
 * either side are cut, silenced, or over for one end only (so that what was sent last, a commit perhaps, is answered to nobody). It is run again each
 * time until it is in step; then both sides are compared, with the multiplicity of equal rows.
 *   npm run faults:rolling          200 disturbances        npm run faults:rolling -- --quick     six
 *   … -- --disturbances 50 --from 12 --to 15
 */
import { startEmbedded, type EmbeddedServer } from '../src/base/embedded/server.ts';
import { sleep } from '../src/base/runtime/sleep.ts';
import type { Session } from '../src/engine/pg/session.ts';
import { startProxy, type TcpProxy } from '../test/tcp-proxy.ts';
import { openCli, say, type Run } from './faults/cli.ts';
import { TABLES } from './faults/tables.ts';
import { open, startWriter } from './faults/writer.ts';

const argument = (name: string): number | null => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? null : Number(process.argv[at + 1]);
};
const quick = process.argv.includes('--quick');
const WANTED = argument('disturbances') ?? (quick ? 6 : 200);
const MAJORS = { from: argument('from') ?? 18, to: argument('to') ?? 17 };
const A_MIGRATION = quick ? 6 : 10;
const LATEST_MS = quick ? 1_500 : 5_000;
const KINDS = ['kill', 'kill', 'cut', 'abandon', 'silence'] as const;
/** What a disturbed run may end with; it is run again. */
const MAY_END =
  /CONNECTION_LOST|CONNECT_FAILED|SNAPSHOT_LOST|TABLES_STOPPED|SLOT_IN_USE|FENCED|LANE_MOVED|connection .* was lost|another opendts|tables have stopped|Cannot connect|in use by|took this migration over|snapshot/i;

const random = (below: number) => Math.floor(Math.random() * below);

interface Place {
  readonly name: string;
  readonly here: Session;
  readonly there: Session;
  readonly proxies: readonly TcpProxy[];
}

const totals = {
  disturbances: 0,
  migrations: 0,
  transactions: 0,
  recopied: 0,
  ends: new Map<string, number>(),
};

/** Rows vanish from the target and are then changed on the source: their table stops, and is copied again. */
async function sabotage({ here, there }: Place): Promise<void> {
  const from = random(12_000);
  const which = `id BETWEEN ${from} AND ${from + 40}`;
  const isThere = await there.one("SELECT pg_catalog.to_regclass('public.ordered') IS NOT NULL AS yes");
  if (isThere.yes !== 't') return;
  await there.query(`SET lock_timeout = '500ms'; DELETE FROM ordered WHERE ${which}`).catch(() => {});
  await here.query(`UPDATE ordered SET n = n + 1 WHERE ${which}`);
}

async function recopyWhatStopped({ there }: Place): Promise<void> {
  const known = await there.one("SELECT pg_catalog.to_regclass('_opendts.stopped_table') IS NOT NULL AS yes");
  if (known.yes !== 't') return;
  const rows = await there.query(
    "UPDATE _opendts.stopped_table SET choice = 'recopy' WHERE choice IS DISTINCT FROM 'recopy' RETURNING 1",
  );
  totals.recopied += rows.length;
}

/** Runs until the process ends, disturbing it once; says how. */
async function disturbed(running: Run, place: Place): Promise<void> {
  let over = false;
  void running.ended.then(() => (over = true));
  const kind = KINDS[random(KINDS.length)] ?? 'kill';
  while (!over && !/phase=(copy|index|catch-up|stream)/.test(running.output())) await sleep(20);
  const delay = random(LATEST_MS);
  const until = performance.now() + delay;
  while (!over && performance.now() < until) {
    await sleep(Math.min(150, Math.max(1, until - performance.now())));
    await recopyWhatStopped(place);
    if (Math.random() < 0.1) await sabotage(place);
  }
  if (over) return;
  const phase = /.*phase=([a-z-]+)/s.exec(running.output())?.[1] ?? 'start';
  totals.disturbances++;
  const proxy = place.proxies[random(2)];
  if (kind === 'kill') running.child.kill('SIGKILL');
  else if (kind === 'cut') proxy?.cut(() => Math.random() < 0.5);
  else if (kind === 'abandon') proxy?.abandon(() => Math.random() < 0.5);
  else proxy?.silence({ which: () => Math.random() < 0.3 });
  say(`${totals.disturbances}: ${place.name} ${kind} in ${phase}, ${Math.round(delay)} ms`);
  if (kind !== 'kill') await Promise.race([running.ended, sleep(1_000 + random(2_000))]);
  for (const one of place.proxies) one.heal();
  if (kind !== 'kill' && Math.random() < 0.7) await Promise.race([running.ended, sleep(random(4_000))]);
  running.child.kill('SIGKILL');
}

async function end(running: Run): Promise<void> {
  const code = await running.ended;
  const reason = /^opendts: .*/m.exec(running.output())?.[0] ?? '';
  const key = `${code} ${reason.slice(9, 70)}`.trim();
  totals.ends.set(key, (totals.ends.get(key) ?? 0) + 1);
  if (code !== 0 && code !== 'SIGKILL' && !MAY_END.test(reason))
    throw new Error(`opendts migrate ended with ${code}:\n${running.output()}`);
}

async function inStep(args: readonly string[], place: Place): Promise<void> {
  for (let attempt = 0; attempt < 10; attempt++) {
    await recopyWhatStopped(place);
    const running = cli.run('migrate', args);
    const code = await running.ended;
    if (code === 0) return;
    if (!/TABLES_STOPPED|tables have stopped/.test(running.output()))
      throw new Error(`opendts migrate ended with ${code}:\n${running.output()}`);
  }
  throw new Error('tables stop again and again');
}

async function migration(source: EmbeddedServer, target: EmbeddedServer): Promise<void> {
  const name = `m${++totals.migrations}`;
  await using here = await open(source, 'postgres');
  await using there = await open(target, 'postgres');
  for (const session of [here, there]) await session.query(`CREATE DATABASE ${name}`);
  {
    await using proxyHere = await startProxy('127.0.0.1', source.port);
    await using proxyThere = await startProxy('127.0.0.1', target.port);
    const place: Place = {
      name,
      here: await open(source, name),
      there: await open(target, name),
      proxies: [proxyHere, proxyThere],
    };
    await place.here.query(TABLES);
    await using load = await open(source, name);
    const through = (server: EmbeddedServer, proxy: TcpProxy) =>
      server.uri(name).replace(`:${server.port}/`, `:${proxy.port}/`);
    const rest = ['--chunk-megabytes', '0.3', '--until', 'caught-up'];
    const disturbable = [
      '--source',
      through(source, proxyHere),
      '--target',
      through(target, proxyThere),
      ...rest,
      '--wal-budget-minutes',
      '0.005',
      '--max-megabytes',
      String(1 + random(3)),
      '--jobs',
      String([1, 2, 4, 6][random(4)]),
    ];
    const plain = ['--source', source.uri(name), '--target', target.uri(name)];
    const writer = startWriter(load);
    for (let run = 0; run < A_MIGRATION && totals.disturbances < WANTED; run++) {
      const running = cli.run('migrate', disturbable);
      await disturbed(running, place);
      await end(running);
    }
    totals.transactions += await writer.stop();
    await inStep([...plain, ...rest], place);
    await cli.mustRun('verify', plain);
    const unbalanced = await place.there.query(
      'SELECT source_table FROM _opendts.account WHERE received <> applied + folded + filtered + invisible + repeated + dead',
    );
    if (unbalanced.length > 0) throw new Error(`${name}: accounts do not balance`);
    await cli.mustRun('cleanup', [...plain, '--yes']);
    await place.here.end();
    await place.there.end();
  }
  for (const session of [here, there]) {
    await session.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'`);
    await sleep(300);
    await session.query(`DROP DATABASE ${name}`);
  }
  say(`  ${name}: identical`);
}

const started = performance.now();
using cli = openCli();
const servers: EmbeddedServer[] = [];
try {
  const settings = { wal_level: 'logical', fsync: 'off', max_connections: 200 };
  const source = await startEmbedded({ major: MAJORS.from, settings });
  servers.push(source);
  const target = await startEmbedded({ major: MAJORS.to, settings });
  servers.push(target);
  while (totals.disturbances < WANTED) await migration(source, target);
  const minutes = ((performance.now() - started) / 60_000).toFixed(1);
  say([...totals.ends].map(([kind, times]) => `${times} × ${kind}`).join(', '));
  say(
    `identical after ${totals.disturbances} disturbances in ${totals.migrations} migrations; ${totals.transactions} transactions written and ${totals.recopied} tables copied again meanwhile; ${minutes} min`,
  );
} catch (thrown) {
  say(thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown));
  process.exitCode = 1;
} finally {
  for (const server of servers) await server.remove();
}
