/** Errors as problem details (RFC 9457) with the codes of the error table. */
import type { AppError } from '../../base/errors/app-error.ts';

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly remedy: string;
  readonly retry: 'never' | 'later';
  readonly facts: Readonly<Record<string, unknown>>;
  /** The request, as the log of the server names it. */
  readonly instance: string;
}

/** What a defect says stays in the log. */
export function problemOf(error: AppError, requestId: string): Problem {
  const { http, retry } = error.entry;
  const isDefect = error.code === 'UNEXPECTED';
  return {
    type: `urn:opendts:error:${error.code}`,
    title: error.code.toLowerCase().replaceAll('_', ' '),
    status: http,
    detail: isDefect ? 'Something unexpected happened.' : error.message,
    code: error.code,
    remedy: isDefect ? `The log of the server has more about request ${requestId}.` : error.remedy,
    retry,
    facts: isDefect ? {} : error.facts,
    instance: `urn:uuid:${requestId}`,
  };
}
