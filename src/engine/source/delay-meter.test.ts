/** The delay from what was seen, by a source whose clock is not ours. */
import { describe, expect, it } from 'vitest';
import { lsnFrom } from '../change/lsn.ts';
import { commitMs, DelayMeter } from './delay-meter.ts';

const START = 1_750_000_000_000;
/** The source's clock is ten minutes ahead of ours. */
const AHEAD = 600_000;
const EPOCH = 946_684_800_000;

/** Seconds since the start, by our clock. */
const at = (seconds: number) => START + seconds * 1000;
/** The commit time of the stream for a moment of ours. */
const committedAt = (seconds: number) => BigInt(at(seconds) + AHEAD - EPOCH) * 1000n;
const reading = (seconds: number, tookMs = 2) => ({
  askedMs: at(seconds) - tookMs / 2,
  answeredMs: at(seconds) + tookMs / 2,
  sourceMs: at(seconds) + AHEAD,
});

describe('the delay', () => {
  it('is unknown before the source was asked and something was applied', () => {
    const meter = new DelayMeter();
    expect(meter.delayMs(at(0))).toBeNull();
    meter.sourceAt(reading(0), lsnFrom(100n));
    expect(meter.delayMs(at(0))).toBeNull();
  });

  it('is what the newest commit took while in step, by the clock of the source, however far that is from ours', () => {
    const meter = new DelayMeter();
    meter.sourceAt(reading(0), lsnFrom(100n));
    meter.applied(lsnFrom(100n), committedAt(0), at(0.03));
    expect(meter.delayMs(at(0.5))).toBe(30);
    expect(commitMs(committedAt(0))).toBe(at(0) + AHEAD);
  });

  it('is nothing on a source where nobody writes, also after the last commit is long past', () => {
    const meter = new DelayMeter();
    meter.applied(lsnFrom(100n), committedAt(0), at(5));
    for (let second = 5; second < 100; second++) meter.sourceAt(reading(second), lsnFrom(100n));
    expect(meter.delayMs(at(100))).toBe(0);
  });

  it('grows with the time while the target stands still, and falls as it comes nearer', () => {
    const meter = new DelayMeter();
    meter.sourceAt(reading(0), lsnFrom(100n));
    meter.applied(lsnFrom(100n), committedAt(0), at(0));
    for (let second = 1; second <= 60; second++)
      meter.sourceAt(reading(second), lsnFrom(100n + BigInt(second)));
    // The first look that the target does not reach was at second 1; the last commit that it has was at 0.
    expect(meter.delayMs(at(60))).toBe(60_000);
    meter.applied(lsnFrom(140n), committedAt(40), at(61));
    expect(meter.delayMs(at(61))).toBe(21_000);
    // Traffic that is not ours: no commit, but the position says it.
    meter.applied(lsnFrom(150n), null, at(61));
    expect(meter.delayMs(at(61))).toBe(11_000);
    meter.applied(lsnFrom(160n), committedAt(60), at(62));
    expect(meter.delayMs(at(62))).toBe(2000);
  });

  it('does not remember a commit that had to wait for longer than it waited', () => {
    const meter = new DelayMeter();
    meter.sourceAt(reading(0), lsnFrom(100n));
    meter.applied(lsnFrom(100n), committedAt(0), at(4));
    expect([meter.delayMs(at(5)), meter.delayMs(at(9))]).toEqual([4000, 0]);
  });

  it('forgets no standstill, however long', () => {
    const meter = new DelayMeter();
    meter.applied(lsnFrom(1n), committedAt(0), at(0));
    for (let second = 1; second <= 3600; second++)
      meter.sourceAt(reading(second), lsnFrom(100n + BigInt(second)));
    meter.applied(lsnFrom(3000n), null, at(3600));
    expect(meter.delayMs(at(3600))).toBeGreaterThan(1000);
    meter.applied(lsnFrom(3700n), null, at(3601));
    expect(meter.delayMs(at(3601))).toBe(0);
  });

  it('goes by the look that was answered fastest, and by new ones when a clock is set', () => {
    const meter = new DelayMeter();
    // Ten seconds for the answer, all of it on the way back.
    meter.sourceAt({ askedMs: at(0), answeredMs: at(10), sourceMs: at(0) + AHEAD }, lsnFrom(1n));
    meter.sourceAt(reading(11), lsnFrom(1n));
    meter.applied(lsnFrom(1n), committedAt(11), at(11.1));
    expect(meter.delayMs(at(11.2))).toBe(100);
    for (let second = 12; second < 50; second++)
      meter.sourceAt({ ...reading(second, 4), sourceMs: at(second) }, lsnFrom(1n));
    meter.applied(lsnFrom(2n), BigInt(at(50) - EPOCH) * 1000n, at(50.2));
    expect(meter.delayMs(at(50.3))).toBe(200);
  });
});
