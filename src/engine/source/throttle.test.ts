/** Who waits how long under shared limits, and what a change of the limits does to those who wait. The clock is that of the test. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Pause } from '../pg/wire/copy-pace.ts';
import { CopyThrottle, type CopyLimits } from './throttle.ts';

const NEVER = new AbortController().signal;
const NONE: CopyLimits = { queriesPerSecond: null, rowsPerSecond: null, bytesPerSecond: null };

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

/** One unit lets this much through; notes when it may go on. */
function spendOnce(throttle: CopyThrottle, rows: number, bytes: number) {
  const started = performance.now();
  const note: { after: number | null } = { after: null };
  const goOn = () => (note.after = performance.now() - started);
  return { note, pause: throttle.forUnit().spend({ rows, bytes }, goOn) };
}

describe('a throttle', () => {
  it('lets all pass without limits', async () => {
    const throttle = new CopyThrottle(NONE);
    expect(throttle.forUnit().grain).toEqual({ rows: Infinity, bytes: Infinity });
    expect(spendOnce(throttle, 1e9, 1e15).pause).toBeNull();
    for (let query = 0; query < 100; query++) await throttle.beforeQuery(NEVER);
  });

  it('pauses for the limit that takes longer', async () => {
    const throttle = new CopyThrottle({ ...NONE, rowsPerSecond: 100, bytesPerSecond: 1000 });
    const byRows = spendOnce(throttle, 100, 10);
    await vi.advanceTimersByTimeAsync(999);
    expect(byRows.note.after).toBeNull();
    await vi.advanceTimersByTimeAsync(1);
    expect(byRows.note.after).toBe(1000);
    const byBytes = spendOnce(throttle, 1, 2100);
    await vi.advanceTimersByTimeAsync(2000);
    expect(byBytes.note.after).toBe(2000);
  });

  it('wakes those who wait in the order they came', async () => {
    const throttle = new CopyThrottle({ ...NONE, rowsPerSecond: 50 });
    const order: string[] = [];
    for (const name of ['a', 'b', 'c'])
      throttle.forUnit().spend({ rows: 1, bytes: 0 }, () => order.push(name));
    await vi.advanceTimersByTimeAsync(40);
    expect(order).toEqual(['a', 'b']);
    await vi.advanceTimersByTimeAsync(20);
    expect(order).toEqual(['a', 'b', 'c']);
  });

  it('gives turns that are short, of equal size, and never nothing', async () => {
    const throttle = new CopyThrottle({ ...NONE, rowsPerSecond: 1000, bytesPerSecond: 10 });
    expect(throttle.forUnit().grain).toEqual({ rows: 20, bytes: 1 });
    throttle.set({ ...NONE, rowsPerSecond: 1000 });
    const pace = throttle.forUnit();
    let goneOn = 0;
    expect(pace.spend({ rows: 6, bytes: 60_000 }, () => goneOn++)).toBeNull();
    expect(pace.grain).toEqual({ rows: 14, bytes: Infinity });
    expect(pace.spend({ rows: 14, bytes: 60_000 }, () => goneOn++)).not.toBeNull();
    await vi.advanceTimersByTimeAsync(20);
    expect(goneOn).toBe(1);
    expect(pace.grain).toEqual({ rows: 20, bytes: Infinity });
  });

  it('gives every unit its share, whatever one read of it brings', async () => {
    const throttle = new CopyThrottle({ ...NONE, bytesPerSecond: 1_000_000 });
    const reads = [65_536, 65_536, 7_000, 1_400, 19_999].map((bytes) => ({ bytes, passed: 0 }));
    const stop = reads.map((read) => {
      const pace = throttle.forUnit();
      let pause: Pause | null = null;
      const go = () => {
        do {
          const bytes = Math.min(read.bytes, pace.grain.bytes);
          read.passed += bytes;
          pause = pace.spend({ rows: 1, bytes }, go);
        } while (pause === null);
      };
      go();
      return () => pause?.cancel();
    });
    await vi.advanceTimersByTimeAsync(60_000);
    for (const end of stop) end();
    const shares = reads.map(({ passed }) => passed);
    const total = shares.reduce((sum, share) => sum + share, 0);
    expect(total / 60_000_000).toBeCloseTo(1, 2);
    expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(2 * 20_000);
  });

  it('does not make a unit wait for rows of others while it lets none through', () => {
    const throttle = new CopyThrottle({ ...NONE, rowsPerSecond: 10 });
    const { pause } = spendOnce(throttle, 100, 0);
    expect(spendOnce(throttle, 0, 65_536).pause).toBeNull();
    pause?.cancel();
  });

  it('lets a unit that waits a minute go on at once when its limit is lifted', async () => {
    const throttle = new CopyThrottle({ ...NONE, rowsPerSecond: 1 });
    const { note } = spendOnce(throttle, 60, 0);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(note.after).toBeNull();
    throttle.set(NONE);
    await vi.advanceTimersByTimeAsync(1);
    expect(note.after).toBeLessThanOrEqual(5_001);
  });

  it.each([
    [4, 10_000 + 50_000 / 4],
    [0.5, 10_000 + 50_000 * 2],
  ])('lets a unit that waits pay the rest at the new rate: %d times the old', async (times, after) => {
    const throttle = new CopyThrottle({ ...NONE, rowsPerSecond: 10 });
    const { note } = spendOnce(throttle, 600, 0);
    await vi.advanceTimersByTimeAsync(10_000);
    throttle.set({ ...NONE, rowsPerSecond: 10 * times });
    await vi.advanceTimersByTimeAsync(200_000);
    expect(note.after).toBe(after);
  });

  it('does not wake a unit whose limit stays when another is lifted', async () => {
    const throttle = new CopyThrottle({ ...NONE, rowsPerSecond: 1, bytesPerSecond: 100 });
    const { note } = spendOnce(throttle, 60, 1000);
    throttle.set({ ...NONE, bytesPerSecond: 100 });
    await vi.advanceTimersByTimeAsync(9_999);
    expect(note.after).toBeNull();
    await vi.advanceTimersByTimeAsync(1);
    expect(note.after).toBe(10_000);
  });

  it('does not wake who has called the pause off, by time or by other limits', async () => {
    const throttle = new CopyThrottle({ ...NONE, rowsPerSecond: 1 });
    const { note, pause } = spendOnce(throttle, 60, 0);
    pause?.cancel();
    throttle.set(NONE);
    await vi.advanceTimersByTimeAsync(120_000);
    expect(note.after).toBeNull();
  });

  it('does not take a pause longer than a timer can wait for none', async () => {
    const throttle = new CopyThrottle({ ...NONE, rowsPerSecond: 1e-9 });
    const { note } = spendOnce(throttle, 1, 0);
    await vi.advanceTimersByTimeAsync(86_400_000);
    expect(note.after).toBeNull();
    throttle.set(NONE);
    await vi.advanceTimersByTimeAsync(1);
    expect(note.after).not.toBeNull();
  });
});

