/** What a running migration shows, and how it is painted. */
import { describe, expect, it } from 'vitest';
import type { CopyProgress, MigrationProgress, TableProgress } from '../../../contract/progress.ts';
import { toJson } from './json.ts';
import { openLiveView } from './live-view.ts';
import { progressWords, wordLine } from './progress-report.ts';
import { progressView } from './progress-view.ts';
import { rateMeter } from './rates.ts';

function tableProgress(name: string, change: Partial<TableProgress> = {}): TableProgress {
  const zero = { rows: 0n, bytes: 0n, skipped: 0n, inserts: 0n, updates: 0n, deletes: 0n };
  const chunks = { format: null, chunksDone: 0, chunksTotal: 1, share: 0 };
  const estimates = { rowsEstimate: null, bytesEstimate: null, etaSeconds: null };
  return { table: name, stage: 'waiting', ...estimates, ...chunks, ...zero, ...change };
}

function progress(change: Partial<MigrationProgress> = {}): MigrationProgress {
  return {
    taskId: 't1',
    phase: 'copy',
    tables: [],
    rowsCopied: 0n,
    bytesCopied: 0n,
    copy: null,
    indexesDone: 0,
    indexesTotal: 0,
    indexBuilds: [],
    changesApplied: 0n,
    transactionsApplied: 0n,
    deadLetters: 0n,
    lagBytes: null,
    delayMs: null,
    slot: null,
    elapsedMs: 0,
    ...change,
  };
}

const still = { rows: 0, bytes: 0, changes: 0, tables: new Map<string, number>() };

const GB = 1_000_000_000n;

const copy: CopyProgress = {
  share: 0.34375,
  rows: 1_234_567n,
  rowsEstimate: 4_000_000n,
  bytes: (123n * GB) / 10n,
  bytesEstimate: 36n * GB,
  chunksDone: 12,
  chunksTotal: 40,
  etaSeconds: { low: 720, high: 1080 },
};

