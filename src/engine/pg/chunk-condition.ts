/** The rows of a chunk as a condition. Pure. */
import { rangeOf, type KeyCut, type Range } from '../change/cut.ts';
import { ident, literal } from './ident.ts';

/** On the source, or on a target whose column has the same name and type. Null where it is true for every row. */
export function keyCondition(
  { column, bounds }: KeyCut,
  chunk: number,
  columns: readonly { readonly name: string; readonly bareType: string }[],
): string | null {
  const type = columns.find(({ name }) => name === column)?.bareType;
  if (type === undefined) throw new Error(`no key column "${column}"`);
  return condition(ident(column), rangeOf(bounds, chunk), (key) => `${literal(key)}::${type}`);
}

/** By block numbers: a range of places, which a server from 14 on reads without scanning the rest. */
export function placeCondition(bounds: readonly number[], chunk: number): string | null {
  return condition('ctid', rangeOf(bounds, chunk), (block) => `'(${block},0)'::pg_catalog.tid`);
}

function condition<Bound>(
  expression: string,
  { from, to }: Range<Bound>,
  write: (bound: Bound) => string,
): string | null {
  const sides = [
    ...(from === null ? [] : [`${expression} >= ${write(from)}`]),
    ...(to === null ? [] : [`${expression} < ${write(to)}`]),
  ];
  return sides.length > 0 ? sides.join(' AND ') : null;
}
