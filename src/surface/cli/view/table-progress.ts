/** One table's line in the view of a running migration. Pure. */
import type { TableProgress } from '../../../contract/progress.ts';
import { count, percent, size, timeLeft } from './quantities.ts';
import { printable, type Cell } from './text.ts';

const BAR = 10;

/** Name and stage in columns, then what there is to tell, the most wanted first. `rate` in bytes per second, where it is copied. */
export function tableLine(table: TableProgress, rate: number | null, width: number): Cell[] {
  const { stage, share } = table;
  const name = printable(table.table);
  const shown = name.length > width ? `${name.slice(0, width - 1)}…` : name.padEnd(width);
  const isPartial = stage !== 'streaming' && (stage === 'copying' || (share > 0 && share < 1));
  const words = [
    ...(isPartial ? [`[${'#'.repeat(Math.floor(share * BAR)).padEnd(BAR, '.')}] ${percent(share)}`] : []),
    ...(isPartial && table.chunksTotal > 1 ? [`${table.chunksDone}/${table.chunksTotal}`] : []),
    ...bytesWord(table, isPartial),
    ...(stage === 'copying' && rate !== null ? [`${size(rate)}/s`] : []),
    ...(stage === 'copying' && table.etaSeconds ? [timeLeft(table.etaSeconds)] : []),
    ...rowsWord(table, isPartial),
    ...(table.skipped > 0n ? [`${count(table.skipped)} kept`] : []),
    ...changes(table),
  ];
  return [
    [`  ${shown}  `],
    stage === 'failed' ? [stage.padEnd(9), 'red'] : [stage.padEnd(9)],
    [words.map((word) => `  ${word}`).join('')],
    ...(table.format === null || stage === 'streaming' ? [] : [[`  ${table.format}`, 'dim'] as const]),
  ];
}

/** While it is partial against what it will come to, by estimates. */
function bytesWord({ bytes, bytesEstimate }: TableProgress, isPartial: boolean): string[] {
  if (bytes === 0n) return [];
  return [isPartial && bytesEstimate !== null ? `${size(bytes)} of ~${size(bytesEstimate)}` : size(bytes)];
}

function rowsWord({ rows, rowsEstimate, stage }: TableProgress, isPartial: boolean): string[] {
  // A run that goes on after the copy does not know how many rows an earlier one copied.
  if (stage === 'streaming' && rows === 0n) return [];
  return [`${count(rows)}${isPartial && rowsEstimate !== null ? ` of ~${count(rowsEstimate)}` : ''} rows`];
}

function changes({ inserts, updates, deletes }: TableProgress): string[] {
  return inserts + updates + deletes > 0n ? [`+${count(inserts)} ~${count(updates)} -${count(deletes)}`] : [];
}
