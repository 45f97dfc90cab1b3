/** Counts, sizes and times as people read them. Pure; bigints stay whole until they are short enough to show. */
import type { SecondsLeft } from '../../../contract/progress.ts';

/** `1234567` as `1,234,567`. */
export function count(value: bigint | number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}

const UNITS = ['kB', 'MB', 'GB', 'TB', 'PB', 'EB'];

/** Decimal units with one digit after the point: `1.2 MB`; below 1000 in bytes. */
export function size(bytes: bigint | number): string {
  let tenths = BigInt(typeof bytes === 'number' ? Math.round(bytes) : bytes) * 10n;
  if (tenths < 10_000n) return `${tenths / 10n} B`;
  let unit = -1;
  while (tenths >= 10_000n && unit < UNITS.length - 1) {
    tenths = (tenths + 500n) / 1000n;
    unit++;
  }
  return `${count(tenths / 10n)}.${tenths % 10n} ${UNITS[unit]}`;
}

/** `850 ms`, `12.3 s`, `4 min 5 s`, `3 h 20 min`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min ${Math.floor((ms % 60_000) / 1000)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A range of seconds in hours, or in minutes or seconds when hours would read 0.0: `0.4–1.9 h`. */
export function secondsRange([low, high]: readonly [low: number, high: number], to = '–'): string {
  const [divisor, unit] = high >= 3600 ? [3600, 'h'] : high >= 120 ? [60, 'min'] : [1, 's'];
  const show = (seconds: number) => {
    const value = seconds / divisor;
    return value < 10 && divisor > 1 ? value.toFixed(1) : String(Math.ceil(value));
  };
  return show(low) === show(high) ? `${show(high)} ${unit}` : `${show(low)}${to}${show(high)} ${unit}`;
}

/** `12 to 18 min left`, or that it is not known. */
export function timeLeft(seconds: SecondsLeft | null): string {
  return seconds === null ? 'time left unknown' : `${secondsRange([seconds.low, seconds.high], ' to ')} left`;
}

/** A share as whole percent, which are 100 only when nothing is left. */
export function percent(share: number): string {
  return `${Math.floor(share * 100)} %`;
}

/** `noun` or its plural after a count: `1 table`, `2,000 tables`. */
export function many(value: bigint | number, noun: string): string {
  return `${count(value)} ${noun}${BigInt(value) === 1n ? '' : 's'}`;
}
