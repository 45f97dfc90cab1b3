/** The metadata database of a node: the one it was told, or the embedded one below its data folder; brought up to date. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '../../base/errors/app-error.ts';
import { openLasting } from '../../base/embedded/lasting.ts';
import { takeLock } from '../../base/runtime/folder-lock.ts';
import { migrate } from './migrate.ts';
import { Store } from './store.ts';

export interface StoreOptions {
  /** Null: the embedded PostgreSQL. */
  readonly databaseUrl: string | null;
  readonly dataDir: string;
}

export interface OpenStore extends AsyncDisposable {
  readonly store: Store;
  /** The same database through sessions of its own, for whoever must not keep others waiting; to be disposed of by them, before. */
  readonly another: () => Store;
  /** Names of the migrations that were applied just now. */
  readonly migrated: readonly string[];
}

/**
 * Opens the store. The embedded server is ended together with it, and its folder is locked meanwhile: one node alone may use it.
 * Throws STORE_UNAVAILABLE, STORE_ADDRESS_INVALID, STORE_NEWER, MIGRATION_CHANGED, DATA_DIR_LOCKED, DATA_DIR_UNUSABLE, EMBEDDED_MISSING or EMBEDDED_FAILED.
 */
export async function openStore({ databaseUrl, dataDir }: StoreOptions): Promise<OpenStore> {
  await using opened = new AsyncDisposableStack();
  const address = databaseUrl ?? (await openEmbedded(dataDir, opened));
  const store = opened.use(Store.at(address));
  const migrated = await migrate(store);
  const kept = opened.move();
  return {
    store,
    another: () => Store.at(address),
    migrated,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Gives where the server is whenever it is asked; one that was killed is started again then. */
async function openEmbedded(dataDir: string, opened: AsyncDisposableStack): Promise<() => Promise<string>> {
  // Searchable by all: under root the server runs as another user, who owns its own folder alone.
  makeDataDir(dataDir);
  opened.defer(takeLock(dataDir, 'DATA_DIR_LOCKED'));
  const folder = join(dataDir, 'postgres');
  let latest = openLasting(folder);
  await latest;
  opened.defer(async () => (await latest.catch(() => null))?.stop());
  return async () => {
    const seen = latest;
    const server = await seen.catch(() => null);
    // Of several that find it gone, one starts it.
    if (!server?.isRunning() && latest === seen) latest = openLasting(folder);
    return (await latest).uri;
  };
}

/** Throws DATA_DIR_UNUSABLE. */
export function makeDataDir(dataDir: string): void {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o755 });
  } catch (thrown) {
    const problem = thrown instanceof Error ? thrown.message : String(thrown);
    throw new AppError('DATA_DIR_UNUSABLE', { dir: dataDir, problem }, thrown);
  }
}
