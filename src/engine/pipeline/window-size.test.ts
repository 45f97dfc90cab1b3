/** When what is collected goes to the target. */
import { describe, expect, it } from 'vitest';
import { NO_STREAM_LIMITS, StreamThrottle, type StreamLimits } from './stream-throttle.ts';
import { isEnough, isTooMuch } from './window-size.ts';

/** So many changes, of which a full window holds 100. */
function collected(size: number, limits: StreamLimits = NO_STREAM_LIMITS) {
  const window = { size, bytes: 10 * size, holds: (share: number) => size >= share * 100 };
  return { window, spec: { throttle: new StreamThrottle(limits) } };
}

describe('a window', () => {
  it('is full at the end of a transaction, and its target busy: only then it goes', () => {
    expect([99, 100].map((size) => isEnough(collected(size), true))).toEqual([false, true]);
  });

  it('goes as soon as it is worth it where the target has nothing to do', () => {
    expect([24, 25].map((size) => isEnough(collected(size), false))).toEqual([false, true]);
  });

  it('that is just full lets its transaction end: given in part, the end would wait for the target', () => {
    expect([100, 124, 125].map((size) => isTooMuch(collected(size)))).toEqual([false, false, true]);
  });

  it('is as small as the rates ask for', () => {
    // A twentieth of a second: 10 changes, or 100 bytes.
    for (const limits of [
      { rowsPerSecond: 200, bytesPerSecond: null },
      { rowsPerSecond: null, bytesPerSecond: 2_000 },
    ]) {
      expect([9, 10].map((size) => isEnough(collected(size, limits), true))).toEqual([false, true]);
      expect([2, 3].map((size) => isEnough(collected(size, limits), false))).toEqual([false, true]);
      expect([12, 13].map((size) => isTooMuch(collected(size, limits)))).toEqual([false, true]);
    }
  });
});
