/** Half of what the source can write at most, for minutes: who follows it keeps up, or falls behind more and more. */
import { sleep } from '../../../src/base/runtime/sleep.ts';
import { table } from '../../../src/surface/cli/view/text.ts';
import { bar } from '../bars.ts';
import { dropDatabases, load, openDatabase } from '../cluster-pair.ts';
import { verify } from '../opendts-run.ts';
import { fixed } from '../report.ts';
import type { Bench } from '../rounds.ts';
import { opendtsFollow, subscription, type Drainer } from './drainer.ts';
import type { LiveOutcome } from './latency.ts';
import { startLive } from './live.ts';
import type { ApplySize } from './options.ts';
import { percentile, probe } from './probe.ts';
import { tpcbCall, TPCB_LOAD, tpcbTables } from './workloads.ts';

const SESSIONS = 4;
const PROBES_PER_SECOND = 20;
const POLL_MS = 2;
/** The lag at the end is that of the last tenth. */
const LAST = 0.1;

interface Followed {
  readonly name: string;
  /** Milliseconds, half of the probes of the first and the last tenth were visible by. */
  readonly first: number;
  readonly last: number;
  readonly p99: number;
  /** Microseconds of CPU of its own process for each row change. */
  readonly cpu: number;
}

export async function runSteady(bench: Bench, size: ApplySize): Promise<LiveOutcome> {
  const most = await mostPerSecond(bench, size);
  const rate = most / 2;
  bench.say(
    `steady: at most ${fixed(most, 0)} transactions/s without a follower; half of it for ${size.steadySeconds} s each`,
  );
  const native = await follow(bench, subscription('subscription'), {
    size,
    rate,
    name: 'steady_native',
  });
  const ours = await follow(bench, opendtsFollow, { size, rate, name: 'steady_ours' });
  const header = ['steady', 'contender', 'lag ms, first tenth', 'last tenth', 'p99', 'own us/ch'];
  const rows = [native, ours].map(({ name, first, last, p99, cpu }) => [
    `${fixed(rate, 0)}/s`,
    name,
    fixed(first, 1),
    fixed(last, 1),
    fixed(p99, 1),
    fixed(cpu, 1),
  ]);
  const bars = [
    bar('steady: lag of opendts at the end / native', ours.last / native.last, { max: 1 }),
    bar('steady: lag of opendts, last tenth / first tenth', ours.last / ours.first, { max: 2 }),
  ];
  return { table: table(header, rows, header.slice(2)), bars };
}

function dataSet(name: string, scale: number) {
  return { name, about: name, types: [], tables: tpcbTables(scale) };
}

/** Transactions a second with nobody following. */
async function mostPerSecond(bench: Bench, size: ApplySize): Promise<number> {
  const { pair } = bench;
  const { database } = await load(pair, dataSet('steady_most', size.scale));
  const seconds = Math.min(10, size.steadySeconds);
  {
    await using session = await openDatabase(pair.source, database);
    await session.query(TPCB_LOAD);
    const stop = sleep(seconds * 1000, bench.signal).then(() =>
      session.query(`SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
        WHERE datname = pg_catalog.current_database() AND pid <> pg_catalog.pg_backend_pid()`),
    );
    // They end by being ended.
    await Promise.allSettled([stop, ...writers(bench, database, { size, transactions: 1e9, rate: 0 })]);
    const { count } = await session.one('SELECT count(*)::text AS count FROM public.pgbench_history');
    await session.end();
    await dropDatabases(pair, [database]);
    return Number(count) / seconds;
  }
}

function writers(
  { pair }: Bench,
  database: string,
  { size, transactions, rate }: { size: ApplySize; transactions: number; rate: number },
): Promise<void>[] {
  return Array.from({ length: SESSIONS }, async (_, at) => {
    await using session = await openDatabase(pair.source, database);
    await session.query(tpcbCall(at + 1, transactions, size.scale, rate));
  });
}

async function follow(
  bench: Bench,
  drainer: Drainer,
  { size, rate, name }: { size: ApplySize; rate: number; name: string },
): Promise<Followed> {
  const { pair, env, signal, say } = bench;
  await using live = await startLive(bench, drainer, dataSet(name, size.scale));
  await using source = await openDatabase(pair.source, name);
  await source.query(TPCB_LOAD);
  const share = rate / SESSIONS;
  const transactions = Math.round(share * size.steadySeconds);
  const before = live.ownCpu();
  const probes = { perSecond: PROBES_PER_SECOND, seconds: size.steadySeconds, pollMs: POLL_MS };
  const [lags] = await Promise.all([
    probe(live, probes, signal),
    ...writers(bench, name, { size, transactions, rate: share }),
  ]);
  // What was written is there, whenever the last of it came.
  await probe(live, { perSecond: 10, seconds: 1, pollMs: POLL_MS }, signal);
  const cpu = ((live.ownCpu() - before) * 1e6) / (transactions * SESSIONS * 4);
  await verify({ pair, data: live.data, jobs: 2, env, signal });
  const tenth = Math.ceil(lags.length * LAST);
  const followed = {
    name: live.name,
    first: percentile(lags.slice(0, tenth), 50),
    last: percentile(lags.slice(-tenth), 50),
    p99: percentile(lags, 99),
    cpu,
  };
  say(
    `steady: ${live.name}: lag ${fixed(followed.first, 1)} ms at first, ${fixed(followed.last, 1)} ms at last`,
  );
  return followed;
}
