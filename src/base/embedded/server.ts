/** Starts and stops an embedded PostgreSQL: the demo's two ends and the servers of the tests. Listens on 127.0.0.1 and a private socket only. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findBinaries, giveTo, publish, type Binaries } from './binaries.ts';
import { FOLDER_PREFIX, markMaker, removeOrphans, unmarkMaker } from './orphans.ts';
import { freePort, initCluster, launch } from './postmaster.ts';

export interface EmbeddedServer {
  readonly major: number;
  readonly port: number;
  readonly pid: number;
  readonly user: string;
  readonly password: string;
  /** Holds `data`, the socket and the log. */
  readonly folder: string;
  readonly log: string;
  /** Connection URI over TCP, password included. */
  uri(database: string): string;
  /** `fast` ends sessions and writes a checkpoint, `immediate` is a crash. */
  stop(mode?: 'fast' | 'immediate'): Promise<void>;
  /** Starts the same data again on the same port, as after a crash. */
  restart(): Promise<EmbeddedServer>;
  /** Lets it run on when this process ends; otherwise the next start of a server removes it. */
  keep(): void;
  /** Stops it and deletes its data. */
  remove(): Promise<void>;
}

export interface EmbeddedOptions {
  readonly major: number;
  readonly settings?: Readonly<Record<string, string | number>>;
  /** Written into the data folder before the start, private to the server: name → content. */
  readonly files?: Readonly<Record<string, string>>;
  /** A data folder of the same major to begin with, instead of an empty cluster; it is copied. */
  readonly from?: string;
}

/** A new cluster in a folder of its own, running. */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedServer> {
  const binaries = findBinaries(options.major);
  removeOrphans();
  const folder = mkdtempSync(join(tmpdir(), `${FOLDER_PREFIX}${options.major}-`));
  giveTo(folder, binaries.runAs);
  markMaker(folder);
  const template = clusterTemplate(binaries);
  const from = options.from ?? join(template, 'data');
  const copied = spawnSync('cp', ['-a', from, join(folder, 'data')]);
  if (copied.status !== 0) cpSync(from, join(folder, 'data'), { recursive: true });
  const password = readFileSync(join(template, 'password'), 'utf8').trim();
  for (const [name, content] of Object.entries(options.files ?? {})) {
    const path = join(folder, 'data', name);
    writeFileSync(path, content, { mode: 0o600 });
    giveTo(path, binaries.runAs);
  }
  const settings = { ...options.settings, port: await freePort() };
  return run(binaries, { folder, password, settings });
}

interface Cluster {
  readonly folder: string;
  readonly password: string;
  readonly settings: Readonly<Record<string, string | number>> & { readonly port: number };
}

async function run(binaries: Binaries, cluster: Cluster): Promise<EmbeddedServer> {
  const { folder, password } = cluster;
  const { port } = cluster.settings;
  const all = { listen_addresses: '127.0.0.1', unix_socket_directories: folder, ...cluster.settings };
  const { child, exited } = await launch(binaries, folder, all);
  let running = true;
  void exited.then(() => (running = false));
  const stop = async (mode: 'fast' | 'immediate' = 'fast') => {
    if (!running) return;
    child.ref();
    child.kill(mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
    await exited;
  };
  return {
    major: binaries.major,
    port,
    pid: child.pid ?? 0,
    user: 'postgres',
    password,
    folder,
    log: join(folder, 'server.log'),
    uri: (database) => `postgresql://postgres:${password}@127.0.0.1:${port}/${encodeURIComponent(database)}`,
    stop,
    restart: async () => {
      await stop();
      return run(binaries, cluster);
    },
    keep: () => unmarkMaker(folder),
    remove: async () => {
      await stop('immediate');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** initdb takes seconds, copying its result a fraction of one: made once per version and user. */
function clusterTemplate(binaries: Binaries): string {
  const template = join(binaries.cache, 'template');
  if (existsSync(template)) return template;
  const temporary = mkdtempSync(join(binaries.cache, 'template-'));
  giveTo(temporary, binaries.runAs);
  try {
    initCluster(binaries, temporary, randomBytes(12).toString('hex'));
  } catch (thrown) {
    rmSync(temporary, { recursive: true, force: true });
    throw thrown;
  }
  publish(temporary, template);
  return template;
}
