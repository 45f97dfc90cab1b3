/** The cells of a column as one array parameter, in the form that costs least to write and to read. Pure. */
import type { ByteText } from '../change/change.ts';

type Cells = readonly (ByteText | null)[];

/** `{"a",NULL,"b\"c"}`: the text form of a one-dimensional array. */
export function arrayLiteral(cells: Cells): ByteText {
  const parts = cells.map((cell) =>
    cell === null ? 'NULL' : `"${/["\\]/.test(cell) ? cell.replace(/["\\]/g, '\\$&') : cell}"`,
  );
  return `{${parts.join(',')}}` as ByteText;
}

const TEXT = 25;
const JSONB = 3802;
/** Types whose binary form is their text: json, text, character, character varying. */
const TEXTUAL = new Set([114, TEXT, 1042, 1043]);
/** Types whose text never holds what an array takes for its own (comma, brace, quote, backslash, NULL): numbers, booleans, dates, times, uuid. */
const PLAIN = new Set([16, 20, 21, 23, 26, 700, 701, 1082, 1114, 1184, 1700, 2950]);

/** `isText`: the elements travel as text, whatever the column is. `isSame`: source and target column have one type. */
export interface ElementType {
  readonly typeOid: number;
  readonly typeKind: string;
  readonly isText: boolean;
  readonly isSame: boolean;
}

/** A server reads the binary form of long texts much faster than the text form, which it takes apart character by character. */
export function arrayOf(
  cells: Cells,
  type: ElementType,
): { readonly text: ByteText; readonly isBinary: boolean } {
  if (type.isText) return { text: binaryArray(cells, TEXT, ''), isBinary: true };
  if (TEXTUAL.has(type.typeOid) || type.typeKind === 'e')
    return { text: binaryArray(cells, type.typeOid, ''), isBinary: true };
  // Its binary form is a version, 1, and the text.
  if (type.typeOid === JSONB) return { text: binaryArray(cells, JSONB, '\x01'), isBinary: true };
  if (PLAIN.has(type.typeOid) && type.isSame)
    return { text: `{${cells.map((cell) => cell ?? 'NULL').join(',')}}` as ByteText, isBinary: false };
  return { text: arrayLiteral(cells), isBinary: false };
}

/**
 * The binary form of a one-dimensional array, one character per byte: dimensions, a flag for nulls, the element type, the number of
 * elements, the lower bound; then each element behind its length.
 */
export function binaryArray(cells: Cells, elementType: number, prefix: string): ByteText {
  const parts = [
    int32(1),
    int32(cells.includes(null) ? 1 : 0),
    int32(elementType),
    int32(cells.length),
    int32(1),
  ];
  for (const cell of cells)
    parts.push(cell === null ? int32(-1) : int32(prefix.length + cell.length) + prefix + cell);
  return parts.join('') as ByteText;
}

const SMALL = Array.from({ length: 1024 }, (_, value) => String.fromCharCode(0, 0, value >> 8, value & 255));

function int32(value: number): string {
  return (
    SMALL[value] ??
    String.fromCharCode((value >> 24) & 255, (value >> 16) & 255, (value >> 8) & 255, value & 255)
  );
}
