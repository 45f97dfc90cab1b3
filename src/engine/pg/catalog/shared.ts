/**
 * Keeps what is read of a large schema small: tables of tenants, of months or of partitions are much alike, and what is equal in them is
 * kept once.
 */

/** What most objects have none of: one list for all of them. */
export const NONE: readonly never[] = Object.freeze([]);

/** Reads the JSON text of an array; NULL is none. */
export function listOf<T>(json: string | null): readonly T[] {
  if (json === null || json === '[]') return NONE;
  const list: readonly T[] = JSON.parse(json);
  return list;
}

/**
 * Makes equal texts one string. In the catalog of a large schema names, types and keys come again and again, and each answer of the server
 * brings them anew; long texts are definitions, which seldom do.
 */
export function sharedTexts(): (text: string) => string {
  const known = new Map<string, string>();
  return (text) => {
    if (text.length > 80) return text;
    const first = known.get(text);
    if (first !== undefined) return first;
    known.set(text, text);
    return text;
  };
}

/** Makes lists of the very same elements one list. */
export function sharedLists<T extends object>(): (list: readonly T[]) => readonly T[] {
  const numbers = new Map<T, number>();
  const known = new Map<string, readonly T[]>();
  const numberOf = (one: T) => {
    const number = numbers.get(one) ?? numbers.size;
    numbers.set(one, number);
    return number;
  };
  return (list) => {
    const key = list.map(numberOf).join();
    const first = known.get(key) ?? [...list];
    known.set(key, first);
    return first;
  };
}

/** The same function, which makes the same of the same only once. */
export function memoized<K, V>(make: (of: K) => V): (of: K) => V {
  const known = new Map<K, V>();
  return (of) => {
    const value = known.get(of) ?? make(of);
    known.set(of, value);
    return value;
  };
}
