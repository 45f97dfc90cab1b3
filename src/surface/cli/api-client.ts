/** Calls operations of a server: their methods, paths, inputs and answers are those of the contract. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { AppError } from '../../base/errors/app-error.ts';
import { ERRORS, type ErrorCode } from '../../base/errors/errors.ts';
import { pathFields, type Operation } from '../../contract/api/operation.ts';
import { OPERATIONS, type Answer, type Asked, type OperationName } from '../../contract/api/operations.ts';
import type { Config } from '../../config.ts';

/** Where the server is, and as whom it is asked. */
export interface Access {
  readonly server: string;
  readonly headers: Readonly<Record<string, string>>;
}

const DEFAULT_SERVER = 'http://127.0.0.1:8620';

const savedLogin = z.object({ server: z.string(), token: z.string() });
export type SavedLogin = z.infer<typeof savedLogin>;

export function loginFile({ configHome }: Config): string {
  return join(configHome, 'login.json');
}

/** OPENDTS_SERVER, else the server of the last login, else the one on this machine. */
export function serverOf(config: Config): string {
  const server = (config.server ?? readLogin(config)?.server ?? DEFAULT_SERVER).replace(/\/+$/, '');
  return /^https?:\/\//i.test(server) ? server : `http://${server}`;
}

/** Throws NOT_LOGGED_IN where neither the environment nor a login of this server has a token: one of another server stays there. */
export function accessTo(config: Config): Access {
  const server = serverOf(config);
  const login = readLogin(config);
  const token = config.token ?? (login?.server === server ? login.token : undefined);
  if (token === undefined) throw new AppError('CLI_NOT_LOGGED_IN', { server });
  return { server, headers: { authorization: `Bearer ${token}` } };
}

/** What the last login has kept; null: nothing. */
export function readLogin(config: Config): SavedLogin | null {
  try {
    return savedLogin.parse(JSON.parse(readFileSync(loginFile(config), 'utf8')));
  } catch {
    return null;
  }
}

export interface Called<N extends OperationName> {
  readonly answer: Answer<N>;
  /** `name=value` of the session that has begun; empty for none. */
  readonly cookie: string;
}

/** Throws what the server answers, in its words, or SERVER_UNREACHABLE. */
export async function callApi<N extends OperationName>(
  access: Access,
  name: N,
  input: Asked<N>,
  signal: AbortSignal,
): Promise<Called<N>> {
  const operation: Operation = OPERATIONS[name];
  const response = await ask(access, requestOf(operation, input), signal);
  const text = await response.text();
  if (!response.ok) throw asError(text, access.server, response.status);
  const parsed = operation.output.safeParse(parseJson(text));
  if (!parsed.success)
    throw new AppError('SERVER_UNREACHABLE', {
      server: access.server,
      problem: 'what answers there is no opendts of this version',
    });
  const cookie = (response.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
  // Parsed by the schema of this very operation.
  return { answer: parsed.data as Answer<N>, cookie };
}

export interface Followed {
  /** The last event that was seen; null: from the beginning. */
  readonly lastId: string | null;
  readonly signal: AbortSignal;
}

/** The bytes of a stream of events. Throws what the server answers, or SERVER_UNREACHABLE. */
export async function openEvents(
  access: Access,
  input: Asked<'event.follow'>,
  { lastId, signal }: Followed,
): Promise<ReadableStream<Uint8Array>> {
  const headers = { ...access.headers, ...(lastId === null ? {} : { 'last-event-id': lastId }) };
  const request = requestOf(OPERATIONS['event.follow'], input);
  const response = await ask({ ...access, headers }, request, signal);
  if (response.ok && response.body !== null) return response.body;
  throw asError(await response.text(), access.server, response.status);
}

interface HttpRequest {
  readonly method: string;
  readonly path: string;
  readonly body: string | null;
}

function requestOf({ method, path, input }: Operation, given: object): HttpRequest {
  const fields: Readonly<Record<string, unknown>> = { ...given };
  const inPath = pathFields(path);
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, field: string) =>
    encodeURIComponent(String(fields[field])),
  );
  const rest = Object.keys(input.shape).filter(
    (field) => !inPath.includes(field) && fields[field] !== undefined,
  );
  if (method !== 'GET' && method !== 'DELETE')
    return {
      method,
      path: filled,
      body: JSON.stringify(Object.fromEntries(rest.map((field) => [field, fields[field]]))),
    };
  const query = new URLSearchParams(
    rest.map((field): [string, string] => [field, String(fields[field])]),
  ).toString();
  return { method, path: query === '' ? filled : `${filled}?${query}`, body: null };
}

async function ask(
  { server, headers }: Access,
  { method, path, body }: HttpRequest,
  signal: AbortSignal,
): Promise<Response> {
  try {
    return await fetch(`${server}/api/v1${path}`, {
      method,
      headers: { ...headers, ...(body === null ? {} : { 'content-type': 'application/json' }) },
      body,
      signal,
      // A token is for this server alone.
      redirect: 'error',
    });
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    const said = cause instanceof Error ? cause.message || code || cause.name : String(cause);
    const problem = code === 'ERR_SSL_WRONG_VERSION_NUMBER' ? 'it speaks no TLS (write http://)' : said;
    throw new AppError('SERVER_UNREACHABLE', { server, problem }, thrown);
  }
}

const problem = z.object({
  code: z.string(),
  detail: z.string(),
  remedy: z.string(),
  facts: z.record(z.string(), z.union([z.string(), z.number()])).default({}),
});

/** The error as the server has it: the same code, told in the same words. A newer server may have codes that are not known here. */
function asError(text: string, server: string, status: number): AppError {
  const parsed = problem.safeParse(parseJson(text));
  if (!parsed.success)
    return new AppError('SERVER_UNREACHABLE', { server, problem: `it answers with status ${status}` });
  const { code, detail, remedy, facts } = parsed.data;
  if (code !== 'UNEXPECTED' && Object.hasOwn(ERRORS, code)) return new AppError(code as ErrorCode, facts);
  return new AppError('SERVER_FAILED', { code, detail, remedy });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
