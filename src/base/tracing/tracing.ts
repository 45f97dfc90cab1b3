/** Traces of a process, for a collector of OpenTelemetry where the environment names one. Nothing is loaded for them where it does not. */
import { AppError } from '../errors/app-error.ts';
import type { Log } from '../runtime/log.ts';
import { noSpan, type Span, type SpanStart } from './span.ts';

export interface RootStart extends SpanStart {
  /** The caller's `traceparent`, where it has sent one: the span is a part of theirs. */
  readonly traceparent?: string | undefined;
  /** Statements on the store are told as its parts: not where it goes on for days. */
  readonly withStatements?: boolean;
}

export interface Tracing extends AsyncDisposable {
  /** Begins a trace, or goes on with the caller's. */
  start(name: string, start?: RootStart): Span;
}

/** Tells nothing. */
export const noTracing: Tracing = {
  start: () => noSpan,
  [Symbol.asyncDispose]: async () => {},
};

export interface TracingOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
  readonly version: string;
  /** At the end what was not sent yet is sent, for so long at most. */
  readonly flushMs: number;
}

const OF_TRACES = 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT';
const OF_ALL = 'OTEL_EXPORTER_OTLP_ENDPOINT';

/** Throws CONFIG_INVALID where the address of the collector is none. */
export async function openTracing(options: TracingOptions): Promise<Tracing> {
  const url = collectorOf(options.env);
  if (url === null) return noTracing;
  // What is not traced starts without it.
  const { OtelTracing } = await import('./open-telemetry.ts');
  return new OtelTracing(url, options);
}

/** Null: no traces are wanted. An empty variable counts as absent. */
function collectorOf(env: TracingOptions['env']): string | null {
  if (env.OTEL_SDK_DISABLED?.toLowerCase() === 'true' || env.OTEL_TRACES_EXPORTER === 'none') return null;
  const name = env[OF_TRACES] ? OF_TRACES : OF_ALL;
  const given = env[name];
  if (!given) return null;
  const url = name === OF_TRACES ? given : `${given.replace(/\/$/, '')}/v1/traces`;
  if (/^https?:$/.test(URL.parse(url)?.protocol ?? '')) return url;
  throw new AppError('CONFIG_INVALID', { where: name, problem: 'it is no address with http:// or https://' });
}
