/** The summary of a migration: it never says finished when it is not. */
import { describe, expect, it } from 'vitest';
import type { MigrationSummary } from '../../../contract/progress.ts';
import { migrationSummary } from './migration-summary.ts';

function summary(change: Partial<MigrationSummary>): string {
  const base: MigrationSummary = {
    taskId: 't1',
    outcome: 'completed',
    tables: 3,
    rowsCopied: 1000n,
    bytesCopied: 2_000_000n,
    copyMs: 1000,
    formats: { binary: 2, text: 1 },
    kept: [],
    copiedLater: [],
    changesApplied: 5n,
    transactionsApplied: 1n,
    deadLetters: [],
    streamMs: 1000,
    lagBytes: 0n,
    final: true,
    writersOnSource: 0,
    slot: null,
    notMigrated: [],
    warnings: [],
    nextSteps: [{ why: 'do this', command: 'opendts again' }],
    elapsedMs: 3000,
  };
  return migrationSummary({ ...base, ...change }).join('\n');
}

describe('the summary of a migration', () => {
  it('that has caught up is not final while others are connected to the source, and says what to do', () => {
    const text = summary({ outcome: 'caught-up', final: false, writersOnSource: 2, slot: 'dts_sync_1' });
    expect(text).toContain('not final: 2 other sessions on the source may still write');
    expect(text).toContain('Next:\n  # do this\n  opendts again');
  });

  it('that has caught up without writers still warns of later ones', () => {
    expect(summary({ outcome: 'caught-up', final: false, slot: 'dts_sync_1' })).toContain('not final');
  });

  it('that was stopped says that running again goes on', () => {
    expect(summary({ outcome: 'stopped', final: false })).toContain('goes on where it was');
  });

  it('tells the formats, what the target kept, and what was copied later; the first few by name', () => {
    const kept = [
      { table: 'sales.orders', rows: 12n },
      { table: 'sales.items', rows: 1n },
    ];
    const copiedLater = Array.from({ length: 7 }, (_, at) => `s.t${at}`);
    const text = summary({ kept, copiedLater });
    expect(text).toContain('  formats   2 tables binary, 1 text\n');
    expect(text).toContain('  kept      13 rows of the target: 12 in sales.orders, 1 in sales.items\n');
    expect(text).toContain(
      '  later     7 tables copied under a later snapshot: s.t0, s.t1, s.t2, s.t3, s.t4, and 2 others\n',
    );
  });

  it('never looks clean while there are dead letters', () => {
    const deadLetters = [{ table: 's.a', letters: 1200n }];
    const text = summary({ outcome: 'caught-up', deadLetters });
    expect(text).toMatch(
      /^Caught up\. The target lacks 1,200 changes that it has refused \(dead letters\)\.\n/,
    );
    expect(text).toContain('  letters   1,200 of s.a\n');
  });

  it('leaves out what there is nothing to say of', () => {
    expect(summary({ formats: { binary: 0, text: 0 } })).not.toMatch(/formats|kept|later snapshot/);
  });

  it('obeys no control character of a name', () => {
    const text = summary({ notMigrated: ['table s.a\x1b[2J: reason'], warnings: ['careful'] });
    expect(text).toContain(String.raw`table s.a\x1b[2J: reason`);
    expect(text).toContain('careful');
  });
});
