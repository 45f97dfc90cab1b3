/** A text with its tokens, and edits on it: all that is not edited stays byte for byte. Positions are in bytes, as the parser gives them. */
import type { Parser, Token } from './parser.ts';

interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

export class SqlText {
  private readonly bytes: Buffer;
  readonly tokens: readonly Token[];
  private readonly edits: Edit[] = [];
  private readonly byStart = new Map<number, number>();

  constructor(parser: Parser, sql: string) {
    this.bytes = Buffer.from(sql);
    this.tokens = parser.scan(sql);
    for (const [at, { start }] of this.tokens.entries()) this.byStart.set(start, at);
  }

  /** Index of the token that begins at a position of the syntax tree. */
  tokenAt(position: number): number {
    const at = this.byStart.get(position);
    if (at === undefined) throw new Error(`no token at ${position}`);
    return at;
  }

  /** Text of a token as it stands; empty behind the last. */
  word(token: number): string {
    const one = this.tokens[token];
    return one ? this.bytes.toString('utf8', one.start, one.end) : '';
  }

  /** From the first token to the last, both included. */
  replace(first: number, last: number, text: string): void {
    const [from, to] = [this.tokens[first], this.tokens[last]];
    if (!from || !to) throw new Error(`no tokens ${first} to ${last}`);
    this.edits.push({ start: from.start, end: to.end, text });
  }

  insertBehind(token: number, text: string): void {
    const end = this.tokens[token]?.end ?? this.bytes.length;
    this.edits.push({ start: end, end, text });
  }

  /** The token that closes the parenthesis opened by `open`. */
  closing(open: number): number {
    for (let depth = 0, at = open; at < this.tokens.length; at++) {
      const word = this.word(at);
      if (word === '(') depth++;
      else if (word === ')' && --depth === 0) return at;
    }
    throw new Error('a parenthesis that is not closed');
  }

  /** First tokens of the parts, parted by commas, of what stands in the parenthesis opened by `open`. */
  partsOf(open: number): number[] {
    const end = this.closing(open);
    const parts = end > open + 1 ? [open + 1] : [];
    for (let depth = 0, at = open + 1; at < end; at++) {
      const word = this.word(at);
      if (word === '(' || word === '[') depth++;
      else if (word === ')' || word === ']') depth--;
      else if (word === ',' && depth === 0) parts.push(at + 1);
    }
    return parts;
  }

  /** First tokens of the parts, parted by commas, from `from` on up to a word in capitals. */
  partsFrom(from: number, end: string): number[] {
    const parts = [from];
    for (let depth = 0, at = from; at < this.tokens.length; at++) {
      const word = this.word(at);
      if (word === '(') depth++;
      else if (word === ')') depth--;
      else if (depth > 0) continue;
      else if (word === end) break;
      else if (word === ',') parts.push(at + 1);
    }
    return parts;
  }

  /** The first token from `from` on that is one of these words, in capitals; -1 where there is none. */
  find(words: readonly string[], from = 0): number {
    for (let at = from; at < this.tokens.length; at++)
      if (words.includes(this.word(at).toUpperCase())) return at;
    return -1;
  }

  result(): string {
    const parts: Buffer[] = [];
    let done = 0;
    // What is inserted behind a token comes behind what replaces it.
    for (const { start, end, text } of this.edits.toSorted((a, b) => a.start - b.start || a.end - b.end)) {
      parts.push(this.bytes.subarray(done, start), Buffer.from(text));
      done = Math.max(done, end);
    }
    return Buffer.concat([...parts, this.bytes.subarray(done)]).toString('utf8');
  }
}

/** What an identifier token names: quotes taken off, or folded to lower case as the server does. */
export function nameOf(word: string): string {
  return word.startsWith('"') ? word.slice(1, -1).replaceAll('""', '"') : word.toLowerCase();
}
