/** The table of the drains. Pure. */
import { table } from '../../../src/surface/cli/view/text.ts';
import { median, medianRatio, wall } from '../bars.ts';
import { totalCpu } from '../measurement.ts';
import { fixed, type Part } from '../report.ts';
import type { EntryResult } from '../rounds.ts';
import type { DrainEntry, DrainMeasurement } from './drain.ts';
import { overCpu } from './suite.ts';

const HEADER = [
  'part',
  'contender',
  'n',
  'wall s',
  'min-max',
  'native/it',
  'CPU s',
  'own',
  'source',
  'target',
  'own us/ch',
  'wall/CPU',
  'start s',
  'start CPU',
  'RSS MB',
] as const;

/** Medians; `native/it` is the median, over the rounds, of the subscription's wall time divided by this one's. */
export function drainTable(parts: readonly Part<DrainEntry>[]): string[] {
  const rows = parts.flatMap(({ title, results }) => {
    const changes = results.flatMap(({ measurements }) => measurements.flatMap((one) => one.changes ?? []));
    const [native] = results;
    return results.map((result) => [
      title,
      ...drainRow(result, native ?? result, median(changes) ?? Number.NaN),
    ]);
  });
  return table(HEADER, rows, HEADER.slice(2));
}

function drainRow(
  result: EntryResult<DrainEntry>,
  native: EntryResult<DrainEntry>,
  changes: number,
): string[] {
  const { entry, measurements, trouble } = result;
  if (measurements.length === 0) return [entry.name, trouble?.kind ?? '0'];
  const of = (read: (one: DrainMeasurement) => number) => median(measurements.map(read));
  const seconds = measurements.map(({ wallMs }) => wallMs / 1000);
  const peaks = measurements.flatMap(({ peakMemory }) => (peakMemory === null ? [] : [peakMemory / 1e6]));
  const perChange = of(({ cpu }) => (cpu.client * 1e6) / changes);
  return [
    entry.name,
    trouble === null ? String(measurements.length) : `${measurements.length}, ${trouble.kind}`,
    fixed(median(seconds), 1),
    `${fixed(Math.min(...seconds), 1)}-${fixed(Math.max(...seconds), 1)}`,
    fixed(medianRatio(native, result, wall), 2),
    fixed(
      of(({ cpu }) => totalCpu(cpu)),
      1,
    ),
    fixed(
      of(({ cpu }) => cpu.client),
      2,
    ),
    fixed(
      of(({ cpu }) => cpu.source),
      1,
    ),
    fixed(
      of(({ cpu }) => cpu.target),
      1,
    ),
    Number.isNaN(changes) ? '-' : fixed(perChange, 1),
    fixed(of(overCpu), 2),
    fixed(
      of(({ startMs }) => startMs / 1000),
      1,
    ),
    fixed(
      of(({ startCpu }) => startCpu),
      1,
    ),
    peaks.length === 0 ? '-' : fixed(Math.max(...peaks), 0),
  ];
}
