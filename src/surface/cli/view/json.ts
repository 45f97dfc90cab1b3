/** The JSON documents of the CLI: one envelope for all, and no number that could lose digits. */
import type { AppError } from '../../../base/errors/app-error.ts';
import type { NextStep } from '../../../contract/progress.ts';

export interface Envelope {
  readonly kind: string;
  readonly data: unknown;
  readonly warnings?: readonly string[];
  readonly nextSteps?: readonly NextStep[];
}

/** `{apiVersion, kind, data, warnings, next_steps}` on several lines. */
export function document({ kind, data, warnings = [], nextSteps = [] }: Envelope): string {
  return `${toJson({ apiVersion: 'opendts/v1', kind, data, warnings, next_steps: nextSteps }, 2)}\n`;
}

/** In which place of a document a list stands. */
const LIST = '"list"';
const INDENT = '\n      ';

/** The same in parts, for a document whose data begin with a list that is long: its items, under `name`, are made one after the other. */
export function* documentParts(
  kind: string,
  name: string,
  { items, data }: { readonly items: Iterable<unknown>; readonly data: object },
): Generator<string> {
  const whole = document({ kind, data: { [name]: ['list'], ...data } });
  const at = whole.indexOf(LIST);
  let before = whole.slice(0, at);
  for (const item of items) {
    yield before + toJson(item, 2).replaceAll('\n', INDENT);
    before = `,${INDENT}`;
  }
  // An empty list has no line of its own.
  yield before === `,${INDENT}`
    ? whole.slice(at + LIST.length)
    : document({ kind, data: { [name]: [], ...data } });
}

/** An error with what it needs to be acted upon by a program. */
export function errorDocument(error: AppError): string {
  const { code, message, remedy, facts } = error;
  return `${toJson({ apiVersion: 'opendts/v1', kind: 'Error', error: { code, message, remedy, facts } }, 2)}\n`;
}

/** JSON in which a bigint is a string: row counts, bytes and LSNs can pass 2^53. */
export function toJson(value: unknown, indent?: number): string {
  return JSON.stringify(
    value,
    (_, item: unknown) => (typeof item === 'bigint' ? String(item) : item),
    indent,
  );
}
