/**
 * What is counted of requests, and `/metrics`. It names tasks of all groups: who reads it shows the metrics token, or administers opendts.
 * That a request comes from this machine says nothing: a proxy may stand here.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { AppError } from '../../base/errors/app-error.ts';
import { whoIs } from '../../service/account/sessions.ts';
import type { NodeMetrics } from '../../service/metrics/node-metrics.ts';
import type { Store } from '../../service/store/store.ts';
import { readCredentials } from './credentials.ts';
import { operationAt } from './routes.ts';

export interface MetricsAccess {
  readonly isSecure: boolean;
  readonly metricsToken: (() => string) | null;
}

export function measure(
  app: FastifyInstance,
  metrics: NodeMetrics,
  store: Store,
  access: MetricsAccess,
): void {
  app.addHook('onResponse', async (request, reply) => {
    // What is no operation (health, documents, paths that lead nowhere) is one word, however many paths are tried.
    const operation = operationAt(request.method, request.routeOptions.url);
    const seconds = operation?.isStream ? null : reply.elapsedTime / 1000;
    metrics.answered(operation?.name ?? 'other', reply.statusCode, seconds);
  });
  app.addHook('onClose', async () => metrics[Symbol.dispose]());
  app.get('/metrics', async (request, reply) => {
    await requireReader(request, store, access);
    return reply.type(metrics.contentType).send(await metrics.text());
  });
}

/** Throws NOT_LOGGED_IN or FORBIDDEN. */
async function requireReader(
  request: FastifyRequest,
  store: Store,
  { isSecure, metricsToken }: MetricsAccess,
): Promise<void> {
  const credentials = readCredentials(request, isSecure);
  if (credentials === null) throw new AppError('NOT_LOGGED_IN');
  if (metricsToken !== null && isSame(credentials.token, metricsToken())) return;
  const account = await whoIs(store, credentials);
  if (account === null) throw new AppError('NOT_LOGGED_IN');
  if (!account.isAdministrator || account.mustChangePassword)
    throw new AppError('FORBIDDEN', {
      right: 'an account that administers opendts, or the metrics token',
      whom: 'who runs the server',
    });
}

function isSame(given: string, wanted: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(wanted));
}
