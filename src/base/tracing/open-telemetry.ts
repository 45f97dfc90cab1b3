/** Spans by the SDK of OpenTelemetry, sent as OTLP over HTTP. The one file that loads it. */
import {
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Context,
  type Span as OtelSpan,
  type Tracer,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import {
  defaultResource,
  detectResources,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
  serviceNameEnvDetector,
} from '@opentelemetry/resources';
import { BatchSpanProcessor, TracerProvider, type SpanExporter } from '@opentelemetry/sdk-trace';
import { randomUUID } from 'node:crypto';
import type { Log } from '../runtime/log.ts';
import { atMost } from '../runtime/sleep.ts';
import type { Span, SpanFields, SpanIds, SpanStart } from './span.ts';
import type { RootStart, Tracing, TracingOptions } from './tracing.ts';

/** A collector that does not answer keeps a process that has ended no longer. */
const ANSWER_MS = 5_000;
const EVERY_MS = 2_000;
const LONGEST_FIELD = 200;
const KINDS = { server: SpanKind.SERVER, client: SpanKind.CLIENT } as const;

export class OtelTracing implements Tracing {
  private readonly provider: TracerProvider;
  private readonly tracer: Tracer;
  private readonly flushMs: number;

  constructor(url: string, { env, log, version, flushMs }: TracingOptions) {
    // Headers, certificates and compression are the exporter's to read.
    const exporter = new OTLPTraceExporter({ url, timeoutMillis: answerMs(env) });
    this.provider = new TracerProvider({
      resource: defaultResource()
        .merge(
          resourceFromAttributes({
            'service.name': 'opendts',
            'service.version': version,
            'service.instance.id': randomUUID(),
          }),
        )
        .merge(detectResources({ detectors: [resourceAttributesEnvDetector, serviceNameEnvDetector] })),
      spanLimits: { attributeValueLengthLimit: LONGEST_FIELD },
      spanProcessors: [
        new BatchSpanProcessor({ exporter: toldOnce(exporter, log), scheduledDelayMillis: EVERY_MS }),
      ],
    });
    this.tracer = this.provider.getTracer('opendts', version);
    this.flushMs = flushMs;
  }

  start(name: string, { traceparent, withStatements = false, ...start }: RootStart = {}): Span {
    return begin({ tracer: this.tracer, withStatements }, name, start, parentOf(traceparent));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const sent = this.provider.shutdown().catch(() => {});
    await atMost(this.flushMs, sent, new AbortController().signal);
  }
}

/** What the environment says, in milliseconds. */
function answerMs(env: TracingOptions['env']): number {
  const given = Number(env.OTEL_EXPORTER_OTLP_TRACES_TIMEOUT || env.OTEL_EXPORTER_OTLP_TIMEOUT);
  return given > 0 ? given : ANSWER_MS;
}

/** The same exporter, of whose trouble the log hears once, until it is over. */
function toldOnce(exporter: SpanExporter, log: Log): SpanExporter {
  let isAway = false;
  return {
    export: (spans, done) =>
      exporter.export(spans, (result) => {
        const { error } = result;
        if (error !== undefined && !isAway) log.failure(error, 'traces do not arrive', { level: 'warn' });
        if (error === undefined && isAway) log.info('traces arrive again');
        isAway = error !== undefined;
        done(result);
      }),
    shutdown: () => exporter.shutdown(),
  };
}

/** As the W3C writes it: version, trace, span, flags. What is none counts as absent. */
function parentOf(traceparent: string | undefined): Context {
  const [, traceId, spanId, flags] =
    /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/.exec(
      traceparent ?? '',
    ) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return ROOT_CONTEXT;
  const traceFlags = Number.parseInt(flags, 16) & 1;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags, isRemote: true });
}

interface Parts {
  readonly tracer: Tracer;
  readonly withStatements: boolean;
}

function begin(parts: Parts, name: string, { kind, fields }: SpanStart, parent: Context): Span {
  const span = parts.tracer.startSpan(
    name,
    {
      kind: kind === undefined ? SpanKind.INTERNAL : KINDS[kind],
      ...(fields ? { attributes: { ...fields } } : {}),
    },
    parent,
  );
  return new Told(span, parts);
}

class Told implements Span {
  private readonly span: OtelSpan;
  private readonly parts: Parts;

  constructor(span: OtelSpan, parts: Parts) {
    this.span = span;
    this.parts = parts;
  }

  get withStatements(): boolean {
    return this.parts.withStatements;
  }

  get ids(): SpanIds | null {
    if (!this.span.isRecording()) return null;
    const { traceId, spanId } = this.span.spanContext();
    return { trace_id: traceId, span_id: spanId };
  }

  set(fields: SpanFields): void {
    this.span.setAttributes({ ...fields });
  }

  event(what: string): void {
    this.span.addEvent(what);
  }

  fail(errorType: string): void {
    this.span.setAttributes({ 'error.type': errorType }).setStatus({ code: SpanStatusCode.ERROR });
  }

  child(name: string, start: SpanStart = {}): Span {
    return begin(this.parts, name, start, trace.setSpan(ROOT_CONTEXT, this.span));
  }

  end(): void {
    this.span.end();
  }
}
