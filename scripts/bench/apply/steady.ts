/** Half of what pgbench can write at most, for minutes: who follows it keeps up, or falls behind more and more. */
import { table } from '../../../src/surface/cli/view/text.ts';
import { bar } from '../bars.ts';
import { dropDatabases, load } from '../cluster-pair.ts';
import { verify } from '../opendts-run.ts';
import { fixed } from '../report.ts';
import type { Bench } from '../rounds.ts';
import { opendtsFollow, subscription, type Drainer } from './drainer.ts';
import type { LiveOutcome } from './latency.ts';
import { startLive } from './live.ts';
import type { ApplySize } from './options.ts';
import { hasPgbench, pgbench, type Pgbench } from './pgbench.ts';
import { percentile, probe } from './probe.ts';
import { tpcbTables } from './workloads.ts';

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
  readonly load: Pgbench;
}

/** Row changes of one of pgbench's transactions. */
const CHANGES = 4;

export async function runSteady(bench: Bench, size: ApplySize): Promise<LiveOutcome> {
  if (!hasPgbench(bench.env)) return { table: ['steady: left out, pgbench is not installed'], bars: [] };
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
  const header = [
    'steady',
    'contender',
    'lag ms, first tenth',
    'last tenth',
    'p99',
    'pgbench ms',
    'own us/ch',
  ];
  const rows = [native, ours].map(({ name, first, last, p99, load: { latencyMs }, cpu }) => [
    `${fixed(rate, 0)}/s`,
    name,
    ...[first, last, p99, latencyMs, cpu].map((value) => fixed(value, 1)),
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
  const { database } = await load(bench.pair, dataSet('steady_most', size.scale));
  const { perSecond } = await pgbench(bench, { database, seconds: Math.min(10, size.steadySeconds) });
  await dropDatabases(bench.pair, [database]);
  return perSecond;
}

async function follow(
  bench: Bench,
  drainer: Drainer,
  { size, rate, name }: { size: ApplySize; rate: number; name: string },
): Promise<Followed> {
  const { pair, env, signal, say } = bench;
  await using live = await startLive(bench, drainer, dataSet(name, size.scale));
  const before = live.ownCpu();
  const probes = { perSecond: PROBES_PER_SECOND, seconds: size.steadySeconds, pollMs: POLL_MS };
  const [lags, written] = await Promise.all([
    probe(live, probes, signal),
    pgbench(bench, { database: name, seconds: size.steadySeconds, perSecond: rate }),
  ]);
  // What was written is there, whenever the last of it came.
  await probe(live, { perSecond: 10, seconds: 1, pollMs: POLL_MS }, signal);
  const cpu = ((live.ownCpu() - before) * 1e6) / (written.transactions * CHANGES);
  await verify({ pair, data: live.data, jobs: 2, env, signal });
  const tenth = Math.ceil(lags.length * LAST);
  const followed = {
    name: live.name,
    first: percentile(lags.slice(0, tenth), 50),
    last: percentile(lags.slice(-tenth), 50),
    p99: percentile(lags, 99),
    cpu,
    load: written,
  };
  say(
    `steady: ${live.name}: lag ${fixed(followed.first, 1)} ms at first, ${fixed(followed.last, 1)} ms at last`,
  );
  return followed;
}
