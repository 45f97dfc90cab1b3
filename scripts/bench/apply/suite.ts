/** What is run against what, and which bars that answers. */
import { availableParallelism } from 'node:os';
import { bar, medianRatio, median, wall, type Bar } from '../bars.ts';
import { totalCpu, type Measurement } from '../measurement.ts';
import type { Part } from '../report.ts';
import { runRounds, type Bench, type EntryResult } from '../rounds.ts';
import { dropBacklog, makeBacklog } from './backlog.ts';
import { drainEntry, type DrainEntry } from './drain.ts';
import { opendtsFollow, receiveOnly, subscription } from './drainer.ts';
import type { ApplyOptions } from './options.ts';
import { workloads, type Workload } from './workloads.ts';

export interface Outcome {
  readonly parts: readonly Part<DrainEntry>[];
  readonly bars: readonly Bar[];
}

type Drained = Record<'native' | 'ours' | 'receive', EntryResult<DrainEntry>>;

/** What the wall time of a subscription, divided by ours, must come to. */
const FASTER = { a: 1.5, b: 1.1, c: 1.25, d: 1.2 } as const;

export async function runDrains(bench: Bench, { size, parts }: ApplyOptions): Promise<Outcome> {
  const results: Part<DrainEntry>[] = [];
  const bars: Bar[] = [];
  for (const name of ['a', 'b', 'c', 'd'] as const) {
    if (!parts.has(name)) continue;
    const drained = await drain(bench, workloads(size)[name], size.rounds);
    results.push({ title: name, results: Object.values(drained) });
    const faster = medianRatio(drained.native, drained.ours, wall);
    bars.push(bar(`(${name}) wall of native / opendts`, faster, { min: FASTER[name] }));
    if (name === 'a') bars.push(...idleBars(drained));
  }
  return { parts: results, bars };
}

async function drain(bench: Bench, workload: Workload, rounds: number): Promise<Drained> {
  const backlog = await makeBacklog(bench, workload);
  try {
    const entry = (drainer: Parameters<typeof drainEntry>[1]) =>
      drainEntry(bench, drainer, { backlog, rounds });
    return await runRounds(bench, {
      native: entry(subscription('subscription', 'off')),
      ours: entry(opendtsFollow),
      receive: entry(receiveOnly),
    });
  } finally {
    if (!bench.signal.aborted) await dropBacklog(backlog);
  }
}

/** No core idles while a backlog exists, and we need little more than a client that only receives. */
function idleBars({ ours, receive }: Drained): Bar[] {
  const cpuOf = ({ cpu }: Measurement) => cpu.client;
  return [
    bar('(a) wall / (all CPU seconds / cores)', median(ours.measurements.map(overCpu)), { max: 1.25 }),
    bar('(a) CPU of opendts / receive only', medianRatio(ours, receive, cpuOf), { max: 1.3 }),
  ];
}

/** 1: every core worked all the time. */
export function overCpu({ wallMs, cpu }: Measurement): number {
  return wallMs / 1000 / (totalCpu(cpu) / availableParallelism());
}
