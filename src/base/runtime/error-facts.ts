/**
 * What a log says of an error: its code and the facts that name things, and of its causes the SQLSTATE or the code of the system. The
 * texts of drivers, servers and the runtime stay out: they may quote a row, a statement, or what somebody has typed. Pure.
 */
import { AppError, toAppError } from '../errors/app-error.ts';

export interface ErrorFacts {
  readonly code: string;
  readonly sqlstate?: string;
  /** Of the system: `ECONNREFUSED`. */
  readonly errno?: string;
  readonly facts?: Readonly<Record<string, string | number>>;
  /** Only of a defect: its class, and where it was thrown. */
  readonly type?: string;
  readonly at?: readonly string[];
}

/** Facts that name things and count them. `key` and `row` are of the user's data, and the others may quote. */
const NAMING: ReadonlySet<string> = new Set([
  'address',
  'column',
  'count',
  'database',
  'endpoint',
  'host',
  'kind',
  'lsn',
  'name',
  'option',
  'pid',
  'port',
  'seconds',
  'side',
  'slot',
  'table',
  'version',
]);
const DEPTH = 5;
const FRAMES = 12;

export function errorFacts(thrown: unknown): ErrorFacts {
  const error = toAppError(thrown);
  const causes = chain(thrown);
  const sqlstate = error.facts.sqlstate ?? firstOf(causes, 'sqlstate', /^[0-9A-Z]{5}$/);
  const errno = firstOf(causes, 'code', /^E[A-Z_]{2,30}$/);
  const facts = namingFacts(error);
  return {
    code: error.code,
    ...(sqlstate === undefined ? {} : { sqlstate: String(sqlstate) }),
    ...(errno === undefined ? {} : { errno }),
    ...(Object.keys(facts).length === 0 ? {} : { facts }),
    ...(error.code === 'UNEXPECTED' ? defect(error.cause) : {}),
  };
}

function namingFacts({ code, facts, cause }: AppError): Record<string, string | number> {
  // Without a cause the problem is told in words of ours.
  const isOurs = code !== 'UNEXPECTED' && cause === undefined;
  const told = Object.entries(facts).filter(([name]) => NAMING.has(name) || (isOurs && name === 'problem'));
  return Object.fromEntries(
    told.map(([name, value]) => [name, typeof value === 'bigint' ? String(value) : value]),
  );
}

function chain(thrown: unknown): Error[] {
  const found: Error[] = [];
  for (let one = thrown; one instanceof Error && found.length < DEPTH; one = one.cause) found.push(one);
  return found;
}

function firstOf(errors: readonly Error[], field: string, form: RegExp): string | undefined {
  return errors
    .map((error): unknown => (error as unknown as Record<string, unknown>)[field])
    .find((value): value is string => typeof value === 'string' && form.test(value));
}

/** Of the stack the lines that name places; it begins with the message, which may look like anything. */
function defect(thrown: unknown): { type: string; at: string[] } {
  if (!(thrown instanceof Error)) return { type: typeof thrown, at: [] };
  const all = (thrown.stack ?? '')
    .replaceAll(thrown.message, '')
    .split('\n')
    .map((line) => line.trim());
  const at = all.filter((line) => /^at .*\(?[^\s()]+:\d+:\d+\)?$/.test(line)).slice(0, FRAMES);
  return { type: thrown.constructor.name, at };
}
