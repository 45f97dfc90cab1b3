/** A running migration as lines for a terminal. Pure: what the live view paints, a few times a second. */
import type { MigrationProgress, TableProgress, TableStage } from '../../contract/progress.ts';
import { count, duration, size } from './quantities.ts';
import type { Rates } from './rates.ts';
import { printable } from './text.ts';

export interface Extent {
  readonly columns: number;
  readonly rows: number;
}

const ORDER: readonly TableStage[] = ['copying', 'failed', 'streaming', 'copied', 'waiting', 'done'];

/** Phase and totals first, then as many tables as fit: those at work first, then the largest. */
export function progressView(progress: MigrationProgress, rates: Rates, extent: Extent): string[] {
  const head = [phaseLine(progress), totalsLine(progress, rates), ''];
  // One line stays for "and more", one for the cursor.
  const room = Math.max(0, extent.rows - head.length - 2);
  const shown = progress.tables.toSorted(byInterest).slice(0, room);
  const width = Math.min(40, Math.max(0, ...shown.map((table) => printable(table.table).length)));
  const hidden = progress.tables.length - shown.length;
  return [
    ...head,
    ...shown.map((table) => tableLine(table, width)),
    ...(hidden > 0 ? [`  … and ${count(hidden)} more`] : []),
  ].map((line) => line.slice(0, extent.columns - 1));
}

function byInterest(a: TableProgress, b: TableProgress): number {
  const stage = ORDER.indexOf(a.stage) - ORDER.indexOf(b.stage);
  if (stage !== 0) return stage;
  const weight = (table: TableProgress) => table.bytes || (table.rowsEstimate ?? 0n);
  return weight(b) > weight(a) ? 1 : weight(b) < weight(a) ? -1 : 0;
}

function phaseLine({ phase, tables, elapsedMs }: MigrationProgress): string {
  const counts = ORDER.map(
    (stage) => [tables.filter((table) => table.stage === stage).length, stage] as const,
  );
  const words = counts.filter(([number]) => number > 0).map(([number, stage]) => `${count(number)} ${stage}`);
  return [
    `${phase}`,
    `${count(tables.length)} tables${words.length > 0 ? ` (${words.join(', ')})` : ''}`,
    duration(elapsedMs),
  ].join('   ');
}

function totalsLine(progress: MigrationProgress, rates: Rates): string {
  const { rowsCopied, bytesCopied, indexesDone, indexesTotal, changesApplied } = progress;
  return [
    `${count(rowsCopied)} rows`,
    size(bytesCopied),
    `${size(rates.bytes)}/s`,
    ...(indexesTotal > 0 ? [`indexes ${indexesDone}/${indexesTotal}`] : []),
    ...(changesApplied > 0n
      ? [`${count(changesApplied)} changes, ${count(Math.round(rates.changes))}/s`]
      : []),
    ...(progress.lagBytes === null ? [] : [`lag ${lag(progress)}`]),
  ].join('   ');
}

/** Bytes of the source's log not applied yet, and how old the newest applied change is. */
function lag({ lagBytes, lagSeconds }: Pick<MigrationProgress, 'lagBytes' | 'lagSeconds'>): string {
  if (lagBytes === null) return 'unknown';
  return lagSeconds === null ? size(lagBytes) : `${size(lagBytes)}, ${duration(lagSeconds * 1000)}`;
}

const BAR = 20;

function tableLine(table: TableProgress, width: number): string {
  const { rows, rowsEstimate, stage, inserts, updates, deletes } = table;
  const name = printable(table.table);
  const shown = name.length > width ? `${name.slice(0, width - 1)}…` : name.padEnd(width);
  const changes = inserts + updates + deletes;
  const estimate = rowsEstimate ?? 0n;
  // The estimate comes from statistics and may be too low.
  const share = stage === 'copying' && estimate > 0n ? Math.min(0.99, Number(rows) / Number(estimate)) : null;
  return [
    `  ${shown}  ${stage.padEnd(9)}`,
    ...(share === null
      ? []
      : [`[${'#'.repeat(Math.round(share * BAR)).padEnd(BAR, '.')}] ${Math.floor(share * 100)} %`]),
    // A run that goes on after the copy does not know how many rows an earlier one copied.
    ...(stage === 'streaming' && rows === 0n ? [] : [`${count(rows)} rows`]),
    ...(table.bytes > 0n ? [size(table.bytes)] : []),
    ...(changes > 0n ? [`+${count(inserts)} ~${count(updates)} -${count(deletes)}`] : []),
  ].join('  ');
}
