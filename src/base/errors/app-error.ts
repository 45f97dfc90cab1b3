/** The one error class: a code of the table, the facts that fill its text, and the cause. */
import type { ErrorEntry } from './error-entry.ts';
import { ERRORS, type ErrorCode } from './errors.ts';
import type { ExitCode } from './exit.ts';

export type Facts = Readonly<Record<string, string | number | bigint>>;

/** Fills `{name}` in a text of the table. A missing fact stays visible as `{name}`. */
function fill(text: string, facts: Facts): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => (name in facts ? String(facts[name]) : whole));
}

export class AppError extends Error {
  override readonly name = 'AppError';
  readonly code: ErrorCode;
  readonly facts: Facts;

  constructor(code: ErrorCode, facts: Facts = {}, cause?: unknown) {
    super(fill(ERRORS[code].says, facts), cause === undefined ? undefined : { cause });
    this.code = code;
    this.facts = facts;
  }

  /** What the reader can do about it. */
  get remedy(): string {
    return fill(ERRORS[this.code].fix, this.facts);
  }

  get entry(): ErrorEntry {
    return ERRORS[this.code];
  }

  get exit(): ExitCode {
    return ERRORS[this.code].exit;
  }
}

/** Any thrown value as an AppError; what is not ours becomes UNEXPECTED with the original as its cause. */
export function toAppError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  const problem = thrown instanceof Error ? thrown.message : String(thrown);
  return new AppError('UNEXPECTED', { problem }, thrown);
}
