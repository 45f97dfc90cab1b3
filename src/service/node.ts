/** One node of the service: what it opens, in which order, and how it ends. */
import { join } from 'node:path';
import { AppError } from '../base/errors/app-error.ts';
import type { Log } from '../base/runtime/log.ts';
import type { AuditSink } from './audit/sink.ts';
import { writeOut } from './audit/write-out.ts';
import { makeFirstAccount } from './account/first-start.ts';
import { Keyring, makeKeyFile, type KeySource } from './connection/keyring.ts';
import { requireKeys } from './connection/rotate.ts';
import { LiveEvents } from './events/live-events.ts';
import type { Services } from './operation/context.ts';
import { pruneExpired } from './store/account/prune-expired.ts';
import { pruneAudit } from './store/audit/prune-audit.ts';
import { makeDataDir, openStore } from './store/open-store.ts';
import type { Store } from './store/store.ts';
import { pruneSeries } from './store/task/progress/prune-series.ts';
import { pruneWorkers } from './store/worker/prune-workers.ts';

export interface NodeOptions {
  /** Null: the embedded PostgreSQL below the data folder. */
  readonly databaseUrl: string | null;
  readonly dataDir: string;
  /** Null: a file below the data folder, which is made; only with the embedded PostgreSQL, whose one node has it. */
  readonly key: KeySource | null;
  readonly secretDir: string | null;
  readonly certificateDir: string | null;
  readonly networks: readonly string[];
  /** Of the server, for secrets that are named OPENDTS_PASSWORD_…. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
  /** Where the audit log is written out to as well. */
  readonly auditSink: AuditSink | null;
  /** Nobody would be told its password where no API is. */
  readonly withoutFirstAccount?: boolean;
  /** Null: nothing of the audit log is ever deleted. */
  readonly auditRetentionDays: number | null;
}

export interface ServiceNode extends AsyncDisposable {
  readonly services: Services;
  readonly log: Log;
  /** The store through sessions of its own. */
  readonly anotherStore: () => Store;
  /** Made just now, in an empty store; its password is told this once. */
  readonly firstAccount: { readonly name: string; readonly password: string } | null;
}

const PRUNE_MS = 3_600_000;
/** Rows that a statement deletes: after a long time there may be more than one can do in its time. */
const PIECE = 20_000;

/** Throws what openStore throws, SEALING_KEY_INVALID or SEALING_KEY_UNKNOWN. */
export async function openNode(options: NodeOptions): Promise<ServiceNode> {
  await using opened = new AsyncDisposableStack();
  const keyring = new Keyring(keySource(options));
  const { store, another } = opened.use(await openStore(options));
  await requireKeys(store, keyring);
  const services: Services = {
    store,
    events: opened.use(new LiveEvents(store, options.log)),
    connections: {
      keyring,
      secrets: { folder: options.secretDir, env: options.env },
      policy: {
        networks: options.networks,
        certificateDir: options.certificateDir,
        store: await store.identity(),
      },
    },
  };
  const firstAccount = options.withoutFirstAccount ? null : await makeFirstAccount(store);
  opened.use(keepHouse(store, options));
  if (options.auditSink !== null) opened.use(writeOut(store, options.auditSink, options.log));
  const kept = opened.move();
  return {
    services,
    log: options.log,
    anotherStore: another,
    firstAccount,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** What is old is taken away, now and every hour; the next hour comes, if the store is away in this one. */
function keepHouse(store: Store, { log, auditRetentionDays }: NodeOptions): Disposable {
  const works = [
    () => pruneExpired(store),
    () => inPieces(() => pruneSeries(store, PIECE)),
    () => pruneWorkers(store),
    async () => {
      if (auditRetentionDays !== null) await inPieces(() => pruneAudit(store, auditRetentionDays, PIECE));
    },
  ];
  const clean = async () => {
    // What one of them fails at is no reason to leave the others.
    for (const work of works)
      await work().catch((thrown: unknown) =>
        log.failure(thrown, 'what is old is not taken away', { level: 'warn' }),
      );
  };
  void clean();
  const timer = setInterval(() => void clean(), PRUNE_MS).unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** Until one piece was not a whole one. */
async function inPieces(prune: () => Promise<number>): Promise<void> {
  while ((await prune()) === PIECE);
}

/** Throws SEALING_KEY_INVALID. */
function keySource({ key, databaseUrl, dataDir }: NodeOptions): KeySource {
  if (key !== null) return key;
  if (databaseUrl !== null)
    throw new AppError('SEALING_KEY_INVALID', {
      problem: 'none is given, and DATABASE_URL may be shared with other nodes',
    });
  makeDataDir(dataDir);
  const file = join(dataDir, 'key');
  makeKeyFile(file);
  return { file };
}
