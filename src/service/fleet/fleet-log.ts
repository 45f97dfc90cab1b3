/** What the fleet writes to its log: literals and named fields, of errors their codes; never texts of servers, values of rows or secrets. */
import { toAppError } from '../../base/errors/app-error.ts';

export interface FleetFields {
  readonly task?: string;
  readonly worker?: string;
  readonly state?: string;
  readonly count?: number;
  readonly fence?: string;
  readonly attempt?: number;
}

export interface FleetLog {
  info(what: string, fields?: FleetFields): void;
  warn(what: string, fields?: FleetFields): void;
  failure(thrown: unknown, what: string, fields?: FleetFields & { readonly level?: 'warn' | 'error' }): void;
  /** The same log, in which a line like the one before is written at most every so many seconds. */
  seldom(seconds: number): FleetLog;
}

/** JSON lines. */
export function lineLog(stream: { write(line: string): void }): FleetLog {
  return new LineLog(stream, 0);
}

class LineLog implements FleetLog {
  private readonly stream: { write(line: string): void };
  private readonly everyMs: number;
  private readonly written = new Map<string, number>();

  constructor(stream: { write(line: string): void }, everyMs: number) {
    this.stream = stream;
    this.everyMs = everyMs;
  }

  info(what: string, fields: FleetFields = {}): void {
    this.write('info', what, fields);
  }

  warn(what: string, fields: FleetFields = {}): void {
    this.write('warn', what, fields);
  }

  failure(
    thrown: unknown,
    what: string,
    { level = 'error', ...fields }: FleetFields & { readonly level?: 'warn' | 'error' } = {},
  ): void {
    this.write(level, what, { ...fields, error: toAppError(thrown).code });
  }

  seldom(seconds: number): FleetLog {
    return new LineLog(this.stream, seconds * 1000);
  }

  private write(level: string, what: string, fields: FleetFields & { readonly error?: string }): void {
    const key = `${what} ${fields.task ?? ''}`;
    const now = performance.now();
    const last = this.written.get(key);
    if (this.everyMs > 0 && last !== undefined && now - last < this.everyMs) return;
    if (this.everyMs > 0) this.written.set(key, now);
    const line = { level, time: new Date().toISOString(), ...fields, msg: what };
    this.stream.write(`${JSON.stringify(line)}\n`);
  }
}
