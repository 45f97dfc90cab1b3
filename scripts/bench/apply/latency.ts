/** From commit to visible, at a steady rate: our follower and a subscription, one after the other in each round. */
import { bar, median, type Bar } from '../bars.ts';
import { table } from '../../../src/surface/cli/view/text.ts';
import { fixed } from '../report.ts';
import type { Bench } from '../rounds.ts';
import { opendtsFollow, subscription } from './drainer.ts';
import { startLive, type Live } from './live.ts';
import type { ApplySize } from './options.ts';
import { percentile, probe } from './probe.ts';

export interface LiveOutcome {
  readonly table: readonly string[];
  readonly bars: readonly Bar[];
}

interface Measured {
  readonly p50: number;
  readonly p99: number;
  /** Microseconds of CPU of its own process for each transaction. */
  readonly cpu: number;
}

const RATES = [100, 1000] as const;
const POLL_MS = 1;

export async function runLatency(bench: Bench, size: ApplySize): Promise<LiveOutcome> {
  const set = (name: string) => ({ name, about: name, types: [], tables: [] });
  await using native = await startLive(bench, subscription('subscription'), set('latency_native'));
  await using ours = await startLive(bench, opendtsFollow, set('latency_ours'));
  for (const live of [native, ours]) await warmUp(bench, live, size.latencySeconds / 2);
  const rows: string[][] = [];
  const bars: Bar[] = [];
  for (const rate of RATES) {
    const found = { native: [] as Measured[], ours: [] as Measured[] };
    for (let round = 0; round < size.rounds; round++) {
      const turn = round % 2 === 0 ? (['native', 'ours'] as const) : (['ours', 'native'] as const);
      for (const who of turn)
        found[who].push(await measure(bench, { native, ours }[who], rate, size.latencySeconds));
    }
    rows.push(row(rate, native.name, found.native), row(rate, ours.name, found.ours));
    if (rate === 100) bars.push(...latencyBars(found));
  }
  const header = ['latency', 'contender', 'n', 'p50 ms', 'p99 ms', 'own us/tx'];
  return { table: table(header, rows, header.slice(2)), bars };
}

/** A follower runs for days: its first seconds, in which code is still being compiled and caches are empty, are not counted. */
async function warmUp(bench: Bench, live: Live, seconds: number): Promise<void> {
  await probe(live, { perSecond: Math.max(...RATES), seconds, pollMs: POLL_MS }, bench.signal);
}

async function measure(bench: Bench, live: Live, perSecond: number, seconds: number): Promise<Measured> {
  const before = live.ownCpu();
  const latencies = await probe(live, { perSecond, seconds, pollMs: POLL_MS }, bench.signal);
  const measured = {
    p50: percentile(latencies, 50),
    p99: percentile(latencies, 99),
    cpu: ((live.ownCpu() - before) * 1e6) / latencies.length,
  };
  const { p50, p99 } = measured;
  bench.say(`latency at ${perSecond}/s: ${live.name}: p50 ${fixed(p50, 1)} ms, p99 ${fixed(p99, 1)} ms`);
  return measured;
}

function row(rate: number, name: string, found: readonly Measured[]): string[] {
  const of = (key: keyof Measured) => median(found.map((one) => one[key]));
  return [
    `${rate}/s`,
    name,
    String(found.length),
    fixed(of('p50'), 2),
    fixed(of('p99'), 2),
    fixed(of('cpu'), 0),
  ];
}

function latencyBars({ native, ours }: Record<'native' | 'ours', readonly Measured[]>): Bar[] {
  return (['p50', 'p99'] as const).map((key) => {
    const ratios = ours.map((one, round) => one[key] / (native[round]?.[key] ?? Number.NaN));
    return bar(`latency at 100/s: ${key} of opendts / native`, median(ratios), { max: 1.5 });
  });
}
