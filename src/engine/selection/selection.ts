/** Which tables the user chose, by patterns. Pure. */
import { AppError } from '../../base/errors/app-error.ts';
import { nameKey, type QualifiedName } from '../change/relation.ts';

/**
 * A pattern is `schema.table` or `table` (any schema); `*` and `?` are wildcards outside double quotes, and a dot inside double
 * quotes belongs to the name. Case counts, as in the catalog.
 */
interface Pattern {
  readonly text: string;
  readonly schema: RegExp | null;
  readonly name: RegExp;
}

/** How a character of a name is taken into a part: outside quotes `*` and `?` may mean something. */
type Take = (char: string, quoted: boolean) => string;

/** Splits at the dots outside quotes; throws USAGE on an unbalanced quote or more parts than `most`. */
function split(text: string, take: Take, most = 2): string[] {
  const parts: string[] = [''];
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const char = text.charAt(at);
    if (char === '"' && quoted && text.charAt(at + 1) === '"') {
      at++;
      parts[parts.length - 1] += take('"', true);
    } else if (char === '"') quoted = !quoted;
    else if (char === '.' && !quoted) parts.push('');
    else parts[parts.length - 1] += take(char, quoted);
  }
  if (quoted || parts.length > most || parts.some((part) => part === '')) {
    throw new AppError('USAGE', {
      problem: `"${text}" is not a table pattern.`,
      remedy: 'Write schema.table, schema.*, or table; put names with dots or quotes into double quotes.',
    });
  }
  return parts;
}

const asPattern: Take = (char, quoted) =>
  char === '*' && !quoted ? '.*' : char === '?' && !quoted ? '.' : escape(char);

const whole = (source: string) => new RegExp(`^${source}$`, 's');

function parsePattern(text: string): Pattern {
  const [first = '', second] = split(text, asPattern);
  return second === undefined
    ? { text, schema: null, name: whole(first) }
    : { text, schema: whole(first), name: whole(second) };
}

/** One name, written like a pattern but without wildcards; the schema is null where none is given. */
export function parseName(text: string): { readonly schema: string | null; readonly name: string } {
  const [first = '', second] = split(text, (char) => char);
  return second === undefined ? { schema: null, name: first } : { schema: first, name: second };
}

/** The one to three names of a schema, table or column, written as in a pattern. */
export function parseNames(text: string): readonly string[] {
  return split(text, (char) => char, 3);
}

/** Names parted by commas, each written as in a pattern. */
export function parseNameList(text: string): readonly string[] {
  // A comma outside quotes has an even number of them behind it.
  return text
    .split(/,(?=(?:[^"]*"[^"]*")*[^"]*$)/)
    .map((part) => split(part.trim(), (char) => char, 1)[0] ?? '');
}

function escape(char: string): string {
  return char.replace(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`);
}

function matches(pattern: Pattern, table: QualifiedName): boolean {
  return (pattern.schema === null || pattern.schema.test(table.schema)) && pattern.name.test(table.name);
}

/** Whether a pattern names a table. Throws USAGE for what is no pattern. */
export function matcher(text: string): (table: QualifiedName) => boolean {
  const pattern = parsePattern(text);
  return (table) => matches(pattern, table);
}

/** Whether a pattern `schema.table.column` names a column. Throws USAGE for what is no such pattern. */
export function columnMatcher(text: string): (table: QualifiedName, column: string) => boolean {
  const [schema, name, column] = split(text, asPattern, 3).map(whole);
  if (!schema || !name || !column)
    throw new AppError('USAGE', {
      problem: `"${text}" is not a column pattern.`,
      remedy: 'Write schema.table.column; * and ? are wildcards.',
    });
  return (table, one) => schema.test(table.schema) && name.test(table.name) && column.test(one);
}

/** A partition goes with the partitioned table at its top. */
export interface Selectable extends QualifiedName {
  readonly oid: number;
  readonly rootOid: number | null;
}

/**
 * The tables that some include pattern matches (all, without patterns) and no exclude pattern, with their partitions. Throws
 * NOTHING_SELECTED naming the pattern, include or exclude, that matches nothing: a misspelt name must not pass in silence.
 */
export function selectTables<T extends Selectable>(
  tables: readonly T[],
  include: readonly string[],
  exclude: readonly string[],
): T[] {
  const includes = include.map(parsePattern);
  const excludes = exclude.map(parsePattern);
  const roots = tables.filter((table) => table.rootOid === null);
  for (const pattern of [...includes, ...excludes]) {
    if (!roots.some((table) => matches(pattern, table)))
      throw new AppError('NOTHING_SELECTED', { pattern: `"${pattern.text}"` });
  }
  const chosen = roots.filter(
    (table) =>
      (includes.length === 0 || includes.some((p) => matches(p, table))) &&
      !excludes.some((p) => matches(p, table)),
  );
  if (chosen.length === 0 && include.length + exclude.length > 0)
    throw new AppError('NOTHING_SELECTED', { pattern: 'The selection' });
  const oids = new Set(chosen.map((table) => table.oid));
  return tables.filter((table) => oids.has(table.rootOid ?? table.oid));
}

/** A fast membership test over selected tables. */
export function membership(tables: readonly QualifiedName[]): (name: QualifiedName) => boolean {
  const keys = new Set(tables.map(nameKey));
  return (name) => keys.has(nameKey(name));
}
