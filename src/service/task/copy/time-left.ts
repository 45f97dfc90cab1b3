/** How long the rest of a copy takes, from how fast it has gone. What it says is a range, because it is a guess, and nothing where guessing is idle. */
import type { SecondsLeft } from '../../../contract/progress.ts';

/** How much was done at a moment; in any unit that the total has too. */
export interface PaceSample {
  readonly atMs: number;
  readonly done: number;
}

/** Less tells more about starting than about copying. */
const LEAST_MS = 5_000;
const LEAST_SHARE = 0.01;
/** From here on even the first percent of a large copy says enough. */
const LONG_MS = 60_000;
/** "Lately": short enough to see a new limit or another table, long enough to cover several chunks. */
const RECENT_MS = 60_000;
/** Nothing done for so long: whatever it waits for, how long is not ours to say. */
const STALLED_MS = 15_000;
/** Two speeds that agree are still two measurements. */
const AGREE = 0.1;

/**
 * Seconds until `total` is done, given samples in the order of time, the first from the start and the last of now. The speed since the
 * start and the one of late bound the range, so a speed that changes shows as a wide one. Null: not known (yet, or while it stands still).
 */
export function timeLeft(samples: readonly PaceSample[], total: number): SecondsLeft | null {
  const [start, now] = [samples[0], samples.at(-1)];
  if (!start || !now) return null;
  const left = total - now.done;
  if (left <= 0) return { low: 0, high: 0 };
  const elapsed = now.atMs - start.atMs;
  const share = (now.done - start.done) / (total - start.done);
  if (elapsed < LEAST_MS || (share < LEAST_SHARE && elapsed < LONG_MS)) return null;
  const before = (ms: number) => samples.findLast(({ atMs }) => atMs <= now.atMs - ms) ?? start;
  if (elapsed >= STALLED_MS && now.done <= before(STALLED_MS).done) return null;
  // In the first minutes the later half stands against the whole, so that there are two speeds to compare from the start.
  const speeds = [start, before(Math.min(RECENT_MS, elapsed / 2))].map(
    (from) => ((now.done - from.done) / (now.atMs - from.atMs)) * 1000,
  );
  if (!speeds.every((speed) => speed > 0)) return null;
  const [fast, slow] = [left / Math.max(...speeds), left / Math.min(...speeds)];
  const middle = (fast + slow) / 2;
  const low = Math.floor(Math.min(fast, middle - middle * AGREE));
  const high = Math.ceil(Math.max(slow, middle + middle * AGREE));
  return Number.isSafeInteger(high) ? { low, high } : null;
}

const SAMPLE_MS = 1_000;

/** Remembers what `timeLeft` needs, from being asked: nothing runs by itself. */
export class Pace {
  private readonly start: PaceSample;
  private recent: PaceSample[] = [];

  constructor(start: PaceSample) {
    this.start = start;
  }

  /** Seconds until `total` is done, when `now` is where it is. */
  left(now: PaceSample, total: number): SecondsLeft | null {
    const newest = this.recent.at(-1) ?? this.start;
    if (now.atMs - newest.atMs >= SAMPLE_MS) {
      this.recent.push(now);
      // The oldest one kept is the last that is older than what counts as recent.
      const keep = this.recent.findLastIndex(({ atMs }) => atMs <= now.atMs - RECENT_MS);
      if (keep > 0) this.recent = this.recent.slice(keep);
    }
    return timeLeft([this.start, ...this.recent, now], total);
  }
}
