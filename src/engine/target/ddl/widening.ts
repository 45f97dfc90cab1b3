/** Which types take every value of another one and keep it, so that a column may be given the one instead of the other. Pure, and strict. */

/** `character varying(5)[]` in its parts. */
interface TypeParts {
  readonly name: string;
  /** Null: none given. */
  readonly length: number | null;
  readonly scale: number | null;
  readonly isArray: boolean;
}

const PARTS = /^([a-z ]+?)(?:\((\d+)(?:,(-?\d+))?\))?( with time zone| without time zone)?(\[\])?$/;

function partsOf(type: string): TypeParts | null {
  const [, name, length, scale, zone = '', array] = PARTS.exec(type) ?? [];
  if (name === undefined) return null;
  return {
    name: `${name}${zone}`,
    length: length === undefined ? null : Number(length),
    scale: scale === undefined ? null : Number(scale),
    isArray: array !== undefined,
  };
}

const LARGER: Readonly<Record<string, readonly string[]>> = {
  smallint: ['integer', 'bigint'],
  integer: ['bigint'],
  real: ['double precision'],
};
/** Without a length they take any. */
const OF_ANY_LENGTH = new Set([
  'character varying',
  'bit varying',
  'numeric',
  'interval',
  'timestamp with time zone',
  'timestamp without time zone',
  'time with time zone',
  'time without time zone',
]);

export function isWider(from: string, to: string): boolean {
  const [before, after] = [partsOf(from), partsOf(to)];
  if (before === null || after === null || before.isArray !== after.isArray) return false;
  if (LARGER[before.name]?.includes(after.name)) return true;
  const isText = ({ name }: TypeParts) => name === 'text' || name === 'character varying';
  if (isText(before) && isText(after)) return isAsLong(before, after);
  if (before.name !== after.name) return false;
  if (before.name === 'character')
    return before.length !== null && after.length !== null && after.length >= before.length;
  return OF_ANY_LENGTH.has(before.name) && isAsLong(before, after);
}

function isAsLong(before: TypeParts, after: TypeParts): boolean {
  if (after.length === null) return true;
  return before.length !== null && after.length >= before.length && before.scale === after.scale;
}
