/**
 * What is done, as traces tell it: a span has a name, a beginning and an end, fields, and the span that it is a part of. This is all that the
 * program knows of it; nothing of OpenTelemetry is loaded here, and without a collector nothing happens.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { errorFacts } from '../runtime/error-facts.ts';

/**
 * What a span may say, in the words of OpenTelemetry's stable conventions, else in ours. All of it names and counts things: a row value, a
 * statement or a secret has no field to stand in.
 */
export interface SpanFields {
  readonly 'http.request.method'?: string;
  /** The pattern of the path, which `url.path` is here as well: a path may hold what somebody has typed. */
  readonly 'http.route'?: string;
  readonly 'http.response.status_code'?: number;
  readonly 'url.path'?: string;
  readonly 'url.scheme'?: string;
  readonly 'db.system.name'?: 'postgresql';
  /** The first word of a statement. */
  readonly 'db.operation.name'?: string;
  /** A code of the error table, an SQLSTATE, or a status. */
  readonly 'error.type'?: string;
  readonly 'opendts.operation'?: string;
  readonly 'opendts.task.id'?: string;
  readonly 'opendts.task.state'?: string;
  readonly 'opendts.worker.id'?: string;
}

export interface SpanStart {
  readonly kind?: 'server' | 'client';
  readonly fields?: SpanFields;
}

/** For whoever finds the trace by a line of the log. */
export interface SpanIds {
  readonly trace_id: string;
  readonly span_id: string;
}

export interface Span {
  /** Null: nothing is told of it, or it has ended. */
  readonly ids: SpanIds | null;
  /** Statements on the store are told as parts of it. */
  readonly withStatements: boolean;
  set(fields: SpanFields): void;
  /** Something that happens in the middle of it. */
  event(what: string): void;
  /** It ends badly: a code of the error table, an SQLSTATE, or a status. */
  fail(errorType: string): void;
  child(name: string, start?: SpanStart): Span;
  end(): void;
}

/** Of which nothing is told. */
export const noSpan: Span = {
  ids: null,
  withStatements: false,
  set: () => {},
  event: () => {},
  fail: () => {},
  child: () => noSpan,
  end: () => {},
};

const current = new AsyncLocalStorage<Span>();

/** In which the caller is. What was begun within a span and outlives it is in none. */
export function currentSpan(): Span {
  const span = current.getStore();
  return span === undefined || span.ids === null ? noSpan : span;
}

/** Does the work within the span, which goes on behind it. */
export function within<T>(span: Span, work: () => T): T {
  return span === noSpan ? work() : current.run(span, work);
}

/** Does the work within the span, which ends with it. Throws what the work throws. */
export async function throughout<T>(span: Span, work: () => Promise<T>): Promise<T> {
  if (span === noSpan) return work();
  try {
    return await current.run(span, work);
  } catch (thrown) {
    span.fail(errorType(thrown));
    throw thrown;
  } finally {
    span.end();
  }
}

/** Of what is not ours, what the server says. */
function errorType(thrown: unknown): string {
  const { code, sqlstate = code } = errorFacts(thrown);
  return code === 'UNEXPECTED' ? sqlstate : code;
}
