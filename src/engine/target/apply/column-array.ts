/** The cells of a column as one array parameter, in the form that costs least to write and to read. Pure. */
import { sizeOf, type ByteText } from '../../change/change.ts';
import { ByteSink } from '../../pg/wire/byte-sink.ts';

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
/** Types whose binary form is their text: json, jsonb (behind a version), text, character, character varying. */
const TEXTUAL = new Set([114, JSONB, TEXT, 1042, 1043]);
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
): { readonly bytes: ByteText | Buffer; readonly isBinary: boolean } {
  if (type.isText) return { bytes: binaryArray(cells, TEXT), isBinary: true };
  if (TEXTUAL.has(type.typeOid) || type.typeKind === 'e')
    return { bytes: binaryArray(cells, type.typeOid), isBinary: true };
  if (PLAIN.has(type.typeOid) && type.isSame) return { bytes: plainArray(cells), isBinary: false };
  return { bytes: arrayLiteral(cells), isBinary: false };
}

const NULL = 'NULL' as ByteText;
const [OPEN, COMMA, CLOSE] = [123, 44, 125];

function plainArray(cells: Cells): Buffer {
  const sink = new ByteSink(cells.length * 12);
  for (const [at, cell] of cells.entries()) {
    sink.byte(at === 0 ? OPEN : COMMA);
    sink.text(cell ?? NULL);
  }
  if (cells.length === 0) sink.byte(OPEN);
  sink.byte(CLOSE);
  return sink.bytes();
}

const HEAD = 20;
/** A server that reads jsonb expects a version before the text. */
const JSONB_VERSION = 1;

/**
 * The binary form of a one-dimensional array: dimensions, a flag for nulls, the element type, the number of elements, the lower bound; then
 * each element behind its length.
 */
function binaryArray(cells: Cells, elementType: number): Buffer {
  const isJsonb = elementType === JSONB;
  const sink = new ByteSink(HEAD + cells.length * 5 + sizeOf(cells));
  for (const field of [1, cells.includes(null) ? 1 : 0, elementType, cells.length, 1]) sink.int32(field);
  for (const cell of cells) {
    sink.int32(cell === null ? -1 : cell.length + (isJsonb ? 1 : 0));
    if (cell === null) continue;
    if (isJsonb) sink.byte(JSONB_VERSION);
    sink.text(cell);
  }
  return sink.bytes();
}
