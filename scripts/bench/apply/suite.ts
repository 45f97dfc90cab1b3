/** What is run against what, and which bars that answers. */
import { availableParallelism } from 'node:os';
import { bar, medianRatio, median, wall, type Bar } from '../bars.ts';
import { totalCpu, type Measurement } from '../measurement.ts';
import type { Part } from '../report.ts';
import { runRounds, type Bench, type EntryResult } from '../rounds.ts';
import { dropBacklog, makeBacklog } from './backlog.ts';
import { drainEntry, type DrainEntry } from './drain.ts';
import { oneLane, opendtsFollow, receiveOnly, subscription, type Drainer } from './drainer.ts';
import type { ApplyOptions } from './options.ts';
import { workloads, type Workload } from './workloads.ts';

export interface Outcome {
  readonly parts: readonly Part<DrainEntry>[];
  readonly bars: readonly Bar[];
}

type Name = 'native' | 'ours' | 'oneLane' | 'receive';
type Drained<Entry extends Name = Name> = Record<Entry, EntryResult<DrainEntry>>;

const DRAINERS: Record<Name, Drainer> = {
  native: subscription('subscription'),
  ours: opendtsFollow,
  oneLane,
  receive: receiveOnly,
};

/** What the wall time of a subscription, divided by ours, must come to. */
const FASTER = { a: 1.5, b: 1.1, c: 1.25, d: 1.2 } as const;

export async function runDrains(bench: Bench, { size, parts }: ApplyOptions): Promise<Outcome> {
  const results: Part<DrainEntry>[] = [];
  const bars: Bar[] = [];
  for (const name of ['a', 'b', 'c', 'd'] as const) {
    if (!parts.has(name)) continue;
    // (d) is spread over the most tables.
    const others = name === 'd' ? (['oneLane'] as const) : [];
    const run = { workload: workloads(size)[name], rounds: size.rounds };
    const drained = await drain(bench, run, ['native', 'ours', ...others, 'receive']);
    results.push({ title: name, results: Object.values(drained) });
    const faster = medianRatio(drained.native, drained.ours, wall);
    bars.push(bar(`(${name}) wall of native / opendts`, faster, { min: FASTER[name] }));
    if (name === 'a') bars.push(...idleBars(drained));
    if ('oneLane' in drained) bars.push(lanesBar(drained));
  }
  return { parts: results, bars };
}

async function drain<const Entry extends Name>(
  bench: Bench,
  { workload, rounds }: { workload: Workload; rounds: number },
  names: readonly Entry[],
): Promise<Drained<Entry>> {
  const backlog = await makeBacklog(bench, workload);
  try {
    const entries = names.map((name) => [name, drainEntry(bench, DRAINERS[name], { backlog, rounds })]);
    return await runRounds(bench, Object.fromEntries(entries) as Record<Entry, DrainEntry>);
  } finally {
    if (!bench.signal.aborted) await dropBacklog(backlog);
  }
}

/** No core idles while a backlog exists, and we need little more than a client that only receives. */
function idleBars({ ours, receive }: Drained<'ours' | 'receive'>): Bar[] {
  const cpuOf = ({ cpu }: Measurement) => cpu.client;
  return [
    bar('(a) wall / (all CPU seconds / cores)', median(ours.measurements.map(overCpu)), { max: 1.25 }),
    bar('(a) CPU of opendts / receive only', medianRatio(ours, receive, cpuOf), { max: 1.3 }),
  ];
}

/** Lanes gain where cores are left, and lose nothing where none are. */
function lanesBar(drained: Drained<'ours' | 'oneLane'>): Bar {
  const gain = medianRatio(drained.oneLane, drained.ours, wall);
  return bar('(d) wall of one lane / of two', gain, { min: availableParallelism() > 2 ? 1.05 : 0.95 });
}

/** 1: every core worked all the time. */
export function overCpu({ wallMs, cpu }: Measurement): number {
  return wallMs / 1000 / (totalCpu(cpu) / availableParallelism());
}
