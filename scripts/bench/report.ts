/** The table that the bench prints, and the bars below it. Pure. */
import { table } from '../../src/surface/cli/view/text.ts';
import { clientShare, median, medianRatio, wall, type Bar } from './bars.ts';
import type { CopyEntry } from './copy-entry.ts';
import { totalCpu, type Measurement } from './measurement.ts';
import type { Entry, EntryResult } from './rounds.ts';

export interface Part<E extends Entry = Entry> {
  readonly title: string;
  readonly results: readonly EntryResult<E>[];
}

const HEADER = [
  'part',
  'contender',
  'jobs',
  'n',
  'wall s',
  'min-max',
  'MB/s',
  'vs first',
  'CPU s',
  'own',
  'source',
  'target',
  'own %',
  'RSS MB',
] as const;

/** Medians; `vs first` is the median, over the rounds, of this wall time divided by that of the part's first line. */
export function resultTable(parts: readonly Part<CopyEntry>[]): string[] {
  const rows = parts.flatMap(({ title, results }) =>
    results.map((result) => [title, ...resultRow(result, results[0] ?? result)]),
  );
  return table(HEADER, rows, HEADER.slice(2));
}

function resultRow(result: EntryResult<CopyEntry>, first: EntryResult<CopyEntry>): string[] {
  const { contender, jobs, data } = result.entry;
  const name = `${contender.name} (${data.database})`;
  const runs = result.measurements;
  if (runs.length === 0) return [name, String(jobs), result.trouble?.kind ?? '0'];
  const of = (read: (measurement: Measurement) => number) => median(runs.map(read));
  const seconds = runs.map(({ wallMs }) => wallMs / 1000);
  const peaks = runs.flatMap(({ peakMemory }) => (peakMemory === null ? [] : [peakMemory / 1e6]));
  return [
    name,
    String(jobs),
    result.trouble === null ? String(runs.length) : `${runs.length}, ${result.trouble.kind}`,
    fixed(median(seconds), 1),
    `${fixed(Math.min(...seconds), 1)}-${fixed(Math.max(...seconds), 1)}`,
    fixed(
      of(({ wallMs }) => Number(data.bytes) / 1000 / wallMs),
      0,
    ),
    fixed(medianRatio(result, first, wall), 2),
    fixed(
      of(({ cpu }) => totalCpu(cpu)),
      1,
    ),
    fixed(
      of(({ cpu }) => cpu.client),
      1,
    ),
    fixed(
      of(({ cpu }) => cpu.source),
      1,
    ),
    fixed(
      of(({ cpu }) => cpu.target),
      1,
    ),
    fixed(
      of((measurement) => 100 * clientShare(measurement)),
      1,
    ),
    peaks.length === 0 ? '-' : fixed(Math.max(...peaks), 0),
  ];
}

export function fixed(value: number | null, digits: number): string {
  return value === null ? '-' : value.toFixed(digits);
}

export function barTable(bars: readonly Bar[]): string[] {
  return table(
    ['measure', 'value', 'bar', ''],
    bars.map(({ name, value, bar, ok }) => [
      name,
      value === null ? '-' : String(value),
      bar,
      ok ? 'ok' : value === null ? 'NOT MEASURED' : 'MISSED',
    ]),
    ['value'],
  );
}

/** What went wrong or could not run, in full; empty when nothing. */
export function troubleLines(parts: readonly Part[]): string[] {
  return parts.flatMap(({ title, results }) =>
    results.flatMap(({ entry, trouble }) =>
      trouble === null ? [] : [`${title}, ${entry.name}: ${trouble.kind}: ${trouble.why}`],
    ),
  );
}

export function hasFailed(parts: readonly Part[]): boolean {
  return parts.some(({ results }) => results.some(({ trouble }) => trouble?.kind === 'failed'));
}
