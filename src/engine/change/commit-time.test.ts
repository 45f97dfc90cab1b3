/** Times as people write them and as the stream gives them. */
import { describe, expect, it } from 'vitest';
import { formatTime, parseTime } from './commit-time.ts';

describe('a time', () => {
  it.each([
    ['2000-01-01T00:00:00Z', 0n, '2000-01-01T00:00:00Z'],
    ['2026-05-01T12:00:00.123456+08:00', 830_923_200_123_456n, '2026-05-01T04:00:00.123456Z'],
    ['2026-05-01 12:00:00.5-00:30', 830_953_800_500_000n, '2026-05-01T12:30:00.500000Z'],
    ['1999-12-31T23:59:59.999999Z', -1n, '1999-12-31T23:59:59.999999Z'],
    ['2026-05-01T12:00Z', 830_952_000_000_000n, '2026-05-01T12:00:00Z'],
  ])('%s is read to the microsecond and written in UTC', (text, time, written) => {
    expect(parseTime(text)).toBe(time);
    expect(formatTime(time)).toBe(written);
  });

  it.each(['2026-05-01T12:00:00', '2026-05-01', 'noon', '2026-13-01T00:00:00Z', ''])(
    'without its zone, or that is none, is not understood: %j',
    (text) => expect(parseTime(text)).toBeNull(),
  );
});
