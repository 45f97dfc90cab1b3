/**
 * Reads the pieces of a test_decoding message: names, types and values, as contrib/test_decoding writes them (the same on 10 to 18).
 * The text has one character per byte. Pure; throws RangeError where the text is not of that form.
 *
 *   name    quote_identifier: plain, or in double quotes with inner ones doubled
 *   type    format_type: brackets come in pairs ("[]"), other characters of a name only inside double quotes
 *   value   null | unchanged-toast-datum | true | false | B'101' | a number as it is | '…' with quotes doubled, nothing else escaped
 */
import { UNCHANGED, type ByteText, type Cell } from '../../change/change.ts';

const QUOTE = 0x22;
const APOSTROPHE = 0x27;
const SPACE = 0x20;

/** Index behind the name that begins at `at`. */
export function endOfName(text: string, at: number): number {
  if (text.charCodeAt(at) === QUOTE) return endOfQuoted(text, at);
  let end = at;
  while (isPlain(text.charCodeAt(end))) end++;
  if (end === at) throw new RangeError('a name is missing');
  return end;
}

/** a–z, 0–9 and _: what quote_identifier leaves bare. */
function isPlain(code: number): boolean {
  return (code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39) || code === 0x5f;
}

function endOfQuoted(text: string, at: number): number {
  for (let end = text.indexOf('"', at + 1); end >= 0; end = text.indexOf('"', end + 2)) {
    if (text.charCodeAt(end + 1) !== QUOTE) return end + 1;
  }
  throw new RangeError('a quoted name does not end');
}

/** The name itself, in UTF-8. */
export function readName(written: string): string {
  const bare = written.startsWith('"') ? written.slice(1, -1).replaceAll('""', '"') : written;
  return Buffer.from(bare, 'latin1').toString('utf8');
}

/** Index of the bracket that closes a type which begins at `at`. */
export function endOfType(text: string, at: number): number {
  let depth = 0;
  for (let end = at; end < text.length;) {
    const character = text[end];
    if (character === '"') {
      end = endOfQuoted(text, end);
      continue;
    }
    if (character === ']' && depth-- === 0) return end;
    if (character === '[') depth++;
    end++;
  }
  throw new RangeError('a type does not end');
}

/** Reads values one after the other; `at` moves on behind each. */
export class ValueCursor {
  readonly text: string;
  at: number;

  constructor(text: string, at: number) {
    this.text = text;
    this.at = at;
  }

  /** True, and moved behind it, when the text goes on with this. */
  skips(expected: string): boolean {
    if (!this.text.startsWith(expected, this.at)) return false;
    this.at += expected.length;
    return true;
  }

  value(): Cell {
    const { text, at } = this;
    if (text.charCodeAt(at) === APOSTROPHE) return this.quoted(at + 1);
    if (text.startsWith("B'", at)) return this.quoted(at + 2);
    let end = text.indexOf(' ', at);
    if (end < 0) end = text.length;
    this.at = end;
    const bare = text.slice(at, end);
    switch (bare) {
      case '':
        throw new RangeError('a value is missing');
      case 'null':
        return null;
      case 'unchanged-toast-datum':
        return UNCHANGED;
      case 'true':
        return 't' as ByteText;
      case 'false':
        return 'f' as ByteText;
      default:
        return bare as ByteText;
    }
  }

  private quoted(from: number): ByteText {
    const { text } = this;
    let doubled = false;
    for (let end = text.indexOf("'", from); end >= 0; end = text.indexOf("'", end + 2)) {
      if (text.charCodeAt(end + 1) === APOSTROPHE) {
        doubled = true;
        continue;
      }
      if (end + 1 < text.length && text.charCodeAt(end + 1) !== SPACE)
        throw new RangeError('something stands right behind a value');
      this.at = end + 1;
      const written = text.slice(from, end);
      return (doubled ? written.replaceAll("''", "'") : written) as ByteText;
    }
    throw new RangeError('a value does not end');
  }
}
