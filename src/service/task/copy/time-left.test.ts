/** The time a copy has left: a range, and nothing where nothing is known. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Pace, timeLeft, type PaceSample } from './time-left.ts';

/** Samples once a second: what was done by then, at this speed in each second. */
function run(speeds: readonly number[]): PaceSample[] {
  let done = 0;
  const later = speeds.map((speed, at) => ({ atMs: (at + 1) * 1000, done: (done += speed) }));
  return [{ atMs: 0, done: 0 }, ...later];
}

const steady = (seconds: number, speed: number) => Array.from({ length: seconds }, () => speed);

describe('the time left', () => {
  it('of a steady copy is a range of ten percent around it', () => {
    expect(timeLeft(run(steady(100, 10)), 2000)).toEqual({ low: 90, high: 110 });
  });

  it('is unknown in the first five seconds', () => {
    expect(timeLeft(run(steady(4, 100)), 1000)).toBeNull();
    expect(timeLeft(run(steady(5, 100)), 1000)).not.toBeNull();
  });

  it('is unknown below one percent, but not for ever in a large copy', () => {
    expect(timeLeft(run(steady(59, 1)), 10_000)).toBeNull();
    expect(timeLeft(run(steady(60, 1)), 10_000)).not.toBeNull();
  });

  it('lies between what the speed of late and the speed since the start say', () => {
    // 600 s at 10, then a limit of 2 for two minutes.
    const range = timeLeft(run([...steady(600, 10), ...steady(120, 2)]), 12_240);
    expect(range).toEqual({ low: Math.floor(6000 / (6240 / 720)), high: 3000 });
  });

  it('widens early where the speed changes, before a minute has passed', () => {
    const range = timeLeft(run([...steady(10, 100), ...steady(10, 20)]), 10_000);
    expect(range!.high / range!.low).toBeGreaterThan(2);
  });

  it('of a copy that stands still is unknown, and known again when it goes on', () => {
    const stalled = [...steady(60, 10), ...steady(16, 0)];
    expect(timeLeft(run(stalled), 2000)).toBeNull();
    expect(timeLeft(run([...steady(60, 10), ...steady(10, 0)]), 2000)).not.toBeNull();
    expect(timeLeft(run([...stalled, ...steady(2, 10)]), 2000)).not.toBeNull();
  });

  it('of a copy that lost more than it did of late is unknown', () => {
    expect(timeLeft(run([...steady(60, 10), -500, ...steady(10, 1)]), 2000)).toBeNull();
  });

  it('is nothing when all is done, however short it was', () => {
    expect(timeLeft(run([1000]), 1000)).toEqual({ low: 0, high: 0 });
    expect(timeLeft([{ atMs: 0, done: 0 }], 0)).toEqual({ low: 0, high: 0 });
  });

  it('does not take what an earlier run did for speed', () => {
    const samples = run(steady(100, 1)).map(({ atMs, done }) => ({ atMs, done: done + 900_000 }));
    expect(timeLeft(samples, 900_200)).toEqual({ low: 90, high: 110 });
  });

  const samples = fc
    .array(
      fc.record({
        ms: fc.integer({ min: 0, max: 100_000 }),
        step: fc.double({ min: -1e3, max: 1e12, noNaN: true }),
      }),
      {
        minLength: 1,
        maxLength: 40,
      },
    )
    .map((steps) => {
      let [atMs, done] = [0, 0];
      return steps.map(({ ms, step }) => ({ atMs: (atMs += ms), done: (done = Math.max(0, done + step)) }));
    });

  it('is never negative, never upside down, and whole seconds or unknown', () => {
    fc.assert(
      fc.property(samples, fc.double({ min: 0, max: 1e15, noNaN: true }), (given, total) => {
        const range = timeLeft(given, total);
        if (range === null) return;
        expect(range.low).toBeGreaterThanOrEqual(0);
        expect(range.high).toBeGreaterThanOrEqual(range.low);
        expect(Number.isSafeInteger(range.low) && Number.isSafeInteger(range.high)).toBe(true);
      }),
    );
  });

  it('is zero exactly when nothing is left', () => {
    fc.assert(
      fc.property(samples, fc.double({ min: 0, max: 1e15, noNaN: true }), (given, total) => {
        const isDone = given.at(-1)!.done >= total;
        expect(timeLeft(given, total)?.high === 0).toBe(isDone);
      }),
    );
  });

  it('holds the true time for any steady speed', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.integer({ min: 60, max: 300 }),
        fc.integer({ min: 1, max: 100_000 }),
        (speed, seconds, left) => {
          const range = timeLeft(run(steady(seconds, speed)), speed * (seconds + left));
          expect(range!.low).toBeLessThanOrEqual(left);
          expect(range!.high).toBeGreaterThanOrEqual(left);
        },
      ),
    );
  });
});

describe('the pace of a copy', () => {
  it('says the same however often it is asked, to a second of its samples', () => {
    const [seldom, often] = [new Pace({ atMs: 0, done: 0 }), new Pace({ atMs: 0, done: 0 })];
    let last = {
      seldom: seldom.left({ atMs: 0, done: 0 }, 1e6),
      often: seldom.left({ atMs: 0, done: 0 }, 1e6),
    };
    for (let ms = 250; ms <= 300_000; ms += 250) {
      const now = { atMs: ms, done: ms < 200_000 ? ms : 200_000 + (ms - 200_000) / 2 };
      const next = often.left(now, 1e6);
      if (ms % 5000 === 0) last = { seldom: seldom.left(now, 1e6), often: next };
    }
    expect(last.seldom!.low).toBeCloseTo(last.often!.low, -1);
    expect(last.seldom!.high).toBeCloseTo(last.often!.high, -1);
  });

  it('forgets the speed before the last minute, but not the start', () => {
    const pace = new Pace({ atMs: 0, done: 0 });
    let range = pace.left({ atMs: 0, done: 0 }, 1e6);
    for (let second = 1; second <= 200; second++) {
      const done = second <= 100 ? second * 1000 : 100_000 + (second - 100) * 3000;
      range = pace.left({ atMs: second * 1000, done }, 1e6);
    }
    expect(range).toEqual({ low: 200, high: 300 });
  });
});
