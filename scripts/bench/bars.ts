/** The bars a release must clear, from what was measured. Only ratios, shares and memory: absolute times say more about the machine. Pure. */
import { totalCpu, type Measurement } from './measurement.ts';
import type { EntryResult } from './rounds.ts';

export interface Bar {
  readonly name: string;
  /** Null when it was not measured; then `ok` is false. */
  readonly value: number | null;
  readonly bar: string;
  readonly ok: boolean;
}

interface Limits {
  readonly min?: number;
  readonly max?: number;
}

export function median(values: readonly number[]): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  const [low, high] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[Math.floor(sorted.length / 2)]];
  return low === undefined || high === undefined ? null : (low + high) / 2;
}

/** What the contender's own processes took of all CPU time. */
export function clientShare({ cpu }: Measurement): number {
  return cpu.client / totalCpu(cpu);
}

/** The median over the rounds in which both ran of `over` divided by `under`. */
export function medianRatio(
  over: EntryResult,
  under: EntryResult,
  of: (measurement: Measurement) => number,
): number | null {
  const ratios = over.measurements.flatMap((a, round) => {
    const b = under.measurements[round];
    return b === undefined ? [] : [of(a) / of(b)];
  });
  return median(ratios);
}

export const wall = ({ wallMs }: Measurement): number => wallMs;
const cpu = (measurement: Measurement): number => totalCpu(measurement.cpu);

export function bar(name: string, value: number | null, { min, max }: Limits): Bar {
  const ok = value !== null && (min === undefined || value >= min) && (max === undefined || value <= max);
  const limits = [min === undefined ? [] : `>= ${min}`, max === undefined ? [] : `<= ${max}`].flat();
  return { name, value: value === null ? null : Number(value.toFixed(3)), bar: limits.join(', '), ok };
}

/** Whole migrations: the wall time of pgcopydb divided by ours. */
export function wholeBar(name: string, ours: EntryResult, pgcopydb: EntryResult, min: number): Bar {
  return bar(`${name}: wall of pgcopydb / opendts`, medianRatio(pgcopydb, ours, wall), { min });
}

/** The data phase against psql at the same format, and our share of all CPU time. */
export function dataBars(name: string, ours: EntryResult, psql: EntryResult, share: number): Bar[] {
  return [
    bar(`${name}: total CPU of opendts / psql`, medianRatio(ours, psql, cpu), { max: 1.05 }),
    bar(`${name}: wall of opendts / psql`, medianRatio(ours, psql, wall), { max: 1.15 }),
    bar(`${name}: our share of all CPU`, median(ours.measurements.map(clientShare)), { max: share }),
  ];
}

/** The largest peak of all runs, in millions of bytes. */
export function memoryBar(name: string, ours: EntryResult): Bar {
  const peaks = ours.measurements.flatMap(({ peakMemory }) =>
    peakMemory === null ? [] : [peakMemory / 1e6],
  );
  return bar(`${name}: peak RSS in MB`, peaks.length === 0 ? null : Math.max(...peaks), { max: 300 });
}

export function splitBar(major: number, one: EntryResult, four: EntryResult): Bar {
  return bar(
    `data phase, 4 jobs, PostgreSQL ${major}: wall of one table / four tables`,
    medianRatio(one, four, wall),
    {
      min: 0.8,
      max: 1.2,
    },
  );
}
