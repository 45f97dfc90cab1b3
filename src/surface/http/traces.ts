/** A span for each operation that is asked for by HTTP, in which all of its work and its lines of log are. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { within, type Span } from '../../base/tracing/span.ts';
import type { Tracing } from '../../base/tracing/tracing.ts';
import { operationAt } from './routes.ts';

/** Before whatever else listens to requests: that is within the span then. */
export function traceRequests(app: FastifyInstance, tracing: Tracing): void {
  const spans = new WeakMap<FastifyRequest, Span>();
  const end = (request: FastifyRequest, status: number) => {
    const span = spans.get(request);
    if (span === undefined) return;
    spans.delete(request);
    span.set({ 'http.response.status_code': status });
    if (status >= 500) span.fail(String(status));
    span.end();
  };
  app.addHook('onRequest', async (request) => {
    const { method, routeOptions, headers } = request;
    const operation = operationAt(method, routeOptions.url);
    if (operation === undefined || routeOptions.url === undefined) return;
    const { traceparent } = headers;
    const span = tracing.start(`${method} ${routeOptions.url}`, {
      kind: 'server',
      withStatements: true,
      traceparent: typeof traceparent === 'string' ? traceparent : undefined,
      fields: {
        'http.request.method': method,
        'http.route': routeOptions.url,
        'url.path': routeOptions.url,
        'url.scheme': request.protocol,
        'opendts.operation': operation.name,
      },
    });
    spans.set(request, span);
  });
  // The body has come: events of the socket are behind, and all that follows is of this request.
  app.addHook('preHandler', (request, _, done) => inSpan(spans.get(request), done));
  app.addHook('onSend', async (request, reply) => {
    // It goes on for hours, and is answered now.
    if (operationAt(request.method, request.routeOptions.url)?.isStream) end(request, reply.statusCode);
  });
  app.addHook('onResponse', (request, reply, done) => {
    inSpan(spans.get(request), done);
    end(request, reply.statusCode);
  });
}

function inSpan(span: Span | undefined, done: () => void): void {
  if (span === undefined) done();
  else within(span, done);
}
