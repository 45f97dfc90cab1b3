/**
 * The order of key values, from their text, exactly as the server sorts them (data-plane I3): only for types where that is certain
 * whatever the collation. A table may be cut by such a key, and a streamed change be told to the chunk that its row belongs to.
 */

/** `timestamp` with and without time zone; sessions of ours run in UTC, so both have one text. */
export type KeyOrder = 'integer' | 'uuid' | 'date' | 'timestamp';

const ORDERS: Readonly<Record<number, KeyOrder>> = {
  20: 'integer',
  21: 'integer',
  23: 'integer',
  2950: 'uuid',
  1082: 'date',
  1114: 'timestamp',
  1184: 'timestamp',
};

/** Null for a type whose order we do not reproduce. */
export function keyOrderOf(typeOid: number): KeyOrder | null {
  return ORDERS[typeOid] ?? null;
}

/** Negative, zero or positive, as for a sort. Both in the text form of our sessions (ISO dates, UTC). */
export function compareKeys(order: KeyOrder, a: string, b: string): number {
  switch (order) {
    case 'integer':
      return compare(BigInt(a), BigInt(b));
    case 'uuid':
      return compare(a, b);
    case 'date':
    case 'timestamp':
      return compareMoments(moment(a), moment(b));
  }
}

function compare<T extends bigint | string | number>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** `year`: −Infinity and Infinity are the server's own; 1 BC is year 0. `rest` sorts as text inside a year. */
interface Moment {
  readonly year: number;
  readonly rest: string;
}

function moment(text: string): Moment {
  if (text === 'infinity') return { year: Infinity, rest: '' };
  if (text === '-infinity') return { year: -Infinity, rest: '' };
  const match = /^(\d+)-(\d\d-\d\d(?: \d\d:\d\d:\d\d(?:\.\d+)?)?)(?:\+00)?( BC)?$/.exec(text);
  if (!match) throw new Error('not a date or timestamp of our sessions');
  const year = Number(match[1]);
  return { year: match[3] === undefined ? year : 1 - year, rest: match[2] ?? '' };
}

function compareMoments(a: Moment, b: Moment): number {
  return compare(a.year, b.year) || compare(a.rest, b.rest);
}
