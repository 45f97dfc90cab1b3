/** What a migration came to, for people. A migration that has caught up while somebody writes to the source is never called finished. */
import type { MigrationSummary } from '../../../contract/progress.ts';
import { count, duration, many, size } from './quantities.ts';
import { printable } from './text.ts';

/** The lines of the summary. */
export function migrationSummary(summary: MigrationSummary): string[] {
  const { nextSteps, warnings, notMigrated } = summary;
  return [
    `${headline(summary)}${lettersLine(summary)}`,
    ...facts(summary).flatMap(([name, value]) => (value === null ? [] : `  ${name.padEnd(10)}${value}`)),
    ...section('Warnings:', warnings),
    ...section('Not migrated:', notMigrated),
    ...(nextSteps.length > 0 ? ['Next:'] : []),
    ...nextSteps.flatMap(({ why, command }) => [`  # ${printable(why)}`, `  ${command}`]),
  ];
}

/** A migration with dead letters never looks clean. */
function lettersLine({ deadLetters }: MigrationSummary): string {
  const total = deadLetters.reduce((sum, { letters }) => sum + letters, 0n);
  return total === 0n ? '' : ` The target lacks ${many(total, 'change')} that it has refused (dead letters).`;
}

function headline({ outcome, final, writersOnSource }: MigrationSummary): string {
  if (outcome === 'stopped') return 'Stopped. Running the same command again goes on where it was.';
  if (outcome === 'completed') return 'Migration completed.';
  if (writersOnSource > 0) {
    return `Caught up, but this is not final: ${many(writersOnSource, 'other session')} on the source may still write.`;
  }
  return final
    ? 'Caught up.'
    : 'Caught up, but this is not final: what is written to the source from now on is not in the target.';
}

/** A null value leaves the line out. */
type Fact = readonly [name: string, value: string | null];

function facts(summary: MigrationSummary): Fact[] {
  const { taskId, tables, rowsCopied, bytesCopied, copyMs, elapsedMs } = summary;
  const perSecond = copyMs > 0 ? `, ${size((Number(bytesCopied) * 1000) / copyMs)}/s` : '';
  const copied = `${many(rowsCopied, 'row')}, ${size(bytesCopied)} in ${duration(copyMs)}${perSecond}`;
  return [
    ['task', taskId],
    ['tables', count(tables)],
    // A run that goes on after the copy has copied nothing itself.
    ['copied', copyMs > 0 || rowsCopied > 0n ? copied : null],
    ...copyFacts(summary),
    ...streamFacts(summary),
    ['letters', lettersFact(summary)],
    ['took', duration(elapsedMs)],
  ];
}

function copyFacts({ formats: { binary, text }, kept, copiedLater }: MigrationSummary): Fact[] {
  const formats = `${many(binary, 'table')} binary, ${count(text)} text`;
  const rows = kept.reduce((sum, table) => sum + table.rows, 0n);
  const where = some(kept.map((table) => `${count(table.rows)} in ${printable(table.table)}`));
  return [
    ['formats', binary + text > 0 ? formats : null],
    ['kept', kept.length > 0 ? `${many(rows, 'row')} of the target: ${where}` : null],
    [
      'later',
      copiedLater.length > 0
        ? `${many(copiedLater.length, 'table')} copied under a later snapshot: ${some(copiedLater.map(printable))}`
        : null,
    ],
  ];
}

function lettersFact({ deadLetters }: MigrationSummary): string | null {
  if (deadLetters.length === 0) return null;
  return some(deadLetters.map(({ table, letters }) => `${count(letters)} of ${printable(table)}`));
}

const SOME = 5;

/** The first few, and how many more there are; JSON has them all. */
function some(words: readonly string[]): string {
  const more = words.length - SOME;
  return [...words.slice(0, SOME), ...(more > 0 ? [`and ${many(more, 'other')}`] : [])].join(', ');
}

function streamFacts(summary: MigrationSummary): Fact[] {
  const { slot, changesApplied, transactionsApplied, streamMs, lagBytes } = summary;
  if (slot === null) return [];
  const applied = `${many(changesApplied, 'change')} of ${many(transactionsApplied, 'transaction')} in ${duration(streamMs)}`;
  return [
    ['applied', applied],
    ['lag', lagBytes === null ? null : size(lagBytes)],
    ['slot', slot],
  ];
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length > 0 ? [title, ...lines.map((line) => `  - ${printable(line)}`)] : [];
}
