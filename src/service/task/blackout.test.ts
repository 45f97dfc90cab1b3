import { describe, expect, it } from 'vitest';
import { blackoutWindow } from '../../contract/blackout.ts';
import { limitsAt } from './blackout.ts';

const window = (from: string, to: string, timeZone = 'UTC', limits: object = { throttle: { rows: 5 } }) =>
  blackoutWindow.parse({ from, to, timeZone, ...limits });
const at = (time: string, blackout: ReturnType<typeof window>[], throttle = {}) =>
  limitsAt({ spec: { throttle, streamThrottle: {} }, blackout }, new Date(time));
const isWithin = (time: string, one: ReturnType<typeof window>) => at(time, [one]).limits.rowsPerSecond === 5;

describe('blackout hours', () => {
  it('hold from their first minute to before their last, over midnight as well, and all day where they end as they begin', () => {
    const day = window('08:00', '18:00');
    const night = window('22:30', '06:00');
    const times = ['05:59', '06:00', '07:59', '08:00', '17:59', '18:00', '22:29', '22:30', '00:00'];
    const within = (one: ReturnType<typeof window>) =>
      times.filter((time) => isWithin(`2026-12-01T${time}:30Z`, one));
    expect(within(day)).toEqual(['08:00', '17:59']);
    expect(within(night)).toEqual(['05:59', '22:30', '00:00']);
    expect(within(window('09:00', '09:00'))).toEqual(times);
  });

  it('are those of the clock on the wall, in summer and in winter', () => {
    const berlin = window('08:00', '09:00', 'Europe/Berlin');
    expect(isWithin('2026-12-01T07:30:00Z', berlin)).toBe(true);
    expect(isWithin('2026-12-01T06:30:00Z', berlin)).toBe(false);
    expect(isWithin('2026-07-01T06:30:00Z', berlin)).toBe(true);
    expect(isWithin('2026-07-01T07:30:00Z', berlin)).toBe(false);
  });

  it('leave of all limits the lowest, and lift none', () => {
    const some = window('08:00', '18:00', 'UTC', { throttle: { rows: 50, megabytes: 1 } });
    const more = window('09:00', '10:00', 'UTC', { throttle: { rows: 10 }, streamThrottle: { rows: 7 } });
    const own = { rows: 20, queries: 3 };
    const copied = (time: string) => Object.values(at(time, [some, more], own).limits);
    expect(copied('2026-12-01T07:00:00Z')).toEqual([3, 20, null]);
    expect(copied('2026-12-01T08:30:00Z')).toEqual([3, 20, 1e6]);
    expect(copied('2026-12-01T09:30:00Z')).toEqual([3, 10, 1e6]);
    expect(at('2026-12-01T09:30:00Z', [some, more], own).streamLimits.rowsPerSecond).toBe(7);
  });

  it('need a limit, hours and a time zone', () => {
    const wrong = [
      { from: '8:00', to: '09:00', timeZone: 'UTC', throttle: { rows: 1 } },
      { from: '08:00', to: '24:00', timeZone: 'UTC', throttle: { rows: 1 } },
      { from: '08:00', to: '09:00', timeZone: 'Nowhere/Such', throttle: { rows: 1 } },
      { from: '08:00', to: '09:00', timeZone: 'UTC' },
    ];
    expect(wrong.map((one) => blackoutWindow.safeParse(one).success)).toEqual([false, false, false, false]);
  });
});
