/**
 * Values from their text form to their binary one, as a `COPY … (FORMAT binary)` reads them: a server takes that in for a fraction of the
 * work. Only types whose binary form is simple and the same in all versions. Pure.
 * https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS
 */
import { arrayEncoder } from './array.ts';
import { encodeNumeric } from './numeric.ts';
import { encodeDate, encodeTimestamp } from './time.ts';
import { isDigit, type Encoder } from './text-bytes.ts';

const OID = {
  bool: 16,
  bytea: 17,
  int8: 20,
  int2: 21,
  int4: 23,
  text: 25,
  oid: 26,
  json: 114,
  float8: 701,
} as const;
const MORE = { bpchar: 1042, varchar: 1043, date: 1082, timestamp: 1114, timestamptz: 1184 } as const;
const [NUMERIC, UUID, JSONB] = [1700, 2950, 3802];

const encodeText: Encoder = (bytes, from, to, sink) => {
  sink.int32(to - from);
  sink.raw(bytes, from, to);
  return true;
};

/** A version goes before the text. */
const encodeJsonb: Encoder = (bytes, from, to, sink) => {
  sink.int32(to - from + 1);
  sink.byte(1);
  sink.raw(bytes, from, to);
  return true;
};

const TRUE = 0x74;
const encodeBool: Encoder = (bytes, from, to, sink) => {
  sink.int32(1);
  sink.byte(bytes[from] === TRUE ? 1 : 0);
  return to === from + 1;
};

/** Digits that a number holds exactly. */
const EXACT = 15;
const MINUS = 0x2d;

/** NaN where it is not a whole number of at most EXACT digits. */
function wholeNumber(bytes: Buffer, from: number, to: number): number {
  const first = bytes[from] === MINUS ? from + 1 : from;
  if (first === to || to - first > EXACT) return Number.NaN;
  let value = 0;
  for (let at = first; at < to; at++) {
    if (!isDigit(bytes[at])) return Number.NaN;
    value = value * 10 + ((bytes[at] ?? 0) - 0x30);
  }
  return first === from ? value : -value;
}

const encodeInt4: Encoder = (bytes, from, to, sink) => {
  const value = wholeNumber(bytes, from, to);
  sink.int32(4);
  sink.int32(value);
  return !Number.isNaN(value);
};

const encodeInt2: Encoder = (bytes, from, to, sink) => {
  const value = wholeNumber(bytes, from, to);
  sink.int32(2);
  sink.int16(value);
  return !Number.isNaN(value);
};

const encodeInt8: Encoder = (bytes, from, to, sink) => {
  const value = wholeNumber(bytes, from, to);
  sink.int32(8);
  if (!Number.isNaN(value)) sink.int64(value);
  else {
    const text = bytes.toString('latin1', from, to);
    if (!/^-?\d+$/.test(text)) return false;
    sink.bigInt64(BigInt(text));
  }
  return true;
};

/** What a server writes with enough digits is read back as the very same number here as there. */
const encodeFloat8: Encoder = (bytes, from, to, sink) => {
  const text = bytes.toString('latin1', from, to);
  const value = Number(text);
  sink.int32(8);
  sink.double(value);
  return text !== '' && (!Number.isNaN(value) || text === 'NaN');
};

const UUID_DASH = 0x2d;
const encodeUuid: Encoder = (bytes, from, to, sink) => {
  if (to - from !== 36) return false;
  sink.int32(16);
  for (let at = from; at < to; at += 2) {
    if (bytes[at] === UUID_DASH) at++;
    const value = hexPair(bytes, at);
    if (value < 0) return false;
    sink.byte(value);
  }
  return true;
};

const encodeBytea: Encoder = (bytes, from, to, sink) => {
  if (bytes[from] !== 0x5c || bytes[from + 1] !== 0x78 || (to - from) % 2 !== 0) return false;
  sink.int32((to - from) / 2 - 1);
  for (let at = from + 2; at < to; at += 2) {
    const value = hexPair(bytes, at);
    if (value < 0) return false;
    sink.byte(value);
  }
  return true;
};

/** Value of a hexadecimal digit; 255 for what is none. */
const HEX = new Uint8Array(256).fill(255);
for (let value = 0; value < 16; value++)
  for (const digit of [value.toString(16), value.toString(16).toUpperCase()])
    HEX[digit.charCodeAt(0)] = value;

/** Negative for what is none. */
function hexPair(bytes: Buffer, at: number): number {
  const high = HEX[bytes[at] ?? 0] ?? 255;
  const low = HEX[bytes[at + 1] ?? 0] ?? 255;
  return (high | low) === 255 ? -1 : high * 16 + low;
}

const ENCODERS: ReadonlyMap<number, Encoder> = new Map<number, Encoder>([
  [OID.bool, encodeBool],
  [OID.bytea, encodeBytea],
  [OID.int8, encodeInt8],
  [OID.int2, encodeInt2],
  [OID.int4, encodeInt4],
  [OID.oid, encodeInt4],
  [OID.float8, encodeFloat8],
  [OID.text, encodeText],
  [OID.json, encodeText],
  [MORE.bpchar, encodeText],
  [MORE.varchar, encodeText],
  [MORE.date, encodeDate],
  [MORE.timestamp, encodeTimestamp],
  [MORE.timestamptz, encodeTimestamp],
  [NUMERIC, encodeNumeric],
  [UUID, encodeUuid],
  [JSONB, encodeJsonb],
]);

/** Of the built-in array types, by oid: that of their elements. */
const ELEMENTS: ReadonlyMap<number, number> = new Map([
  [1000, OID.bool],
  [1001, OID.bytea],
  [1005, OID.int2],
  [1007, OID.int4],
  [1009, OID.text],
  [1014, MORE.bpchar],
  [1015, MORE.varchar],
  [1016, OID.int8],
  [1022, OID.float8],
  [1115, MORE.timestamp],
  [1182, MORE.date],
  [1185, MORE.timestamptz],
  [1231, NUMERIC],
  [2951, UUID],
  [3807, JSONB],
]);

/** Types whose binary form is their text: between them nothing has to be the same. */
const TEXTUAL: ReadonlySet<number> = new Set([OID.text, MORE.bpchar, MORE.varchar]);

/** What writes values of the one type, in their text form, as the other in its binary form; null where only the server can. */
export function encoderFor(
  source: number,
  target: { readonly typeOid: number; readonly typeKind: string },
): Encoder | null {
  const { typeOid, typeKind } = target;
  if (typeKind === 'e') return encodeText;
  if (source !== typeOid && !(TEXTUAL.has(source) && TEXTUAL.has(typeOid))) return null;
  const element = ELEMENTS.get(typeOid);
  if (element === undefined) return ENCODERS.get(typeOid) ?? null;
  const encoder = ENCODERS.get(element);
  return encoder ? arrayEncoder(element, encoder) : null;
}