describe('the view of a running migration', () => {
  it('shows tables at work first, then the largest, and says how many do not fit', () => {
    const tables = [
      tableProgress('s.small', { bytes: 1n }),
      tableProgress('s.done', { stage: 'done', bytes: 99n }),
      tableProgress('s.large', { bytes: 2n ** 60n }),
      tableProgress('s.busy', { stage: 'copying', share: 0.5 }),
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

  it('counts all tables of a run that a server tells of, though only some are at hand', () => {
    const stages = { waiting: 900, copying: 1, copied: 0, streaming: 0, done: 99, failed: 0 };
    const watched = { ...progress({ tables: [tableProgress('s.busy', { stage: 'copying' })] }), stages };
    const lines = progressView(watched, still, { columns: 80, rows: 8 });
    expect(lines[0]).toContain('1,000 tables (1 copying, 900 waiting, 99 done)');
    expect(lines.at(-1)).toContain('999 more');
    expect(progressWords(watched, still)).toMatchObject({ tables: 1000, copying: 1, copied: 99 });
  });

  it('tells how far the copy is, of about how much, how fast, and how long it may take', () => {
    const totals = (change: Partial<CopyProgress>) =>
      progressView(
        progress({ copy: { ...copy, ...change } }),
        { ...still, bytes: 210_000_000 },
        { columns: 200, rows: 24 },
      )[1];
    expect(totals({})).toBe(
      '34 %   12.3 GB of about 36.0 GB   210.0 MB/s   12 to 18 min left   1,234,567 rows of about 4,000,000   chunks 12/40',
    );
    expect(totals({ etaSeconds: null, bytesEstimate: null, rowsEstimate: null })).toBe(
      '34 %   12.3 GB   210.0 MB/s   time left unknown   1,234,567 rows   chunks 12/40',
    );
  });

  it('tells the same of each table that is on its way, with its chunks and its format', () => {
    const table = tableProgress('s.t', {
      stage: 'copying',
      share: 0.5,
      chunksDone: 5,
      chunksTotal: 12,
      rows: 500n,
      rowsEstimate: 1000n,
      bytes: GB,
      bytesEstimate: 2n * GB,
      etaSeconds: { low: 40, high: 60 },
      format: 'binary',
    });
    const line = (one: TableProgress) =>
      progressView(
        progress({ tables: [one] }),
        { ...still, tables: new Map([['s.t', 20_000_000]]) },
        { columns: 200, rows: 24 },
      ).at(-1);
    expect(line(table)).toBe(
      '  s.t  copying    [#####.....] 50 %  5/12  1.0 GB of ~2.0 GB  20.0 MB/s  40 to 60 s left  500 of ~1,000 rows  binary',
    );
    expect(line({ ...table, stage: 'copied', share: 1, skipped: 3n, etaSeconds: null })).toBe(
      '  s.t  copied     1.0 GB  500 rows  3 kept  binary',
    );
    // What an earlier run has done of it.
    expect(line({ ...table, stage: 'waiting', etaSeconds: null })).toContain(
      '] 50 %  5/12  1.0 GB of ~2.0 GB  500 of ~1,000',
    );
    expect(line({ ...table, stage: 'streaming', inserts: 1n })).toBe(
      '  s.t  streaming  1.0 GB  500 rows  +1 ~0 -0',
    );
  });

  it('makes a table that failed stand out, and is cut without cutting a colour', () => {
    const tables = [tableProgress('s.t', { stage: 'failed', format: 'text' })];
    const view = (columns: number) =>
      progressView(
        progress({ tables }),
        still,
        { columns, rows: 24 },
        (colour, text) => `<${colour}|${text}>`,
      );
    expect(view(80).at(-1)).toBe('  s.t  <red|failed   >  0 rows<dim|  text>');
    expect(view(12).at(-1)).toBe('  s.t  <red|fail>');
    expect(view(8).at(-1)).toBe('  s.t  ');
  });

  it('shows the indexes being built, in their phase only', () => {
    const indexBuilds = [
      { table: 'sales.orders', index: 'orders_note_idx', phase: 'scanning table', share: 0.456 },
      { table: 'a\x1b[2J', index: null, phase: 'sorting live tuples', share: null },
    ];
    const tables = [tableProgress('s.t'), tableProgress('s.u')];
    const view = (phase: 'index' | 'stream') =>
      progressView(progress({ phase, indexBuilds, tables }), still, { columns: 80, rows: 8 });
    expect(view('index').slice(3)).toEqual([
      '  orders_note_idx on sales.orders  scanning table  45 %',
      String.raw`  index on a\x1b[2J  sorting live tuples`,
      '  s.t  waiting    0 rows',
      '  … and 1 more',
    ]);
    expect(view('stream').join('\n')).not.toContain('scanning');
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

  it('are never below zero when an attempt takes back what it had counted', () => {
    const meter = rateMeter();
    meter(progress({ elapsedMs: 0, bytesCopied: 500n }));
    expect(meter(progress({ elapsedMs: 1000, bytesCopied: 100n })).bytes).toBe(0);
  });

  it('are told of each table that is copied, without what an earlier run did of it', () => {
    const meter = rateMeter();
    const tables = (bytes: bigint) => [
      tableProgress('s.t', { stage: 'copying', bytes }),
      tableProgress('s.done', { stage: 'copied', bytes: 5n }),
    ];
    meter(progress({ elapsedMs: 0, tables: tables(0n) }));
    meter(progress({ elapsedMs: 1000, copy, tables: tables(9000n) }));
    const rates = meter(progress({ elapsedMs: 3000, copy, tables: tables(11_000n) }));
    expect([...rates.tables]).toEqual([['s.t', 1000]]);
  });

  it('are zero at the first look', () => {
    expect(rateMeter()(progress({ elapsedMs: 0, rowsCopied: 5n }))).toEqual(still);
  });
});

describe('what the source keeps for the slot', () => {
  const slot = { retainedBytes: 2n * GB, walStatus: 'extended', safeBytes: 3n * GB };

  it('has a line of its own in the view, and words in the lines', () => {
    const view = (now: typeof slot | { retainedBytes: bigint; walStatus: null; safeBytes: null }) =>
      progressView(progress({ slot: now }), still, { columns: 120, rows: 10 });
    expect(view(slot)).toContain(
      'slot keeps 2.0 GB of log on the source   3.0 GB until it is dropped   extended',
    );
    expect(view({ retainedBytes: 5n, walStatus: null, safeBytes: null })).toContain(
      'slot keeps 5 B of log on the source',
    );
    expect(wordLine(progressWords(progress({ slot }), still))).toContain(
      ` slot_retained_bytes=${2n * GB} slot_wal_status=extended slot_safe_bytes=${3n * GB} `,
    );
  });
});

describe('the lines without a terminal', () => {
  it('are words without the unknown, and quoted where a space is', () => {
    const words = progressWords(progress({ rowsCopied: 2n ** 60n, delayMs: 0 }), still);
    const line = wordLine({ ...words, message: 'two words' });
    expect(line).toContain('phase=copy task=t1 ');
    expect(line).toContain(`rows=${2n ** 60n} `);
    expect(line).toContain('message="two words"');
    expect(line).toContain('delay_ms=0');
    expect(line).not.toContain('lag_bytes');
  });

  it('tell the share of the copy, its estimates and its time left, or leave them out', () => {
    const indexBuilds = [{ table: 's.t', index: 'i', phase: 'scanning table', share: 0.5 }];
    const line = wordLine(progressWords(progress({ copy, indexBuilds }), still));
    expect(line).toContain(' share=0.3437 chunks=12/40 rows=1234567 bytes=12300000000 ');
    expect(line).toContain(
      ' bytes_estimate=36000000000 rows_estimate=4000000 eta_low_s=720 eta_high_s=1080 ',
    );
    expect(line).toContain('building="i on s.t: scanning table 50 %"');
    expect(wordLine(progressWords(progress({ copy: { ...copy, etaSeconds: null } }), still))).not.toContain(
      'eta',
    );
    expect(wordLine(progressWords(progress(), still))).not.toMatch(/share|estimate|eta|building/);
    expect(JSON.parse(toJson(progressWords(progress({ copy }), still)))).toMatchObject({
      share: 0.3437,
      bytes_estimate: '36000000000',
      eta_low_s: 720,
      eta_high_s: 1080,
    });
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
