/** `opendts serve`: the service on this machine, with its API. */
import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import { EXIT } from '../../base/errors/exit.ts';
import type { ServeOptions } from '../../contract/serve-options.ts';
import { fileSink, type AuditSink } from '../../service/audit/sink.ts';
import { openNode } from '../../service/node.ts';
import type { CliCommand, CliContext } from './context.ts';
import { nodeOptions, openTraces, runWorker, untilAborted } from './worker.ts';
import { packageVersion } from './version.ts';
import {
  invalidConfig,
  metricsTokenOf,
  readServeOptions,
  withServeOptions,
} from './options/serve-options.ts';

export const serveCommand: CliCommand = {
  define(program) {
    return withServeOptions(
      program
        .command('serve')
        .description('run the service: API, users, connections, tasks; its own PostgreSQL unless told'),
    );
  },

  async run(command, context) {
    const { signal, stdout } = context;
    const options = readServeOptions(command.opts(), context.config.env);
    const metricsToken = metricsTokenOf(options);
    const auditSink = auditSinkOf(options, context);
    await using node = await openNode({ ...nodeOptions(options, context), auditSink });
    // Before anything else may fail: there is no second time.
    if (node.firstAccount !== null) {
      const { name, password } = node.firstAccount;
      stdout.write(`first login: name ${name}, one-time password ${password} (shown once; change it)\n`);
    }
    await using tracing = await openTraces(node, options, context);
    const worker = options.worker ? await runWorker({ ...node, tracing }, options, context) : null;
    // The other commands start without the framework.
    const { httpServer } = await import('../http/server.ts');
    const app = httpServer(node.services, {
      isSecure: options.secure,
      trustedProxies: options.trustedProxy,
      version: packageVersion(),
      log: node.log,
      metricsToken,
      tracing,
    });
    try {
      const address = await listen(app, options);
      stdout.write(`listening on ${address}\n`);
      if (!options.secure && !/^(127\.|::1$|localhost$)/.test(options.host))
        node.log.warn(
          'whoever listens on the network reads passwords and tokens unless a proxy before this port speaks TLS; with one, give --secure',
        );
      await untilAborted(signal);
    } finally {
      await Promise.all([drain(app, options.drainSeconds), worker?.[Symbol.asyncDispose]()]);
    }
    return EXIT.ok;
  },
};

/** Throws CONFIG_INVALID. */
function auditSinkOf({ auditLog }: ServeOptions, { stdout }: CliContext): AuditSink | null {
  if (auditLog === undefined) return null;
  if (auditLog !== '-') return fileSink(auditLog);
  return {
    write: (lines) =>
      new Promise((resolve, reject) => {
        stdout.write(lines, (error) => (error ? reject(error) : resolve()));
      }),
  };
}

/** Throws CONFIG_INVALID. */
async function listen(app: FastifyInstance, { host, port }: ServeOptions): Promise<string> {
  try {
    return await app.listen({ host, port });
  } catch (thrown) {
    const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
    if (code === '') throw thrown;
    const why = code === 'EADDRINUSE' ? 'another program does; give another with --port' : code;
    throw invalidConfig('host and port', `cannot listen on ${host}, port ${port}: ${why}`);
  }
}

/** No new connections from now on; what is being answered may end, but not for ever. */
async function drain(app: FastifyInstance, seconds: number): Promise<void> {
  const closing = app.close();
  await Promise.race([closing, delay(seconds * 1000, undefined, { ref: false })]);
  app.server.closeAllConnections();
  await closing;
}
