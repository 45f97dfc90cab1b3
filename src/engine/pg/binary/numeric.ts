/**
 * numeric: a sign, and digits to the base of 10,000 on both sides of the point.
 * https://github.com/postgres/postgres/blob/master/src/backend/utils/adt/numeric.c (numeric_recv)
 */
import { isDigit, type Encoder } from './text-bytes.ts';

const [POINT, MINUS] = [0x2e, 0x2d];
const NEGATIVE = 0x4000;
const SPECIAL = new Map([
  ['NaN', 0xc000],
  ['Infinity', 0xd000],
  ['-Infinity', 0xf000],
]);
const HEAD_BYTES = 8;
const BASE_DIGITS = 4;

export const encodeNumeric: Encoder = (bytes, from, to, sink) => {
  const isNegative = bytes[from] === MINUS;
  const first = isNegative ? from + 1 : from;
  if (!isDigit(bytes[first])) return encodeSpecial(bytes, from, to, sink);
  let point = to;
  for (let at = first; at < to; at++) {
    if (bytes[at] === POINT && point === to) point = at;
    else if (!isDigit(bytes[at])) return false;
  }
  const whole = Math.ceil((point - first) / BASE_DIGITS);
  const fraction = Math.max(0, to - point - 1);
  const groups = whole + Math.ceil(fraction / BASE_DIGITS);
  sink.int32(HEAD_BYTES + 2 * groups);
  sink.int16(groups);
  sink.int16(whole - 1);
  sink.int16(isNegative ? NEGATIVE : 0);
  sink.int16(fraction);
  for (let at = point - whole * BASE_DIGITS; at < point; at += BASE_DIGITS)
    sink.int16(group(bytes, at, { first, end: point }));
  for (let at = point + 1; at < to; at += BASE_DIGITS)
    sink.int16(group(bytes, at, { first: point + 1, end: to }));
  return true;
};

const encodeSpecial: Encoder = (bytes, from, to, sink) => {
  const sign = SPECIAL.get(bytes.toString('latin1', from, to));
  sink.int32(HEAD_BYTES);
  for (const field of [0, 0, sign ?? 0, 0]) sink.int16(field);
  return sign !== undefined;
};

/** Four digits from `at` on; those outside are zero. */
function group(bytes: Buffer, at: number, within: { readonly first: number; readonly end: number }): number {
  let value = 0;
  for (let digit = at; digit < at + BASE_DIGITS; digit++)
    value = value * 10 + (digit >= within.first && digit < within.end ? (bytes[digit] ?? 0) - 0x30 : 0);
  return value;
}
