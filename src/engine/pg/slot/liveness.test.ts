/** When a stream reports, asks, and gives up. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { judgeLiveness, type StreamClock } from './liveness.ts';

const NOW = 1_000_000;

/** `silent` and `sinceStatus` in milliseconds. */
function judge(
  silent: number,
  sinceStatus: number,
  more: Partial<StreamClock> = {},
): ReturnType<typeof judgeLiveness> {
  return judgeLiveness({
    now: NOW,
    lastReceived: NOW - silent,
    lastStatus: NOW - sinceStatus,
    replyAsked: false,
    positionMoved: false,
    paused: false,
    walSenderTimeoutMs: 6_000,
    ...more,
  });
}

describe('the liveness of a stream', () => {
  it('says nothing while all is fresh', () => {
    expect(judge(0, 0)).toBe('nothing');
    expect(judge(100, 100)).toBe('nothing');
  });

  it('answers at once when the source asks', () => {
    expect(judge(0, 0, { replyAsked: true })).toBe('send-status');
  });

  it('reports a moved position, but not more than five times a second', () => {
    expect(judge(0, 199, { positionMoved: true })).toBe('nothing');
    expect(judge(0, 200, { positionMoved: true })).toBe('send-status');
  });

  it('reports three times in the timeout of the source, and every ten seconds where that is long or none', () => {
    expect(judge(0, 1_999)).toBe('nothing');
    expect(judge(0, 2_000)).toBe('send-status');
    for (const walSenderTimeoutMs of [3_600_000, 0]) {
      expect(judge(0, 9_999, { walSenderTimeoutMs })).toBe('nothing');
      expect(judge(0, 10_000, { walSenderTimeoutMs })).toBe('send-status');
    }
  });

  it('asks a silent source for an answer after half the timeout, and not again at once', () => {
    expect(judge(3_000, 1_500)).toBe('nothing');
    expect(judge(3_001, 1_500)).toBe('ask-for-reply');
    expect(judge(3_001, 1_000)).toBe('nothing');
  });

  it('calls a source dead after two timeouts of silence', () => {
    expect(judge(12_000, 0)).toBe('nothing');
    expect(judge(12_001, 0)).toBe('dead');
    expect(judge(120_000, 0, { walSenderTimeoutMs: 0 })).toBe('nothing');
    expect(judge(120_001, 0, { walSenderTimeoutMs: 0 })).toBe('dead');
  });

  it('neither asks nor gives up while we ourselves have paused the socket, but goes on reporting', () => {
    expect(judge(1_000_000, 1_999, { paused: true })).toBe('nothing');
    expect(judge(1_000_000, 2_000, { paused: true })).toBe('send-status');
  });

  it('never lets half a timeout pass without a status, whatever else is true, unless the source is dead', () => {
    const clock = fc.record({
      silent: fc.nat(100_000),
      replyAsked: fc.boolean(),
      positionMoved: fc.boolean(),
      paused: fc.boolean(),
      walSenderTimeoutMs: fc.oneof(fc.constant(0), fc.integer({ min: 100, max: 200_000 })),
    });
    fc.assert(
      fc.property(clock, ({ silent, ...more }) => {
        const timeout = more.walSenderTimeoutMs || 60_000;
        expect(judge(silent, timeout / 2, more)).not.toBe('nothing');
      }),
    );
  });
});
