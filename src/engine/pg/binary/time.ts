/** date and timestamp, with and without time zone: days and microseconds since 2000-01-01. Their texts are ISO, and in UTC. */
import { digits, type Encoder } from './text-bytes.ts';

const [DASH, COLON, SPACE, POINT, PLUS] = [0x2d, 0x3a, 0x20, 0x2e, 0x2b];
const ZERO = 0x30;
const DAY_SECONDS = 86_400;
/** `HH:MM:SS` */
const CLOCK = 8;
const FRACTION_DIGITS = 6;

/** Days from 2000-01-01 to a day of the Gregorian calendar (http://howardhinnant.github.io/date_algorithms.html). */
function daysOf(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 730_425;
}

/** Of the `YYYY-MM-DD`, with years of four digits or more, that ends at `to`; NaN for anything else. */
function dateBefore(bytes: Buffer, from: number, to: number): number {
  if (to - from < 10 || bytes[to - 3] !== DASH || bytes[to - 6] !== DASH) return Number.NaN;
  return daysOf(digits(bytes, from, to - 6), digits(bytes, to - 5, to - 3), digits(bytes, to - 2, to));
}

export const encodeDate: Encoder = (bytes, from, to, sink) => {
  const days = dateBefore(bytes, from, to);
  sink.int32(4);
  sink.int32(days);
  return !Number.isNaN(days);
};

/** Up to the fraction; NaN for anything but a date and a time. */
function secondsAt(bytes: Buffer, from: number, clock: number): number {
  if (bytes[clock - 1] !== SPACE || bytes[clock + 2] !== COLON || bytes[clock + 5] !== COLON)
    return Number.NaN;
  const days = dateBefore(bytes, from, clock - 1);
  const hours = digits(bytes, clock, clock + 2);
  const minutes = digits(bytes, clock + 3, clock + 5);
  return days * DAY_SECONDS + hours * 3600 + minutes * 60 + digits(bytes, clock + 6, clock + CLOCK);
}

/** Microseconds; NaN for what is no fraction. */
function fraction(bytes: Buffer, from: number, to: number): number {
  if (from === to) return 0;
  const count = to - from - 1;
  if (bytes[from] !== POINT || count > FRACTION_DIGITS) return Number.NaN;
  return digits(bytes, from + 1, to) * 10 ** (FRACTION_DIGITS - count);
}

export const encodeTimestamp: Encoder = (bytes, from, to, sink) => {
  const isZoned = bytes[to - 3] === PLUS && bytes[to - 2] === ZERO && bytes[to - 1] === ZERO;
  const end = isZoned ? to - 3 : to;
  let clock = from;
  while (clock < end && bytes[clock] !== SPACE) clock++;
  clock++;
  if (clock + CLOCK > end) return false;
  const seconds = secondsAt(bytes, from, clock);
  const micros = fraction(bytes, clock + CLOCK, end);
  if (Number.isNaN(seconds) || Number.isNaN(micros)) return false;
  sink.int32(8);
  const total = seconds * 1e6 + micros;
  if (Number.isSafeInteger(total)) sink.int64(total);
  else sink.bigInt64(BigInt(seconds) * 1_000_000n + BigInt(micros));
  return true;
};
