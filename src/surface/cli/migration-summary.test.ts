/** The summary of a migration: it never says finished when it is not. */
import { describe, expect, it } from 'vitest';
import type { MigrationSummary } from '../../contract/progress.ts';
import { migrationSummary } from './migration-summary.ts';

function summary(change: Partial<MigrationSummary>): string {
  const base: MigrationSummary = {
    taskId: 't1',
    outcome: 'completed',
    tables: 3,
    rowsCopied: 1000n,
    bytesCopied: 2_000_000n,
    copyMs: 1000,
    changesApplied: 5n,
    transactionsApplied: 1n,
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

  it('obeys no control character of a name', () => {
    const text = summary({ notMigrated: ['table s.a\x1b[2J: reason'], warnings: ['careful'] });
    expect(text).toContain(String.raw`table s.a\x1b[2J: reason`);
    expect(text).toContain('careful');
  });
});
