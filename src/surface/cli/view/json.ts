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
