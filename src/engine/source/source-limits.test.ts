import { describe, expect, it } from 'vitest';
import { judgeSource, NO_PROTECTION, type SourceState } from './source-limits.ts';

const GB = 1_000_000_000n;
const QUIET: SourceState = { snapshotAge: 5n, slot: 'none', waiters: [], longTransactions: [] };
const slot = (
  retainedBytes: bigint,
  walStatus: string | null = 'reserved',
  safeBytes: bigint | null = null,
) => ({
  ...QUIET,
  slot: { slot: 's', retainedBytes, walStatus, safeBytes, invalidation: null },
});
const limits = { snapshotAge: 1000n, retainedWal: 10n * GB };

function warnings(state: SourceState, with_ = limits as typeof NO_PROTECTION): string[] {
  const verdict = judgeSource(state, with_);
  return verdict.kind === 'warn' ? verdict.warnings.map(({ message }) => message) : [verdict.kind];
}

describe('what the copy costs the source', () => {
  it('is no matter without limits, however much it is', () => {
    expect(judgeSource({ ...slot(10n ** 15n), snapshotAge: 10n ** 9n }, NO_PROTECTION)).toEqual({
      kind: 'ok',
    });
  });

  it('is warned of from four fifths of a limit, and ends the copy beyond it', () => {
    const aged = (snapshotAge: bigint) => ({ ...QUIET, snapshotAge });
    expect(warnings(aged(799n))).toEqual(['ok']);
    expect(warnings(aged(800n))).toEqual([
      'The snapshot of the copy is 800 transactions old; beyond 1000 the copy is ended (--max-snapshot-age).',
    ]);
    expect(warnings(aged(1000n))).toHaveLength(1);
    expect(judgeSource(aged(1001n), limits)).toEqual({
      kind: 'abort',
      over: { kind: 'snapshot-age', age: 1001n, limit: 1000n },
    });
    expect(warnings(slot(8n * GB - 1n))).toEqual(['ok']);
    expect(warnings(slot(8n * GB))).toEqual([
      'The source keeps 8.0 GB of WAL for slot s; beyond 10.0 GB the copy is ended and the slot dropped (--max-retained-wal).',
    ]);
    expect(judgeSource(slot(10n * GB + 1n), limits)).toEqual({
      kind: 'abort',
      over: { kind: 'retained-wal', bytes: 10n * GB + 1n, limit: 10n * GB },
    });
  });

  it('is not judged by a snapshot that nobody reads under', () => {
    expect(judgeSource({ ...QUIET, snapshotAge: null }, limits)).toEqual({ kind: 'ok' });
  });

  it('ends the slot, not only the snapshot, where both are beyond their limits', () => {
    expect(judgeSource({ ...slot(11n * GB), snapshotAge: 2000n }, limits)).toMatchObject({
      over: { kind: 'retained-wal' },
    });
  });

  it('is warned of by what the server itself says of the slot, also without limits', () => {
    expect(warnings(slot(2n * GB, 'extended'), NO_PROTECTION)).toEqual([
      'The source keeps 2.0 GB of WAL for slot s, more than its max_wal_size: watch its disk.',
    ]);
    expect(warnings(slot(2n * GB, 'unreserved', 0n), NO_PROTECTION)).toEqual([
      expect.stringMatching(
        /2\.0 GB of WAL for slot s, .* drops it at its next checkpoint\. Raise the limit now/,
      ),
    ]);
    const soon = (left: string) => [
      expect.stringContaining(`will drop it after ${left} more (max_slot_wal_keep_size)`),
    ];
    expect(warnings(slot(8n * GB, 'reserved', (19n * GB) / 10n), NO_PROTECTION)).toEqual(soon('1.9 GB'));
    expect(warnings(slot(8n * GB, 'reserved', 2n * GB), NO_PROTECTION)).toEqual(['ok']);
    expect(warnings(slot(8n * GB, 'reserved', -1n), NO_PROTECTION)).toEqual(soon('0.000 GB'));
    // A small limit: 1 GB is early, but what is half of it is not.
    expect(warnings(slot((3n * GB) / 2n, 'reserved', GB - 1n), NO_PROTECTION)).toEqual(soon('1.0 GB'));
    expect(warnings(slot(GB / 10n, 'reserved', GB / 10n), NO_PROTECTION)).toEqual(['ok']);
  });

  it('is warned of for each transaction that is open for long, with what it keeps', () => {
    const longTransactions = [
      { who: 'backend 1 (user u)', seconds: 400, writes: true },
      { who: 'backend 2 (user u)', seconds: 90, writes: false },
    ];
    expect(warnings({ ...slot(2n * GB), longTransactions }, NO_PROTECTION)).toEqual([
      expect.stringMatching(/open for 6 min: backend 1 .* keeps all WAL since it began, now 2\.0 GB/),
      expect.stringMatching(/open for 90 s: backend 2 .* VACUUM cannot remove/),
    ]);
  });

  it('ends the copy without any limit when the slot is lost: the copy would be in vain', () => {
    const lost = judgeSource(slot(GB, 'lost'), NO_PROTECTION);
    expect(lost).toMatchObject({ kind: 'abort', over: { kind: 'slot-lost' } });
    const given = { ...slot(GB).slot, invalidation: 'idle_timeout' };
    expect(judgeSource({ ...QUIET, slot: given }, NO_PROTECTION)).toMatchObject({
      over: { state: 'invalidated by the server (idle_timeout)' },
    });
    expect(judgeSource({ ...QUIET, slot: 'gone' }, NO_PROTECTION)).toMatchObject({ over: { state: 'gone' } });
  });

  it('is warned of for each session that waits for our lock', () => {
    const waiters = [
      { pid: '1', table: 'public.a' },
      { pid: '1', table: 'public.b' },
    ];
    const verdict = judgeSource({ ...QUIET, waiters }, NO_PROTECTION);
    const found = verdict.kind === 'warn' ? verdict.warnings : [];
    expect(new Set(found.map(({ key }) => key)).size).toBe(2);
    expect(found[0]?.message).toMatch(/^Backend 1 of the source .* waits for the copy of public\.a; later/);
  });
});
