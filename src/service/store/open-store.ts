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
  /** Names of the migrations that were applied just now. */
  readonly migrated: readonly string[];
}

/**
 * Opens the store. The embedded server is ended together with it, and its folder is locked meanwhile: one node alone may use it.
 * Throws STORE_UNAVAILABLE, STORE_ADDRESS_INVALID, STORE_NEWER, MIGRATION_CHANGED, DATA_DIR_LOCKED, DATA_DIR_UNUSABLE, EMBEDDED_MISSING or EMBEDDED_FAILED.
 */
export async function openStore({ databaseUrl, dataDir }: StoreOptions): Promise<OpenStore> {
  await using opened = new AsyncDisposableStack();
  const uri = databaseUrl ?? (await openEmbedded(dataDir, opened));
  const store = opened.use(Store.at(uri));
  const migrated = await migrate(store);
  const kept = opened.move();
  return { store, migrated, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

async function openEmbedded(dataDir: string, opened: AsyncDisposableStack): Promise<string> {
  // Searchable by all: under root the server runs as another user, who owns its own folder alone.
  makeDataDir(dataDir);
  opened.defer(takeLock(dataDir, 'DATA_DIR_LOCKED'));
  const server = await openLasting(join(dataDir, 'postgres'));
  opened.defer(() => server.stop());
  return server.uri;
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
