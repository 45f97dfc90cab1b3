/** `opendts worker`: one more process that runs tasks of the service, on whatever machine; and what of it `opendts serve` shares. */
import { hostname } from 'node:os';
import { Argument, type Command } from 'commander';
import { AppError } from '../../base/errors/app-error.ts';
import { EXIT, type ExitCode } from '../../base/errors/exit.ts';
import { openLog } from '../../base/runtime/log.ts';
import { openTracing, type Tracing } from '../../base/tracing/tracing.ts';
import type { ServeOption, ServeOptions } from '../../contract/serve-options.ts';
import { isNetwork } from '../../service/connection/endpoint-policy.ts';
import type { RunningWorker } from '../../service/fleet/worker.ts';
import { openNode, type NodeOptions, type ServiceNode } from '../../service/node.ts';
import type { CliCommand, CliContext } from './context.ts';
import {
  databaseUrlOf,
  invalidConfig,
  keyOf,
  readServeOptions,
  withServeOptions,
} from './options/serve-options.ts';
import { withJson } from './options/task-options.ts';
import { packageVersion } from './version.ts';
import { drainWorker, listWorkers } from './worker-view.ts';

const OPTIONS: readonly ServeOption[] = [
  'databaseUrlFile',
  'keyFile',
  'secretDir',
  'certificateDir',
  'allowNetwork',
  'logLevel',
  'drainSeconds',
  'name',
  'region',
  'cluster',
  'capacity',
];

/** What is not sent by then is lost: nobody waits for traces. */
const FLUSH_MS = 5_000;

const ACTIONS = ['run', 'list', 'drain', 'undrain'] as const;
type Action = (typeof ACTIONS)[number];

export const workerCommand: CliCommand = {
  define(program) {
    const command = program
      .command('worker')
      .description(
        'run tasks of a service whose database is given by DATABASE_URL, beside other workers; or ask a server what runs where',
      )
      .addArgument(new Argument('[action]', ACTIONS.join(', ')).choices(ACTIONS).default('run'))
      .argument('[worker]', 'drain, undrain: name or id');
    return withJson(withServeOptions(command, OPTIONS));
  },

  async run(command, context) {
    const [action, worker] = command.processedArgs as [Action, string | undefined];
    if (action === 'run') return run(command, context);
    const json = command.opts<{ json?: boolean }>().json === true;
    if (action === 'list') return listWorkers(json, context);
    if (worker === undefined)
      throw new AppError('USAGE', {
        problem: `Which worker to ${action} is not said.`,
        remedy: '"opendts worker list" lists them.',
      });
    return drainWorker({ worker, drain: action === 'drain' }, json, context);
  },
};

async function run(command: Command, context: CliContext): Promise<ExitCode> {
  const options = readServeOptions(command.opts(), context.config.env);
  if (databaseUrlOf(options) === null)
    throw new AppError('CONFIG_INVALID', {
      where: 'databaseUrl',
      problem: 'a worker needs the database of the service: DATABASE_URL or --database-url-file',
    });
  await using node = await openNode({ ...nodeOptions(options, context), withoutFirstAccount: true });
  await using tracing = await openTraces(node, options, context);
  await using worker = await runWorker({ ...node, tracing }, options, context);
  context.stdout.write(`worker ${worker.id} runs\n`);
  await untilAborted(context.signal);
  return EXIT.ok;
}

/** Throws STORE_UNAVAILABLE, STORE_TOO_OLD. */
export async function runWorker(
  { services, anotherStore, log, tracing }: ServiceNode & { readonly tracing: Tracing },
  options: ServeOptions,
  { config }: CliContext,
): Promise<RunningWorker> {
  // The other commands start without the queue.
  const { startWorker } = await import('../../service/fleet/worker.ts');
  return startWorker(
    { store: services.store, anotherStore, connections: services.connections, log, tracing },
    {
      name: options.name ?? hostname(),
      region: options.region ?? null,
      cluster: options.cluster ?? null,
      capacity: options.capacity,
      drainSeconds: options.drainSeconds,
      version: packageVersion(),
      failpoint: config.failpoint ?? null,
    },
  );
}

/** Ends after whoever tells it something. Throws CONFIG_INVALID. */
export function openTraces(
  { log }: ServiceNode,
  { drainSeconds }: ServeOptions,
  { config: { env } }: CliContext,
): Promise<Tracing> {
  const flushMs = Math.min(drainSeconds * 1000, FLUSH_MS);
  return openTracing({ env, log, version: packageVersion(), flushMs });
}

/** Throws CONFIG_INVALID. */
export function nodeOptions(options: ServeOptions, { config, stderr }: CliContext): NodeOptions {
  for (const option of ['allowNetwork', 'trustedProxy'] as const) {
    const wrong = options[option].find((network) => !isNetwork(network));
    if (wrong !== undefined)
      throw invalidConfig(option, `${wrong} is no address and no network (10.0.0.0/8)`);
  }
  return {
    databaseUrl: databaseUrlOf(options),
    dataDir: options.dataDir ?? config.dataHome,
    key: keyOf(options),
    secretDir: options.secretDir ?? null,
    certificateDir: options.certificateDir ?? null,
    networks: options.allowNetwork,
    env: config.env,
    log: openLog({ level: options.logLevel, stream: stderr }),
    auditSink: null,
    auditRetentionDays: options.auditRetentionDays ?? null,
  };
}

export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
