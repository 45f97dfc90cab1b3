/** When a socket is read in large pieces. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { ReadPace } from './read-pace.ts';

function held(): { readonly calls: string[]; readonly pace: ReadPace } {
  const calls: string[] = [];
  const wire = { holdReads: () => calls.push('hold'), letRead: () => calls.push('let') };
  return { calls, pace: new ReadPace(wire) };
}

/** Small reads, each `apart` milliseconds after the one before. */
function trickle(pace: ReadPace, reads: number, apart: number): number {
  for (let read = 1; read <= reads; read++) pace.read(200, read * apart);
  return reads * apart;
}

describe('the pace of reading', () => {
  it('never holds while messages trickle, however long', () => {
    const { calls, pace } = held();
    trickle(pace, 10_000, 0.2);
    expect(calls).toEqual([]);
  });

  it('lets the buffer fill for a moment when reads follow one another at once, and reads on by itself', async () => {
    const { calls, pace } = held();
    const now = trickle(pace, 400, 0.02);
    expect(calls).toEqual(['hold']);
    await sleep(30);
    expect(calls).toEqual(['hold', 'let']);
    pace.read(20_000, now + 5);
    expect(calls).toEqual(['hold', 'let', 'hold']);
    pace.go();
    expect(calls.at(-1)).toBe('let');
  });

  it('waits for nothing where there is more than one read takes', async () => {
    const { calls, pace } = held();
    const now = trickle(pace, 400, 0.02);
    await sleep(30);
    for (let read = 1; read < 100; read++) pace.read(65_536, now + read);
    expect(calls).toEqual(['hold', 'let']);
  });

  it('reads as messages come again once little comes after a rest', async () => {
    const { calls, pace } = held();
    const now = trickle(pace, 400, 0.02);
    await sleep(30);
    pace.read(100, now + 5);
    pace.read(20_000, now + 6);
    expect(calls).toEqual(['hold', 'let']);
  });

  it('rests more shortly where the buffer was full after a rest, and longer again where it was not', () => {
    vi.useFakeTimers();
    try {
      const { calls, pace } = held();
      const restOf = (most: number) => {
        for (let ms = 1; ms <= most; ms++) {
          vi.advanceTimersByTime(1);
          if (calls.at(-1) === 'let') return ms;
        }
        return null;
      };
      trickle(pace, 400, 0.02);
      const rests: (number | null)[] = [restOf(10)];
      for (const [full, left] of [
        [65_536, 20_000],
        [65_536, 20_000],
        [65_536, 20_000],
        [0, 10_000],
        [0, 10_000],
        [0, 10_000],
      ] as const) {
        if (full > 0) pace.read(full, 0);
        pace.read(left, 0);
        rests.push(restOf(10));
      }
      expect(rests).toEqual([4, 2, 1, 1, 2, 4, 4]);
    } finally {
      vi.useRealTimers();
    }
  });
});