describe('statements under a limit', () => {
  it('are sent at its rate, in order, whoever asks', async () => {
    const throttle = new CopyThrottle({ ...NONE, queriesPerSecond: 4 });
    const sent: [string, number][] = [];
    const started = performance.now();
    const ask = async (who: string) => {
      await throttle.beforeQuery(NEVER);
      sent.push([who, performance.now() - started]);
    };
    const asked = Promise.all(['a', 'b', 'c', 'd'].map(ask));
    await vi.advanceTimersByTimeAsync(1_000);
    await asked;
    expect(sent).toEqual([
      ['a', 250],
      ['b', 500],
      ['c', 750],
      ['d', 1000],
    ]);
  });

  it('wait for the rows and bytes that units before have left unpaid', async () => {
    const throttle = new CopyThrottle({ ...NONE, rowsPerSecond: 1000 });
    for (let unit = 0; unit < 50; unit++) expect(spendOnce(throttle, 19, 190).pause).toBeNull();
    let asked = false;
    const query = throttle.beforeQuery(NEVER).then(() => (asked = true));
    await vi.advanceTimersByTimeAsync(50 * 19 - 1);
    expect(asked).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    await query;
  });

  it('go at once when the limit is lifted', async () => {
    const throttle = new CopyThrottle({ ...NONE, queriesPerSecond: 0.01 });
    const asked = throttle.beforeQuery(NEVER);
    throttle.set(NONE);
    await vi.advanceTimersByTimeAsync(1);
    await asked;
  });

  it('are given up with the reason of the signal', async () => {
    const throttle = new CopyThrottle({ ...NONE, queriesPerSecond: 0.01 });
    const stop = new AbortController();
    const reason = new Error('enough');
    const asked = throttle.beforeQuery(stop.signal).catch((thrown: unknown) => thrown);
    stop.abort(reason);
    expect(await asked).toBe(reason);
    await expect(throttle.beforeQuery(stop.signal)).rejects.toBe(reason);
  });
});
