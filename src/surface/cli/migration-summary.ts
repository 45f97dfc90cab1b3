/** What a migration came to, for people. A migration that has caught up while somebody writes to the source is never called finished. */
import type { MigrationSummary } from '../../contract/progress.ts';
import { lag } from './progress-view.ts';
import { count, duration, many, size } from './quantities.ts';
import { printable } from './text.ts';

/** The lines of the summary. */
export function migrationSummary(summary: MigrationSummary): string[] {
  const { nextSteps, warnings, notMigrated } = summary;
  return [
    headline(summary),
    ...facts(summary).map(([name, value]) => `  ${name.padEnd(10)}${value}`),
    ...section('Warnings:', warnings),
    ...section('Not migrated:', notMigrated),
    ...(nextSteps.length > 0 ? ['Next:'] : []),
    ...nextSteps.flatMap(({ why, command }) => [`  # ${printable(why)}`, `  ${command}`]),
  ];
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

function facts(summary: MigrationSummary): [name: string, value: string][] {
  const { taskId, tables, rowsCopied, bytesCopied, copyMs, elapsedMs } = summary;
  const perSecond = copyMs > 0 ? `, ${size((Number(bytesCopied) * 1000) / copyMs)}/s` : '';
  return [
    ['task', taskId],
    ['tables', count(tables)],
    ['copied', `${many(rowsCopied, 'row')}, ${size(bytesCopied)} in ${duration(copyMs)}${perSecond}`],
    ...streamFacts(summary),
    ['took', duration(elapsedMs)],
  ];
}

function streamFacts(summary: MigrationSummary): [name: string, value: string][] {
  const { slot, changesApplied, transactionsApplied, streamMs, lagBytes } = summary;
  if (slot === null) return [];
  const applied = `${many(changesApplied, 'change')} of ${many(transactionsApplied, 'transaction')} in ${duration(streamMs)}`;
  return [
    ['applied', applied],
    ['lag', lag({ lagBytes, lagSeconds: null })],
    ['slot', slot],
  ];
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length > 0 ? [title, ...lines.map((line) => `  - ${printable(line)}`)] : [];
}
