/** The server process of an embedded cluster: made by initdb, started, found again by its postmaster.pid. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { AppError } from '../errors/app-error.ts';
import { sleep } from '../runtime/sleep.ts';
import { giveTo, type Binaries } from './binaries.ts';

const START_SECONDS = 60;

/** Makes `folder/data` with a superuser `postgres`, and `folder/password`. */
export function initCluster(binaries: Binaries, folder: string, password: string): void {
  const passwordFile = join(folder, 'password');
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  giveTo(passwordFile, binaries.runAs);
  mkdirSync(join(folder, 'data'), { mode: 0o700 });
  giveTo(join(folder, 'data'), binaries.runAs);
  const result = spawnSync(
    join(binaries.bin, 'initdb'),
    [
      '-D',
      join(folder, 'data'),
      '-U',
      'postgres',
      '-E',
      'UTF8',
      '--locale=C',
      '--auth-local=trust',
      '--auth-host=scram-sha-256',
      `--pwfile=${passwordFile}`,
    ],
    { cwd: '/', encoding: 'utf8', ...binaries.runAs, env: { LC_ALL: 'C' } },
  );
  if (result.status === 0) return;
  throw new AppError('EMBEDDED_FAILED', {
    step: 'initialise',
    problem: (result.stderr || result.error?.message || 'initdb failed').trim(),
    log: '-',
  });
}

/** Starts the server of `folder/data` and waits until it accepts connections; its log is `folder/server.log`. */
export async function launch(
  binaries: Binaries,
  folder: string,
  settings: Readonly<Record<string, string | number>>,
): Promise<{ readonly child: ChildProcess; readonly exited: Promise<void> }> {
  const log = join(folder, 'server.log');
  const logFd = openSync(log, 'a');
  giveTo(log, binaries.runAs);
  const child = spawn(
    join(binaries.bin, 'postgres'),
    [
      '-D',
      join(folder, 'data'),
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    // A session of its own: Ctrl-C in the terminal is for us to handle, not for the server.
    { cwd: '/', detached: true, stdio: ['ignore', logFd, logFd], ...binaries.runAs, env: { LC_ALL: 'C' } },
  );
  closeSync(logFd);
  let running = true;
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
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
  return { child, exited };
}

function isReady(folder: string, pid: number | undefined): boolean {
  const found = readPostmaster(folder);
  return found !== null && found.pid === pid && found.ready;
}

/** What `folder/data/postmaster.pid` says; null when there is none. Its first line is the pid, the fourth the port, the eighth `ready` once connections are accepted. */
export function readPostmaster(
  folder: string,
): { readonly pid: number; readonly port: number; readonly ready: boolean } | null {
  try {
    const lines = readFileSync(join(folder, 'data', 'postmaster.pid'), 'utf8').split('\n');
    return { pid: Number(lines[0]), port: Number(lines[3]), ready: lines[7]?.trim() === 'ready' };
  } catch {
    return null;
  }
}

/** Whether this process is the server of that folder: the pid in an old file may belong to somebody else by now. */
export function isPostgresOf(pid: number, folder: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(join(folder, 'data'));
  } catch {
    return false;
  }
}

function lastLine(log: string): string {
  return existsSync(log) ? (readFileSync(log, 'utf8').trim().split('\n').at(-1) ?? 'no output') : 'no output';
}

/** A port that was free a moment ago, on loopback. */
export async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => probe.once('error', reject).listen(0, '127.0.0.1', resolve));
  const address = probe.address();
  await new Promise<void>((resolve) => probe.close(() => resolve()));
  return typeof address === 'object' && address ? address.port : 0;
}
