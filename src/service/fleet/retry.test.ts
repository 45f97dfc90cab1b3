import { describe, expect, it } from 'vitest';
import { AppError } from '../../base/errors/app-error.ts';
import { judge, RECOVERY_MS, troubleOf, type Standing } from './retry.ts';

const MINUTE = 60_000;
const NOW = 1_000_000_000;
const standing = (given: Partial<Standing> = {}): Standing => ({
  isRecovering: false,
  sinceMs: null,
  attempts: 0,
  spec: { jobs: 8, lanes: 4, chunkMegabytes: undefined },
  adjustments: {},
  retry: { connectMinutes: 720, otherMinutes: 10 },
  ...given,
});
const at = (nowMs: number) => ({ nowMs, random: 0 });

describe('what an error asks for', () => {
  it.each([
    ['CONNECT_FAILED', 'connect'],
    ['CONNECTION_LOST', 'connect'],
    ['SLOT_BLOCKED', 'other'],
    ['TABLE_REWRITTEN', 'other'],
    ['FENCED', 'other'],
    ['APPLY_FAILED', 'trouble'],
    ['UNEXPECTED', 'trouble'],
    ['CONNECT_REFUSED_LOGIN', 'person'],
    ['RIGHTS_MISSING', 'person'],
    ['CHECKS_FAILED', 'person'],
    ['SCHEMA_FAILED', 'person'],
    ['SECRET_UNREADABLE', 'person'],
    ['SOURCE_PROTECTED', 'person'],
    ['SLOT_LOST', 'person'],
  ] as const)('of %s: %s', (code, trouble) => {
    expect(troubleOf(new AppError(code))).toBe(trouble);
  });
});

describe('a task in trouble', () => {
  it('is tried again at once, then at growing intervals, up to a minute', () => {
    const waits = [0, 1, 2, 6, 20].map((attempts) => {
      const verdict = judge('connect', standing({ attempts, sinceMs: NOW }), at(NOW));
      return verdict.kind === 'retry' ? verdict.atMs - NOW : verdict.kind;
    });
    expect(waits).toEqual([1000, 2000, 4000, 60_000, 60_000]);
    const jittered = judge('connect', standing(), { nowMs: NOW, random: 0.999 });
    expect(jittered).toMatchObject({ kind: 'retry', atMs: NOW + 750 });
  });

  it('is given up when the time for its kind of trouble is over, and is to recover from then on', () => {
    const tired = standing({ attempts: 30, sinceMs: NOW });
    expect(judge('connect', tired, at(NOW + 700 * MINUTE)).kind).toBe('retry');
    expect(judge('other', tired, at(NOW + 5 * MINUTE)).kind).toBe('retry');
    const late = NOW + 11 * MINUTE;
    expect(judge('other', tired, at(late))).toEqual({
      kind: 'fail',
      sinceMs: late,
      recoverAtMs: late + 2 * MINUTE,
      adjustments: { jobs: 4, lanes: 1, chunkMegabytes: 32 },
    });
    expect(judge('connect', tired, at(NOW + 721 * MINUTE)).kind).toBe('fail');
  });

  it('fails at once for a person, who alone brings it back', () => {
    expect(judge('person', standing(), at(NOW))).toEqual({
      kind: 'fail',
      sinceMs: NOW,
      recoverAtMs: null,
      adjustments: {},
    });
  });

  it('fails at once where trying the same again would not help, and recovers with less at once', () => {
    expect(judge('trouble', standing(), at(NOW))).toMatchObject({
      kind: 'fail',
      recoverAtMs: NOW + 2 * MINUTE,
    });
  });

  it('recovers at growing intervals with ever less, for eight hours', () => {
    let one = standing({ isRecovering: true, sinceMs: NOW });
    let now = NOW;
    const waits: number[] = [];
    for (;;) {
      const verdict = judge('trouble', one, at(now));
      if (verdict.kind !== 'fail') throw new Error(verdict.kind);
      expect(verdict.sinceMs).toBe(NOW);
      if (verdict.recoverAtMs === null) break;
      waits.push((verdict.recoverAtMs - now) / MINUTE);
      now = verdict.recoverAtMs;
      one = { ...one, attempts: one.attempts + 1, adjustments: verdict.adjustments };
    }
    expect(waits.slice(0, 6)).toEqual([4, 8, 16, 32, 60, 60]);
    expect(now - NOW).toBeLessThanOrEqual(RECOVERY_MS);
    expect(now - NOW).toBeGreaterThan(RECOVERY_MS - 61 * MINUTE);
    expect(one.adjustments).toEqual({ jobs: 1, lanes: 1, chunkMegabytes: 8 });
  });

  it('keeps chunks that a person made smaller than we would', () => {
    const small = standing({ spec: { jobs: 1, lanes: 1, chunkMegabytes: 2 } });
    expect(judge('trouble', small, at(NOW))).toMatchObject({ adjustments: { jobs: 1, chunkMegabytes: 2 } });
  });
});
