/** The API over HTTP: one route for each operation of the contract, problem details, health, the OpenAPI document. */
import { randomUUID } from 'node:crypto';
import {
  fastify,
  LogController,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify';
import { AppError, toAppError } from '../../base/errors/app-error.ts';
import type { Log } from '../../base/runtime/log.ts';
import { noTracing, type Tracing } from '../../base/tracing/tracing.ts';
import { pathFields, type Operation } from '../../contract/api/operation.ts';
import { OPERATIONS, type OperationName } from '../../contract/api/operations.ts';
import { NodeMetrics } from '../../service/metrics/node-metrics.ts';
import type { Services } from '../../service/operation/context.ts';
import { runOperation } from '../../service/operation/run-operation.ts';
import { clearSession, readCredentials, requireCsrfToken, setSession } from './credentials.ts';
import { sendEvents, type SentEvent } from './event-stream.ts';
import { frameworkLog } from './framework-log.ts';
import { health } from './health.ts';
import { measure } from './metrics.ts';
import { openApi } from './openapi.ts';
import { problemOf } from './problem.ts';
import { referencePage } from './reference-page.ts';
import { routeOf } from './routes.ts';
import { traceRequests } from './traces.ts';

export interface HttpOptions {
  /** Reached by TLS only, through a proxy: cookies are for TLS alone, and browsers are told to come back that way. */
  readonly isSecure: boolean;
  /** Proxies whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly string[];
  readonly version: string;
  readonly log: Log;
  /** Whoever shows it may read the metrics; null: only who administers opendts. */
  readonly metricsToken: (() => string) | null;
  /** None: nothing is traced. */
  readonly tracing?: Tracing;
}

const BODY_BYTES = 256 * 1024;
const REQUEST_MS = 60_000;

/** Not yet listening. */
export function httpServer(services: Services, options: HttpOptions): FastifyInstance {
  const app = fastify({
    loggerInstance: frameworkLog(options.log),
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_BYTES,
    requestTimeout: REQUEST_MS,
    trustProxy: options.trustedProxies.length > 0 ? [...options.trustedProxies] : false,
    genReqId: () => randomUUID(),
    // A name may hold 100 characters, each of them several bytes and those percent-encoded.
    routerOptions: { maxParamLength: 1300 },
  });
  traceRequests(app, options.tracing ?? noTracing);
  protect(app, options);
  report(app, options.log);
  const metrics = new NodeMetrics({
    store: services.store,
    eventClients: () => services.events.clients,
    version: options.version,
    log: options.log,
  });
  health(app, services.store);
  measure(app, metrics, services.store, options);
  // They would go on for ever; their clients come back, to another node.
  app.addHook('preClose', async () => services.events.end());
  const document = openApi(options.version);
  const page = referencePage(document);
  app.get('/api/v1/openapi.json', () => document);
  app.get('/api/v1/docs', (_, reply) => reply.type('text/html; charset=utf-8').send(page));
  for (const name of Object.keys(OPERATIONS) as OperationName[]) route(app, name, services, options);
  return app;
}

function route(
  app: FastifyInstance,
  name: OperationName,
  services: Services,
  { isSecure }: HttpOptions,
): void {
  const operation: Operation = OPERATIONS[name];
  app.route({
    method: operation.method,
    url: routeOf(operation),
    handler: async (request, reply) => {
      const credentials = operation.access === 'anyone' ? null : readCredentials(request, isSecure);
      if (operation.method !== 'GET') requireCsrfToken(request, credentials);
      const asked = {
        credentials,
        address: request.ip,
        requestId: request.id,
        idempotencyKey: readIdempotencyKey(request),
        lastEventId:
          request.headers['last-event-id'] === undefined ? null : String(request.headers['last-event-id']),
        closed: closedOf(reply),
      };
      const { body, session } = await runOperation(name, readInput(operation, request), asked, services);
      if (operation.stream) return sendEvents(reply, body as AsyncIterable<SentEvent | null>);
      if (session !== null) setSession(reply, session, isSecure);
      else if (name === 'session.delete') clearSession(reply, isSecure);
      return reply.code(operation.creates === undefined ? 200 : 201).send(body);
    },
  });
}

/** Aborts when the client has gone before it was answered whole. */
function closedOf({ raw }: FastifyReply): AbortSignal {
  const closed = new AbortController();
  raw.once('close', () => closed.abort());
  return closed.signal;
}

/** Path fields, and the query or the body. Throws INPUT_INVALID. */
function readInput(operation: Operation, request: FastifyRequest): unknown {
  const inQuery = operation.method === 'GET' || operation.method === 'DELETE';
  const rest = (inQuery ? request.query : request.body) ?? {};
  if (typeof rest !== 'object' || Array.isArray(rest))
    throw new AppError('INPUT_INVALID', { problem: 'The body is not a JSON object' });
  const [twice] = pathFields(operation.path).filter((field) => Object.hasOwn(rest, field));
  if (twice !== undefined)
    throw new AppError('INPUT_INVALID', { problem: `${twice}: it stands in the path` });
  return { ...rest, ...(request.params as object) };
}

function readIdempotencyKey(request: FastifyRequest): string | null {
  const key = request.headers['idempotency-key'];
  if (key === undefined) return null;
  if (typeof key !== 'string' || !/^[\x21-\x7e]{1,200}$/.test(key))
    throw new AppError('INPUT_INVALID', { problem: 'Idempotency-Key: 1 to 200 visible characters' });
  return key;
}

function protect(app: FastifyInstance, { isSecure }: HttpOptions): void {
  app.addHook('onRequest', async (_, reply) => {
    reply.headers({
      'cache-control': 'no-store',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'cross-origin-resource-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      ...(isSecure ? { 'strict-transport-security': 'max-age=31536000' } : {}),
    });
  });
}

/** Problems, and one line of log a request: never a body, a header, or the values that an error of the database speaks of. */
function report(app: FastifyInstance, log: Log): void {
  app.setErrorHandler((thrown, request, reply) => {
    const answered = answer(thrown, request, reply);
    if (reply.statusCode >= 500) log.failure(thrown, 'a request failed', { request: request.id });
    return answered;
  });
  app.setNotFoundHandler((request, reply) =>
    answer(
      new AppError('NOT_FOUND', { kind: 'operation', name: `${request.method} ${pathOf(request)}` }),
      request,
      reply,
    ),
  );
  app.addHook('onResponse', async (request, reply) => {
    log.info('request', {
      request: request.id,
      method: request.method,
      ...(request.routeOptions.url === undefined ? {} : { route: request.routeOptions.url }),
      status: reply.statusCode,
      milliseconds: Math.round(reply.elapsedTime),
      address: request.ip,
    });
  });
}

function answer(thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const error = asAppError(thrown);
  const { status, ...rest } = problemOf(error, request.id);
  const code = httpStatus(thrown) ?? status;
  if (error.code === 'LOGIN_BLOCKED') reply.header('retry-after', String(error.facts.seconds));
  return reply
    .code(code)
    .type('application/problem+json')
    .send({ ...rest, status: code });
}

/** What the framework refuses (a body that is no JSON, or too long) is the caller's mistake as well. */
function asAppError(thrown: unknown): AppError {
  if (httpStatus(thrown) === null) return toAppError(thrown);
  const problem = thrown instanceof Error ? thrown.message : 'The request cannot be read';
  return new AppError('INPUT_INVALID', { problem });
}

/** The status of an error of the framework. */
function httpStatus(thrown: unknown): number | null {
  const isFramework = thrown instanceof Error && 'code' in thrown && String(thrown.code).startsWith('FST_');
  if (!isFramework || !('statusCode' in thrown)) return null;
  const { statusCode } = thrown;
  return typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500 ? statusCode : null;
}

function pathOf({ url }: FastifyRequest): string {
  return url.replace(/\?.*$/s, '').slice(0, 200);
}
