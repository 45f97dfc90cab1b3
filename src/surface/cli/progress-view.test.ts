/** What a running migration shows, and how it is painted. */
import { describe, expect, it } from 'vitest';
import type { MigrationProgress, TableProgress } from '../../contract/progress.ts';
import { toJson } from './json.ts';
import { openLiveView } from './live-view.ts';
import { progressWords, wordLine } from './progress-report.ts';
import { progressView } from './progress-view.ts';
import { rateMeter } from './rates.ts';

function tableProgress(name: string, change: Partial<TableProgress> = {}): TableProgress {
  const zero = { rows: 0n, bytes: 0n, skipped: 0n, inserts: 0n, updates: 0n, deletes: 0n };
  const chunks = { format: null, chunksDone: 0, chunksTotal: 1 };
  return { table: name, stage: 'waiting', rowsEstimate: null, ...chunks, ...zero, ...change };
}

function progress(change: Partial<MigrationProgress> = {}): MigrationProgress {
  return {
    taskId: 't1',
    phase: 'copy',
    tables: [],
    rowsCopied: 0n,
    bytesCopied: 0n,
    indexesDone: 0,
    indexesTotal: 0,
    changesApplied: 0n,
    transactionsApplied: 0n,
    lagBytes: null,
    lagSeconds: null,
    elapsedMs: 0,
    ...change,
  };
}

const still = { rows: 0, bytes: 0, changes: 0 };

describe('the view of a running migration', () => {
  it('shows tables at work first, then the largest, and says how many do not fit', () => {
    const tables = [
      tableProgress('s.small', { bytes: 1n }),
      tableProgress('s.done', { stage: 'done', bytes: 99n }),
      tableProgress('s.large', { bytes: 2n ** 60n }),
      tableProgress('s.busy', { stage: 'copying', rows: 5n, rowsEstimate: 10n }),
    ];
    const lines = progressView(progress({ tables }), still, { columns: 80, rows: 8 });
    expect(lines.slice(3).map((line) => line.trim().split(/\s+/)[0])).toEqual([
      's.busy',
      's.large',
      's.small',
      '…',
    ]);
    expect(lines.at(-1)).toContain('1 more');
    expect(lines.find((line) => line.includes('s.busy'))).toContain('50 %');
  });

  it('never claims a table is complete because the estimate was low', () => {
    const tables = [tableProgress('s.t', { stage: 'copying', rows: 500n, rowsEstimate: 10n })];
    expect(progressView(progress({ tables }), still, { columns: 80, rows: 24 }).join('\n')).toContain('99 %');
  });

  it('fits the terminal, whatever it is', () => {
    const tables = Array.from({ length: 50 }, (_, at) => tableProgress(`schema.${'long'.repeat(20)}${at}`));
    for (const extent of [
      { columns: 20, rows: 5 },
      { columns: 200, rows: 24 },
    ]) {
      const lines = progressView(progress({ tables }), still, extent);
      expect(lines.length).toBeLessThan(extent.rows);
      expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(extent.columns);
    }
  });
});

describe('speeds', () => {
  it('are those of the last seconds', () => {
    const meter = rateMeter();
    meter(progress({ elapsedMs: 0 }));
    meter(progress({ elapsedMs: 10_000, bytesCopied: 1_000_000n }));
    expect(meter(progress({ elapsedMs: 15_000, bytesCopied: 1_500_000n })).bytes).toBe(100_000);
    expect(meter(progress({ elapsedMs: 20_000, bytesCopied: 1_500_000n })).bytes).toBe(0);
  });

  it('are zero at the first look', () => {
    expect(rateMeter()(progress({ elapsedMs: 0, rowsCopied: 5n }))).toEqual(still);
  });
});

describe('the lines without a terminal', () => {
  it('are words without the unknown, and quoted where a space is', () => {
    const words = progressWords(progress({ rowsCopied: 2n ** 60n, lagSeconds: 0 }), still);
    const line = wordLine({ ...words, message: 'two words' });
    expect(line).toContain('phase=copy task=t1 ');
    expect(line).toContain(`rows=${2n ** 60n} `);
    expect(line).toContain('message="two words"');
    expect(line).toContain('lag_s=0');
    expect(line).not.toContain('lag_bytes');
  });

  it('keep every digit in JSON', () => {
    expect(JSON.parse(toJson(progressWords(progress({ bytesCopied: 2n ** 60n }), still)))).toMatchObject({
      bytes: String(2n ** 60n),
    });
  });
});

describe('the live view', () => {
  it('paints over its last lines, keeps what is said above them, and shows the cursor again', () => {
    let written = '';
    const output = {
      write: (text: string) => ((written += text), true),
      isTTY: true as const,
      columns: 80,
      rows: 24,
    };
    const view = openLiveView(output as never);
    view.paint(['one', 'two']);
    view.say('note');
    view.paint(['three']);
    view[Symbol.dispose]();
    expect(screen(written)).toEqual(['note', 'three']);
    expect(written.lastIndexOf('\x1b[?25h')).toBeGreaterThan(written.lastIndexOf('\x1b[?25l'));
  });
});

// oxlint-disable-next-line no-control-regex
const CONTROL = /\x1b\[(\d+)A|\x1b\[(J)|(\n)|\x1b\[\?25[hl]|\r|([^\x1b\n\r]+)/g;

/** What a terminal shows after these bytes: line feed, carriage return, cursor up, clear below. */
function screen(bytes: string): string[] {
  const lines: string[] = [''];
  let at = 0;
  for (const [, up, clear, feed, text] of bytes.matchAll(CONTROL)) {
    if (up) at -= Number(up);
    else if (clear) lines.splice(at, lines.length, '');
    else if (feed) lines[++at] ??= '';
    else if (text) lines[at] = text;
  }
  return lines.filter((line) => line !== '');
}
