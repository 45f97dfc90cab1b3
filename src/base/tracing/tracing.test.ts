import { createServer, type AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { startCollector } from '../../../test/collector.ts';
import { AppError } from '../errors/app-error.ts';
import { openLog } from '../runtime/log.ts';
import { currentSpan, noSpan, throughout, within } from './span.ts';
import { noTracing, openTracing } from './tracing.ts';

function open(env: Record<string, string>, flushMs = 5_000) {
  const said: string[] = [];
  const log = openLog({ level: 'debug', stream: { write: (line) => void said.push(line) } });
  const lines = () => said.map((line) => JSON.parse(line) as Record<string, unknown>);
  return openTracing({ env, log, version: '1', flushMs }).then((tracing) => ({ tracing, log, lines }));
}
const endpoint = (url: string) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: url });

/** Nobody listens there. */
async function nowhere(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}

describe('traces', () => {
  it('are off unless an endpoint is named, or where it is said that they are', async () => {
    const url = 'http://127.0.0.1:1';
    for (const env of [
      {},
      { OTEL_EXPORTER_OTLP_ENDPOINT: '' },
      { ...endpoint(url), OTEL_SDK_DISABLED: 'true' },
      { ...endpoint(url), OTEL_TRACES_EXPORTER: 'none' },
    ])
      expect((await open(env)).tracing).toBe(noTracing);
    const refused = open({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'collector:4318' });
    await expect(refused).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      facts: { where: 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT' },
    });
  });

  it('tell a span, its parts and its trouble, go on with the trace of the caller, and mark the lines of the log meanwhile', async () => {
    await using collector = await startCollector();
    const { tracing, log, lines } = await open(endpoint(`${collector.url}/`));
    const caller = { trace: 'a'.repeat(32), span: 'b'.repeat(16) };
    const root = tracing.start('outer', { traceparent: `00-${caller.trace}-${caller.span}-01` });
    const failing = throughout(root, async () => {
      log.info('inside');
      const part = currentSpan().child('inner', {
        kind: 'client',
        fields: { 'db.system.name': 'postgresql' },
      });
      within(part, () => log.info('deeper'));
      part.end();
      expect(within(part, currentSpan)).toBe(noSpan);
      throw new AppError('FENCED', { theirs: '2', ours: '1' });
    });
    await expect(failing).rejects.toMatchObject({ code: 'FENCED' });
    log.info('outside');
    tracing.start('of its own', { traceparent: `00-${'0'.repeat(32)}-${caller.span}-01` }).end();
    tracing.start('not sampled', { traceparent: `00-${caller.trace}-${caller.span}-00` }).end();
    await tracing[Symbol.asyncDispose]();
    const [inner, outer, own] = collector.spans;
    expect(collector.text()).toMatch(/^POST \/v1\/traces\n/);
    expect(collector.spans).toMatchObject([
      { name: 'inner', parentSpanId: outer?.spanId, fields: { 'db.system.name': 'postgresql' } },
      { name: 'outer', traceId: caller.trace, parentSpanId: caller.span, isFailed: true, service: 'opendts' },
      { name: 'of its own', parentSpanId: '', isFailed: false },
    ]);
    expect(outer?.fields).toEqual({ 'error.type': 'FENCED' });
    expect(own?.traceId).not.toBe(caller.trace);
    expect(lines()).toMatchObject([
      { msg: 'inside', trace_id: caller.trace, span_id: outer?.spanId },
      { msg: 'deeper', trace_id: caller.trace, span_id: inner?.spanId },
      { msg: 'outside' },
    ]);
    expect(lines()[2]).not.toHaveProperty('trace_id');
  });

  it('disturb nothing where the collector hangs or is away: the work goes on, the log says it once, and the end waits no longer than it may', async () => {
    await using hanging = await startCollector({ hangs: true });
    const away = await open({ ...endpoint(await nowhere()), OTEL_EXPORTER_OTLP_TIMEOUT: '500' }, 300);
    const stuck = await open(endpoint(hanging.url), 300);
    for (const { tracing } of [away, stuck])
      for (let count = 0; count < 3_000; count++)
        expect(await throughout(tracing.start('work'), async () => count)).toBe(count);
    await expect.poll(() => hanging.text().length, { timeout: 10_000 }).toBeGreaterThan(0);
    await expect.poll(() => away.lines().length, { timeout: 20_000 }).toBeGreaterThan(0);
    const begun = performance.now();
    await Promise.all([away, stuck].map(({ tracing }) => tracing[Symbol.asyncDispose]()));
    expect(performance.now() - begun).toBeLessThan(2_000);
    expect(away.lines()).toMatchObject([{ level: 'warn', msg: 'traces do not arrive' }]);
    expect(stuck.lines()).toEqual([]);
  }, 40_000);
});
