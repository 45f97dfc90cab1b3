/**
 * libpq's keyword/value form: `host=h dbname='my db'`. Spaces around `=` are allowed; a value with spaces is quoted with `'`;
 * `\` escapes the next character inside and outside of quotes.
 * https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-KEYWORD-VALUE
 */
import { invalidConninfo, type Side } from './conninfo.ts';
import { requireKnown, type Parameters } from './parameters.ts';

const NAME = /\s*([^=\s]+)\s*(=?)\s*/y;
const QUOTED = /'((?:[^'\\]|\\[^])*)'/y;
const BARE = /(?:[^\s\\]|\\[^])*/y;

/** Reads the pairs; the last of two equal keywords wins, as in libpq. Throws CONNINFO_INVALID, never quoting a value. */
export function parseKeywordValue(text: string, side: Side): Parameters {
  const parameters = new Map<string, string>();
  let at = 0;
  let previous: string | null = null;
  const take = (pattern: RegExp) => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match) at = pattern.lastIndex;
    return match;
  };
  while (text.slice(at).trim() !== '') {
    const [, name = '', equals] = take(NAME) ?? [];
    if (equals !== '=') {
      const where = previous === null ? 'it is neither a URI nor keyword=value pairs' : `after "${previous}"`;
      throw invalidConninfo(
        side,
        previous === null ? where : `a word without "=" ${where} (quote a value with spaces: '…')`,
      );
    }
    requireKnown(name, previous, side);
    const quoted = text[at] === "'";
    const match = take(quoted ? QUOTED : BARE);
    if (!match) throw invalidConninfo(side, `the quote of "${name}" is not closed`);
    parameters.set(name, (match[quoted ? 1 : 0] ?? '').replaceAll(/\\([^])/g, '$1'));
    previous = name;
  }
  return parameters;
}
