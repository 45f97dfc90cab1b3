/**
 * The log of a node: JSON lines, made in this one place. What is said is a literal; what varies stands in the fields below, which name and
 * count things; of an error only its facts are told. A row value or a secret has no field to stand in: one that is missing is added here,
 * with that in mind.
 */
import { pino, stdTimeFunctions, type Logger } from 'pino';
import type { ServeOptions } from '../../contract/serve-options.ts';
import { currentSpan } from '../tracing/span.ts';
import { errorFacts } from './error-facts.ts';

export type LogLevel = ServeOptions['logLevel'];

export interface LogFields {
  /** The id of a task, of the request that asked, of the worker that does it. */
  readonly task?: string;
  readonly request?: string;
  readonly worker?: string;
  readonly group?: string;
  readonly connection?: string;
  /** `schema.name` */
  readonly table?: string;
  readonly slot?: string;
  readonly job?: string;
  readonly state?: string;
  readonly stage?: string;
  readonly operation?: string;
  readonly method?: string;
  /** The pattern of a path, never the path. */
  readonly route?: string;
  readonly address?: string;
  readonly signal?: string;
  readonly version?: string;
  readonly status?: number;
  readonly milliseconds?: number;
  readonly seconds?: number;
  readonly attempt?: number;
  readonly count?: number;
  readonly fence?: string;
  readonly pid?: number;
}

/** A text that stands in the program: as a key of a record it must be there, while one that is put together as it runs is any key. */
type Literal<M extends string> = Record<never, never> extends Record<M, true> ? never : M;

export interface Log {
  error<M extends string>(what: Literal<M>, fields?: LogFields): void;
  warn<M extends string>(what: Literal<M>, fields?: LogFields): void;
  info<M extends string>(what: Literal<M>, fields?: LogFields): void;
  debug<M extends string>(what: Literal<M>, fields?: LogFields): void;
  /** Something failed: what, and the facts of the error; as a warning where it is tried again. */
  failure<M extends string>(
    thrown: unknown,
    what: Literal<M>,
    fields?: LogFields & { readonly level?: LogLevel },
  ): void;
  /** The same log, with fields that each of its lines has. */
  with(fields: LogFields): Log;
  /** The same log, in which a line like the one before is written at most every so many seconds, with how often it came meanwhile. */
  seldom(seconds: number): Log;
}

/** Says nothing: for commands without a log. */
export const noLog: Log = {
  error: () => {},
  warn: () => {},
  info: () => {},
  debug: () => {},
  failure: () => {},
  with: () => noLog,
  seldom: () => noLog,
};

export interface LogOptions {
  readonly level: LogLevel;
  readonly stream: { write(line: string): void };
}

export function openLog({ level, stream }: LogOptions): Log {
  const logger = pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      mixin: () => currentSpan().ids ?? {},
    },
    stream,
  );
  return new Lines(logger, null);
}

class Lines implements Log {
  private readonly logger: Logger;
  private readonly gate: Gate | null;

  constructor(logger: Logger, gate: Gate | null) {
    this.logger = logger;
    this.gate = gate;
  }

  error(what: string, fields: LogFields = {}): void {
    this.write('error', what, fields);
  }

  warn(what: string, fields: LogFields = {}): void {
    this.write('warn', what, fields);
  }

  info(what: string, fields: LogFields = {}): void {
    this.write('info', what, fields);
  }

  debug(what: string, fields: LogFields = {}): void {
    this.write('debug', what, fields);
  }

  failure(thrown: unknown, what: string, given: LogFields & { readonly level?: LogLevel } = {}): void {
    const { level = 'error', ...fields } = given;
    this.write(level, what, { ...fields, error: errorFacts(thrown) });
  }

  with(fields: LogFields): Log {
    return new Lines(this.logger.child(fields), this.gate);
  }

  seldom(seconds: number): Log {
    return new Lines(this.logger, new Gate(seconds * 1000));
  }

  private write(level: LogLevel, what: string, fields: LogFields & { readonly error?: object }): void {
    const repeated = this.gate === null ? 0 : this.gate.pass(this.keyOf(what, fields), performance.now());
    if (repeated === null) return;
    this.logger[level](repeated === 0 ? fields : { ...fields, repeated }, what);
  }

  private keyOf(what: string, { task, table, group }: LogFields): string {
    return JSON.stringify([what, this.logger.bindings(), task, table, group]);
  }
}

const REMEMBERED = 1000;

/** Which lines may pass. */
export class Gate {
  private readonly everyMs: number;
  private readonly seen = new Map<string, { at: number; repeated: number }>();

  constructor(everyMs: number) {
    this.everyMs = everyMs;
  }

  /** How often the line was held back before this one; null when this one is held back as well. */
  pass(key: string, now: number): number | null {
    const before = this.seen.get(key);
    if (before !== undefined && now - before.at < this.everyMs) {
      before.repeated++;
      return null;
    }
    this.seen.delete(key);
    const [oldest] = this.seen.size < REMEMBERED ? [] : this.seen.keys();
    if (oldest !== undefined) this.seen.delete(oldest);
    this.seen.set(key, { at: now, repeated: 0 });
    return before?.repeated ?? 0;
  }
}
