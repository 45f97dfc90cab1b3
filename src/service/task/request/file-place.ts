/**
 * A YAML or JSON file that somebody wrote: its documents, and where in it something stands. What is wrong with it is reported with its
 * line and column, and never with the text found there: a connection string may hold a password. `${env:NAME}` and `${file:/path}` stand
 * for a value kept elsewhere.
 */
import { readFileSync } from 'node:fs';
import { isMap, isNode, LineCounter, parseAllDocuments, parseDocument, visit, type Document } from 'yaml';
import type { z } from 'zod';
import { AppError } from '../../../base/errors/app-error.ts';

type Path = readonly PropertyKey[];
export type Environment = Readonly<Record<string, string | undefined>>;

/** One document of a file. */
export interface Place {
  readonly file: string;
  readonly document: Document;
  readonly lines: LineCounter;
}

/** The documents of a file; of several those that are not empty. `-` is what `stdin` says. Throws TASK_FILE_UNREADABLE or TASK_FILE_INVALID. */
export function readDocuments(file: string, stdin = ''): Place[] {
  const lines = new LineCounter();
  // Pretty errors would quote the source line.
  const text = file === '-' ? stdin : readText(file);
  const options = { lineCounter: lines, prettyErrors: false };
  const found = [...parseAllDocuments(text, options)];
  const documents: Document[] = found.length === 0 ? [parseDocument(text, options)] : found;
  return documents.flatMap((document) => {
    const [broken] = document.errors;
    if (broken) throw invalid(file, lines.linePos(broken.pos[0]), broken.message.replace(/: .*$/s, ''));
    return document.contents === null && documents.length > 1 ? [] : [{ file, document, lines }];
  });
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (thrown) {
    throw new AppError('TASK_FILE_UNREADABLE', { file, problem: reason(thrown) }, thrown);
  }
}

/** The document as the schema has it; `known` are the fields of its spec. Throws TASK_FILE_INVALID. */
export function parsed<T>(place: Place, schema: z.ZodType<T>, known: readonly string[]): T {
  const found = schema.safeParse(content(place));
  if (!found.success) throw firstIssue(found.error, place, known);
  return found.data;
}

/** As plain values. Only aliases can fail here: one without an anchor, or too many of them. */
export function content({ file, document, lines }: Place): unknown {
  try {
    return document.toJS();
  } catch {
    let at = 0;
    visit(document, {
      Alias(_, node) {
        if (node.resolve(document) !== undefined) return undefined;
        at = node.range?.[0] ?? 0;
        return visit.BREAK;
      },
    });
    throw invalid(file, lines.linePos(at), 'an alias cannot be resolved');
  }
}

export function invalid(file: string, at: { line: number; col: number }, problem: string): AppError {
  return new AppError('TASK_FILE_INVALID', { file, line: at.line, column: at.col, problem });
}

function firstIssue(error: z.ZodError, place: Place, fields: readonly string[]): AppError {
  const [issue] = error.issues;
  if (issue === undefined) return invalid(place.file, { line: 1, col: 1 }, error.message);
  const unknown = issue.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
  if (unknown !== undefined) {
    const known = issue.path[0] === 'spec' ? fields : null;
    const problem = `unknown field "${unknown}"${known ? ` (known: ${known.join(', ')})` : ''}`;
    return invalid(place.file, position(place, [...issue.path, unknown], 'name'), problem);
  }
  const field = issue.path.map(String).join('.');
  return invalid(
    place.file,
    position(place, issue.path),
    field ? `${field}: ${issue.message}` : issue.message,
  );
}

/** Where the value at a path is written, or the name of its field; of a field that is missing, where its parent is. */
export function position(
  { document, lines }: Place,
  path: Path,
  at: 'value' | 'name' = 'value',
): { line: number; col: number } {
  const last = path.at(-1);
  const parent: unknown = path.length > 0 ? document.getIn(path.slice(0, -1), true) : document.contents;
  const key = isMap(parent)
    ? parent.items.find((pair) => isNode(pair.key) && String(pair.key) === String(last))?.key
    : null;
  const value: unknown = document.getIn(path, true);
  for (const node of at === 'name' ? [key] : [value, parent, document.contents]) {
    if (isNode(node) && node.range) return lines.linePos(node.range[0]);
  }
  return { line: 1, col: 1 };
}

/** A reference inside a URI is percent-encoded, one inside a keyword/value string is quoted: the value may hold any character. */
export function resolveReferences(text: string, path: Path, place: Place, env: Environment): string {
  const isUri = /^postgres(ql)?:\/\//.test(text);
  return text.replace(/\$\{(env|file):([^}]*)\}/g, (whole, kind: string, name: string, at: number) => {
    const value = kind === 'env' ? env[name] : readSecret(name, path, place);
    if (value === undefined) {
      throw invalid(place.file, position(place, path), `environment variable ${name} is not set`);
    }
    if (whole === text) return value;
    if (isUri) return encodeURIComponent(value);
    const escaped = value.replace(/[\\']/g, String.raw`\$&`);
    return text[at - 1] === "'" ? escaped : `'${escaped}'`;
  });
}

function readSecret(file: string, path: Path, place: Place): string {
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  } catch (thrown) {
    throw invalid(place.file, position(place, path), `${file} cannot be read (${reason(thrown)})`);
  }
}

/** `no such file`, not the driver's whole sentence with path and system call. */
function reason(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return text.replace(/^\w+: /, '').replace(/, \w+( '.*')?$/s, '');
}
