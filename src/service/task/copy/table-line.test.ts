/** What a table's line says while its chunks come and go. */
import { describe, expect, it } from 'vitest';
import type { TableInfo } from '../../../engine/pg/catalog/tables/tables.ts';
import type { DoneChunk } from '../../../engine/target/books/done-chunks.ts';
import { CopyTotal } from './copy-total.ts';
import { TableLine } from './table-line.ts';

const MB = 1_000_000;

function line(given: { rows?: number; megabytes?: number; name?: string } = {}): TableLine {
  const { rows = 1000, megabytes = 1, name = 's.t' } = given;
  return new TableLine(name, { estimatedRows: rows, bytes: BigInt(megabytes * MB) } as TableInfo);
}

function chunk(id: string, change: Partial<DoneChunk> = {}): DoneChunk {
  return { id, snapshot: null, readUntil: null, rows: 100n, skipped: 0n, bytes: 1000n, ...change };
}

describe("a table's line", () => {
  it('counts a chunk on its way by the rows it should have', () => {
    const table = line({ rows: 1000 });
    table.planned([null, null]);
    table.begin('a');
    table.pass('a', { rows: 250, bytes: 10 });
    expect(table.share).toBe(0.25);
    expect(table.progress()).toMatchObject({ stage: 'copying', chunksDone: 0, chunksTotal: 2, rows: 250n });
  });

  it('believes chunks that are done more than statistics', () => {
    const table = line({ rows: 1_000_000 });
    table.planned([null, null]);
    table.begin('a');
    table.finish(chunk('a', { rows: 60n, skipped: 40n }));
    table.begin('b');
    table.pass('b', { rows: 50, bytes: 500 });
    expect(table.share).toBe(0.75);
  });

  it.each([[-1], [0]])('goes by bytes where statistics say %i rows of a table that has some', (rows) => {
    const table = line({ rows, megabytes: 10 });
    table.planned([null]);
    table.begin('a');
    table.pass('a', { rows: 5, bytes: 5 * MB });
    expect(table.share).toBe(0.5);
    expect(table.progress().rowsEstimate).toBeNull();
  });

  it('goes by bytes where no rows are counted on the way', () => {
    const table = line({ rows: 100, megabytes: 10 });
    table.planned([null, null]);
    table.begin('a');
    table.pass('a', { rows: 0, bytes: 2 * MB });
    expect(table.share).toBeCloseTo(0.2);
  });

  it('is never complete because the estimate was low, nor over it', () => {
    const table = line({ rows: 10 });
    table.planned([null]);
    table.begin('a');
    table.pass('a', { rows: 500, bytes: 5 });
    expect(table.share).toBe(0.99);
    table.finish(chunk('a', { rows: 500n }));
    expect(table.progress()).toMatchObject({ stage: 'copied', share: 1, etaSeconds: null });
  });

  it('takes back what an attempt had counted when it fails', () => {
    const table = line({ rows: 1000 });
    table.planned([null]);
    table.begin('a');
    table.pass('a', { rows: 500, bytes: 500 });
    table.void('a');
    expect(table.progress()).toMatchObject({ stage: 'waiting', share: 0, rows: 0n, bytes: 0n });
  });

  it('counts the chunks of an earlier run as done, but not as copied by this one', () => {
    const table = line();
    table.planned([chunk('a'), null]);
    expect(table.progress()).toMatchObject({ chunksDone: 1, share: 0.5, rows: 100n, bytes: 1000n });
    expect(table.copied).toEqual({ rows: 0n, bytes: 0n });
  });

  it('says what its bytes will come to once some have passed', () => {
    const table = line({ rows: 1000 });
    table.planned([null]);
    table.begin('a');
    table.pass('a', { rows: 10, bytes: 400 });
    expect(table.progress().bytesEstimate).toBeNull();
    table.pass('a', { rows: 90, bytes: 3600 });
    expect(table.progress().bytesEstimate).toBe(40_000n);
  });
});

describe('the copy as a whole', () => {
  /** A large table with half its rows passed, a small one that is copied, and one that waits. */
  function tables(): TableLine[] {
    const [large, small, waiting] = [
      line({ name: 's.large', megabytes: 100 }),
      line({ name: 's.small', megabytes: 1 }),
      line({ name: 's.waiting', megabytes: 99 }),
    ];
    for (const one of [large, small, waiting]) one.planned([null]);
    small.finish(chunk('small', { rows: 1000n, bytes: 500_000n }));
    large.begin('large');
    large.pass('large', { rows: 500, bytes: 25 * MB });
    return [large, small, waiting];
  }

  it('goes by sizes on disk, and what waits is estimated by what has passed', () => {
    const { share, bytes, bytesEstimate, rows, rowsEstimate, chunksDone, chunksTotal } = new CopyTotal(
      tables(),
    ).progress();
    expect(share).toBeCloseTo(51 / 200, 2);
    expect([bytes, rows, rowsEstimate, chunksDone, chunksTotal]).toEqual([25_500_000n, 1500n, 3000n, 1, 3]);
    // Half a byte on the way for each on disk: 50 MB, 0.5 MB and 49.5 MB.
    expect(Number(bytesEstimate) / MB).toBeCloseTo(100, 0);
  });

  it('does not wait for a table that failed', () => {
    const lines = tables();
    const [large, , waiting] = lines;
    waiting!.stage = 'failed';
    expect(new CopyTotal(lines).progress().share).toBeCloseTo(51 / 101, 2);
    large!.finish(chunk('large', { rows: 1000n, bytes: BigInt(50 * MB) }));
    expect(new CopyTotal(lines).progress()).toMatchObject({
      share: 1,
      etaSeconds: { low: 0, high: 0 },
      bytesEstimate: 50_500_000n,
      rowsEstimate: 2000n,
    });
  });

  it('knows no total of the rows where statistics are missing, until they are copied', () => {
    const unknown = line({ rows: -1 });
    unknown.planned([null]);
    const total = new CopyTotal([unknown, ...tables()]);
    expect(total.progress().rowsEstimate).toBeNull();
    unknown.finish(chunk('a', { rows: 5n }));
    expect(total.progress().rowsEstimate).toBe(3005n);
  });

  it('without tables is complete', () => {
    expect(new CopyTotal([]).progress()).toMatchObject({ share: 1, bytesEstimate: 0n });
  });
});
