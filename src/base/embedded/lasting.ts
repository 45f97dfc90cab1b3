/** The embedded PostgreSQL of a service: its data stay where they are, and a server that outlived its maker is adopted. Loopback only. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '../errors/app-error.ts';
import { sleep } from '../runtime/sleep.ts';
import { findBinaries, giveTo, publish } from './binaries.ts';
import { freePort, initCluster, isPostgresOf, launch, readPostmaster } from './postmaster.ts';

/** The major that a new cluster gets; an old one is started with its own. */
const MAJOR = 18;
const WAIT_SECONDS = 60;
/** No socket: its path would be too long below some data folders. */
const SETTINGS = { listen_addresses: '127.0.0.1', unix_socket_directories: '' };

export interface LastingServer {
  /** Database `postgres`, password included. */
  readonly uri: string;
  /** False once its process is gone: killed, or short of memory. */
  isRunning(): boolean;
  /** Ends sessions and writes a checkpoint; returns when the process is gone. */
  stop(): Promise<void>;
}

/** The server of this folder, running: made at the first call, started again later, or found running. Who calls holds a lock on what is around it. */
export async function openLasting(folder: string): Promise<LastingServer> {
  if (!existsSync(folder)) create(folder);
  const password = readFileSync(join(folder, 'password'), 'utf8').trim();
  const { pid, port } = (await adopt(folder)) ?? (await start(folder));
  return {
    uri: `postgresql://postgres:${password}@127.0.0.1:${port}/postgres`,
    isRunning: () => isPostgresOf(pid, folder),
    stop: async () => {
      if (isPostgresOf(pid, folder)) process.kill(pid, 'SIGINT');
      await until(() => !isPostgresOf(pid, folder), folder, 'stop');
    },
  };
}

/** Made under another name: a killed initdb is never taken for a cluster. */
function create(folder: string): void {
  const binaries = findBinaries(MAJOR);
  const temporary = mkdtempSync(`${folder}.new-`);
  giveTo(temporary, binaries.runAs);
  try {
    initCluster(binaries, temporary, randomBytes(24).toString('hex'));
  } catch (thrown) {
    rmSync(temporary, { recursive: true, force: true });
    throw thrown;
  }
  publish(temporary, folder);
}

/** The server that runs there; one that is still starting or stopping is waited for. Null when none runs. */
async function adopt(folder: string): Promise<{ pid: number; port: number } | null> {
  let found = readPostmaster(folder);
  await until(
    () => {
      found = readPostmaster(folder);
      return found === null || !isPostgresOf(found.pid, folder) || found.ready;
    },
    folder,
    'start',
  );
  return found !== null && isPostgresOf(found.pid, folder) ? found : null;
}

async function start(folder: string): Promise<{ pid: number; port: number }> {
  const binaries = findBinaries(Number(readFileSync(join(folder, 'data', 'PG_VERSION'), 'utf8')));
  const port = await freePort();
  const { child } = await launch(binaries, folder, { ...SETTINGS, port });
  return { pid: child.pid ?? 0, port };
}

async function until(met: () => boolean, folder: string, step: 'start' | 'stop'): Promise<void> {
  const deadline = Date.now() + WAIT_SECONDS * 1000;
  while (!met()) {
    if (Date.now() > deadline)
      throw new AppError('EMBEDDED_FAILED', {
        step,
        problem: `no change in ${WAIT_SECONDS} s`,
        log: join(folder, 'server.log'),
      });
    await sleep(50);
  }
}
