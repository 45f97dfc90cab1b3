import { describe, expect, it } from 'vitest';
import { resultLines, type DemoResult } from './result.ts';

const result: DemoResult = {
  tables: 23,
  rowsCopied: 1_258_644n,
  bytesCopied: 160_000_000n,
  copyMs: 4000,
  changesApplied: 30_000n,
  transactionsApplied: 4000n,
  streamMs: 12_000,
  lagBytes: 0n,
  loadTransactions: 4100n,
  loadStatements: 20_000n,
  rowsCompared: 1_260_000n,
  sequences: 8,
  elapsedMs: 41_234,
  servers: null,
};

describe('the summary of the demo', () => {
  it('tells counts, speeds and the lag', () => {
    const text = resultLines(result).join('\n');
    expect(text).toContain('1,258,644 rows, 160.0 MB in 4.0 s, 40.0 MB/s');
    expect(text).toContain('30,000 changes of 4,000 transactions in 12.0 s, 2,500 changes/s');
    expect(text).toContain('0 bytes at the end');
    expect(text).toContain('removed');
  });

  it('leaves out a speed when the time is too short to measure, and says when the lag is unknown', () => {
    const text = resultLines({ ...result, copyMs: 0, lagBytes: null }).join('\n');
    expect(text).toContain('160.0 MB in 0.0 s\n');
    expect(text).toContain('unknown at the end');
  });

  it('tells how to connect to servers that were kept, and how to end them', () => {
    const server = (port: number) => ({
      uri: `postgresql://postgres:x@127.0.0.1:${port}/shop`,
      pid: port,
      folder: `/tmp/${port}`,
    });
    const text = resultLines({ ...result, servers: { source: server(1), target: server(2) } }).join('\n');
    expect(text).toContain('source     postgresql://postgres:x@127.0.0.1:1/shop');
    expect(text).toContain('kill -INT 1 2 && sleep 2 && rm -r /tmp/1 /tmp/2');
    expect(text).not.toContain('removed;');
  });
});
