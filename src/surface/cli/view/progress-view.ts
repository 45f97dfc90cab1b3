/** A running migration as lines for a terminal. Pure: what the live view paints, a few times a second. */
import type { MigrationProgress, TableProgress, TableStage } from '../../../contract/progress.ts';
import { count, duration, many, percent, size, timeLeft } from './quantities.ts';
import type { Rates } from './rates.ts';
import { tableLine } from './table-progress.ts';
import { fitted, plain, printable, type Paint } from './text.ts';

export interface Extent {
  readonly columns: number;
  readonly rows: number;
}

/** A run that is told by a server: of many tables only some are at hand, and how many there are in which stage. */
export interface WatchedProgress extends MigrationProgress {
  readonly stages?: Readonly<Record<TableStage, number>>;
}

/** How many tables are in which stage. */
export function stagesOf({ stages, tables }: WatchedProgress): Readonly<Record<TableStage, number>> {
  const at = (stage: TableStage) => tables.filter((table) => table.stage === stage).length;
  return (
    stages ?? {
      waiting: at('waiting'),
      copying: at('copying'),
      copied: at('copied'),
      streaming: at('streaming'),
      done: at('done'),
      failed: at('failed'),
    }
  );
}

export function total(stages: Readonly<Record<TableStage, number>>): number {
  return Object.values(stages).reduce((sum, number) => sum + number, 0);
}

const ORDER: readonly TableStage[] = ['copying', 'failed', 'streaming', 'copied', 'waiting', 'done'];

/** Phase and totals first, then the indexes being built and as many tables as fit: those at work first, then the largest. */
export function progressView(
  progress: WatchedProgress,
  rates: Rates,
  extent: Extent,
  paint: Paint = (_, text) => text,
): string[] {
  const head = [phaseLine(progress), totalsLine(progress, rates), ...slotLine(progress), ''].map(plain);
  // One line stays for "and more", one for the cursor.
  const space = Math.max(0, extent.rows - head.length - 2);
  const builds = indexLines(progress).slice(0, space).map(plain);
  const shown = progress.tables.toSorted(byInterest).slice(0, space - builds.length);
  const width = Math.min(40, Math.max(0, ...shown.map((table) => printable(table.table).length)));
  const hidden = total(stagesOf(progress)) - shown.length;
  return [
    ...head,
    ...builds,
    ...shown.map((table) => tableLine(table, rates.tables.get(table.table) ?? null, width)),
    ...(hidden > 0 ? [plain(`  … and ${count(hidden)} more`)] : []),
  ].map((line) => fitted(line, extent.columns - 1, paint));
}

function byInterest(a: TableProgress, b: TableProgress): number {
  const stage = ORDER.indexOf(a.stage) - ORDER.indexOf(b.stage);
  if (stage !== 0) return stage;
  const weight = (table: TableProgress) => table.bytes || (table.rowsEstimate ?? 0n);
  return weight(b) > weight(a) ? 1 : weight(b) < weight(a) ? -1 : 0;
}

function phaseLine(progress: WatchedProgress): string {
  const { phase, elapsedMs } = progress;
  const stages = stagesOf(progress);
  const counts = ORDER.map((stage) => [stages[stage], stage] as const);
  const words = counts.filter(([number]) => number > 0).map(([number, stage]) => `${count(number)} ${stage}`);
  return [
    `${phase}`,
    `${count(total(stages))} tables${words.length > 0 ? ` (${words.join(', ')})` : ''}`,
    duration(elapsedMs),
  ].join('   ');
}

function totalsLine(progress: MigrationProgress, rates: Rates): string {
  const { rowsCopied, bytesCopied, indexesDone, indexesTotal, changesApplied } = progress;
  if (progress.phase === 'copy' && progress.copy) return copyLine(progress.copy, rates);
  return [
    `${count(rowsCopied)} rows`,
    size(bytesCopied),
    ...(indexesTotal > 0 ? [`indexes ${indexesDone}/${indexesTotal}`] : []),
    ...(changesApplied > 0n
      ? [`${count(changesApplied)} changes, ${count(Math.round(rates.changes))}/s`]
      : []),
    ...(progress.deadLetters > 0n ? [many(progress.deadLetters, 'dead letter')] : []),
    ...(progress.lagBytes === null ? [] : [`lag ${lag(progress)}`]),
  ].join('   ');
}

/** What the source keeps for us, and how much more it may. */
function slotLine({ slot }: MigrationProgress): string[] {
  if (slot === null) return [];
  const { retainedBytes, walStatus, safeBytes } = slot;
  const parts = [
    `slot keeps ${size(retainedBytes)} of log on the source`,
    ...(safeBytes === null ? [] : [`${size(safeBytes > 0n ? safeBytes : 0n)} until it is dropped`]),
    ...(walStatus === null || walStatus === 'reserved' ? [] : [walStatus]),
  ];
  return [parts.join('   ')];
}

/** What matters most first: a narrow terminal cuts the end. */
function copyLine(copy: NonNullable<MigrationProgress['copy']>, rates: Rates): string {
  const { share, bytes, bytesEstimate, rows, rowsEstimate, chunksDone, chunksTotal, etaSeconds } = copy;
  return [
    percent(share),
    `${size(bytes)}${bytesEstimate === null ? '' : ` of about ${size(bytesEstimate)}`}`,
    `${size(rates.bytes)}/s`,
    timeLeft(etaSeconds),
    `${count(rows)} rows${rowsEstimate === null ? '' : ` of about ${count(rowsEstimate)}`}`,
    `chunks ${count(chunksDone)}/${count(chunksTotal)}`,
  ].join('   ');
}

function indexLines({ phase, indexBuilds }: MigrationProgress): string[] {
  if (phase !== 'index') return [];
  return indexBuilds.map(({ table, index, phase: doing, share }) =>
    [
      `  ${index === null ? 'index' : printable(index)} on ${printable(table)}`,
      doing,
      ...(share === null ? [] : [percent(share)]),
    ].join('  '),
  );
}

/** Bytes of the source's log not applied yet, and how long after its commit a change is seen on the target. */
function lag({ lagBytes, delayMs }: Pick<MigrationProgress, 'lagBytes' | 'delayMs'>): string {
  if (lagBytes === null) return 'unknown';
  return delayMs === null ? size(lagBytes) : `${size(lagBytes)}, ${duration(delayMs)}`;
}
