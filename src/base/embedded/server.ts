/** Starts and stops an embedded PostgreSQL: the demo's two ends and the servers of the tests. Listens on 127.0.0.1 and a private socket only. */
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError } from '../errors/app-error.ts';
import { sleep } from '../runtime/sleep.ts';
import { FOLDER_PREFIX, markMaker, removeOrphans, unmarkMaker } from './orphans.ts';
import { findBinaries, giveTo, publish, type Binaries } from './binaries.ts';

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

const START_SECONDS = 60;

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
  const log = join(folder, 'server.log');
  const logFd = openSync(log, 'a');
  giveTo(log, binaries.runAs);
  const all = { listen_addresses: '127.0.0.1', unix_socket_directories: folder, ...cluster.settings };
  const child = spawn(
    join(binaries.bin, 'postgres'),
    [
      '-D',
      join(folder, 'data'),
      ...Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    // A session of its own: Ctrl-C in the terminal is for us to handle, not for the server.
    { cwd: '/', detached: true, stdio: ['ignore', logFd, logFd], ...binaries.runAs, env: { LC_ALL: 'C' } },
  );
  closeSync(logFd);
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  let running = true;
  void exited.then(() => (running = false));
  const deadline = Date.now() + START_SECONDS * 1000;
  while (!isReady(folder, child.pid)) {
    if (!running || Date.now() > deadline) {
      child.kill('SIGKILL');
      throw new AppError('EMBEDDED_FAILED', { step: 'start', problem: lastLine(log), log });
    }
    await sleep(30);
  }
  child.unref();
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
    log,
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

/** The eighth line of postmaster.pid says `ready` once connections are accepted. */
function isReady(folder: string, pid: number | undefined): boolean {
  try {
    const lines = readFileSync(join(folder, 'data', 'postmaster.pid'), 'utf8').split('\n');
    return lines[0] === String(pid) && lines[7]?.trim() === 'ready';
  } catch {
    return false;
  }
}

function lastLine(log: string): string {
  return existsSync(log) ? (readFileSync(log, 'utf8').trim().split('\n').at(-1) ?? 'no output') : 'no output';
}

/** initdb takes seconds, copying its result a fraction of one: made once per version and user. */
function clusterTemplate(binaries: Binaries): string {
  const template = join(binaries.cache, 'template');
  if (existsSync(template)) return template;
  const temporary = mkdtempSync(join(binaries.cache, 'template-'));
  giveTo(temporary, binaries.runAs);
  const password = join(temporary, 'password');
  writeFileSync(password, `${randomBytes(12).toString('hex')}\n`, { mode: 0o600 });
  giveTo(password, binaries.runAs);
  mkdirSync(join(temporary, 'data'), { mode: 0o700 });
  giveTo(join(temporary, 'data'), binaries.runAs);
  const result = spawnSync(
    join(binaries.bin, 'initdb'),
    [
      '-D',
      join(temporary, 'data'),
      '-U',
      'postgres',
      '-E',
      'UTF8',
      '--locale=C',
      '--auth-local=trust',
      '--auth-host=scram-sha-256',
      `--pwfile=${password}`,
    ],
    { cwd: '/', encoding: 'utf8', ...binaries.runAs, env: { LC_ALL: 'C' } },
  );
  if (result.status !== 0) {
    rmSync(temporary, { recursive: true, force: true });
    throw new AppError('EMBEDDED_FAILED', {
      step: 'initialise',
      problem: (result.stderr || result.error?.message || 'initdb failed').trim(),
      log: '-',
    });
  }
  publish(temporary, template);
  return template;
}

/** A port that was free a moment ago, on loopback. */
async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => probe.once('error', reject).listen(0, '127.0.0.1', resolve));
  const address = probe.address();
  await new Promise<void>((resolve) => probe.close(() => resolve()));
  return typeof address === 'object' && address ? address.port : 0;
}
