/** One node of the service: what it opens, in which order, and how it ends. */
import { join } from 'node:path';
import { AppError } from '../base/errors/app-error.ts';
import { makeFirstAccount } from './account/first-start.ts';
import { Keyring, makeKeyFile, type KeySource } from './connection/keyring.ts';
import { requireKeys } from './connection/rotate.ts';
import type { Services } from './operation/context.ts';
import { pruneExpired } from './store/account/prune-expired.ts';
import { makeDataDir, openStore } from './store/open-store.ts';
import type { Store } from './store/store.ts';

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
}

export interface ServiceNode extends AsyncDisposable {
  readonly services: Services;
  /** The store through sessions of its own. */
  readonly anotherStore: () => Store;
  /** Made just now, in an empty store; its password is told this once. */
  readonly firstAccount: { readonly name: string; readonly password: string } | null;
}

const PRUNE_MS = 3_600_000;

/** Throws what openStore throws, SEALING_KEY_INVALID or SEALING_KEY_UNKNOWN. */
export async function openNode(options: NodeOptions): Promise<ServiceNode> {
  await using opened = new AsyncDisposableStack();
  const keyring = new Keyring(keySource(options));
  const { store, another } = opened.use(await openStore(options));
  await requireKeys(store, keyring);
  const services: Services = {
    store,
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
  const firstAccount = await makeFirstAccount(store);
  // The next hour comes, if the store is away in this one.
  const prune = setInterval(() => void pruneExpired(store).catch(() => {}), PRUNE_MS).unref();
  opened.defer(() => clearInterval(prune));
  const kept = opened.move();
  return { services, anotherStore: another, firstAccount, [Symbol.asyncDispose]: () => kept.disposeAsync() };
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
