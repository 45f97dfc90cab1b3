/** Runs the programs that are measured: each in a process group of its own, so that Ctrl-C ends all of it. */
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { peakMemory } from './cpu-time.ts';

export interface ProgramOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  /** Called at once for every whole line on stderr, with the pid of the program. */
  readonly onLine?: (line: string, pid: number) => void;
  readonly onStart?: (pid: number) => void;
}

export interface Ended {
  readonly stdout: string;
  readonly wallMs: number;
  /** Of the program itself, without its children; sampled, so the last moments may be missing. */
  readonly peakMemory: number;
}

const SAMPLE_MS = 50;
const KEPT_OUTPUT = 4000;
/** What a program gets to clean up after itself (pgcopydb has semaphores) before it is killed. */
const PATIENCE_MS = 3000;

/** Resolves when it ended with 0; otherwise throws an Error with the end of what it wrote to stderr. */
export async function runProgram(
  command: string,
  args: readonly string[],
  { env, signal, onLine, onStart }: ProgramOptions,
): Promise<Ended> {
  signal.throwIfAborted();
  const started = performance.now();
  const child = spawn(command, args, { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const pid = child.pid ?? 0;
  onStart?.(pid);
  let stdout = '';
  let stderr = '';
  let rest = '';
  child.stdout.on('data', (text) => (stdout += String(text)));
  child.stderr.on('data', (text) => {
    stderr = (stderr + String(text)).slice(-KEPT_OUTPUT);
    const lines = (rest + String(text)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine?.(line, pid);
  });
  let peak = 0;
  const sampler = setInterval(() => (peak = Math.max(peak, peakMemory(pid))), SAMPLE_MS);
  let forced: NodeJS.Timeout | undefined;
  const kill = () => {
    killGroup(pid, 'SIGTERM');
    forced = setTimeout(() => killGroup(pid, 'SIGKILL'), PATIENCE_MS);
  };
  signal.addEventListener('abort', kill, { once: true });
  try {
    const { end, endedAt } = await new Promise<{ end: number | string; endedAt: number }>(
      (resolve, reject) => {
        let endedAt = 0;
        child.once('error', reject);
        child.once('exit', () => (endedAt = performance.now()));
        child.once('close', (code, killedBy) => resolve({ end: code ?? killedBy ?? '?', endedAt }));
      },
    );
    signal.throwIfAborted();
    if (end !== 0) throw new Error(`${command} ended with ${end}: ${lastWords(stderr)}`);
    return { stdout, wallMs: endedAt - started, peakMemory: peak };
  } finally {
    clearInterval(sampler);
    clearTimeout(forced);
    signal.removeEventListener('abort', kill);
  }
}

/** A program that runs until it is stopped. */
export interface Running {
  readonly pid: number;
  /** Rejects when it ends without having been stopped. */
  readonly broken: Promise<never>;
  stop(): Promise<void>;
}

export function startProgram(command: string, args: readonly string[], options: ProgramOptions): Running {
  const stopping = new AbortController();
  const signal = AbortSignal.any([options.signal, stopping.signal]);
  let pid = 0;
  const ended = runProgram(command, args, { ...options, signal, onStart: (started) => (pid = started) });
  const over = ended.then(
    () => new Error(`${command} ended by itself`),
    (thrown: unknown) => thrown,
  );
  const broken = over.then((why) => {
    if (stopping.signal.aborted) return new Promise<never>(() => {});
    throw why;
  });
  // Whoever waits for it hears of it; nobody may be waiting just then.
  broken.catch(() => {});
  return {
    pid,
    broken,
    stop: async () => {
      stopping.abort();
      await over;
    },
  };
}

/** The last lines that speak: progress in JSON says nothing about why it ended. */
function lastWords(stderr: string): string {
  const lines = stderr
    .trim()
    .split('\n')
    .filter((line) => !line.startsWith('{'));
  return lines.slice(-4).join(' | ');
}

function killGroup(pid: number, how: NodeJS.Signals): void {
  try {
    if (pid > 0) process.kill(-pid, how);
  } catch {
    // It has ended already.
  }
}

/** Where a tool is found on PATH; null when it is not installed. */
export function findTool(name: string, env: NodeJS.ProcessEnv): string | null {
  for (const folder of (env.PATH ?? '').split(delimiter)) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not there: the next folder.
    }
  }
  return null;
}

/** The first line a tool prints about its version. */
export function toolVersion(path: string, env: NodeJS.ProcessEnv): string {
  const { stdout } = spawnSync(path, ['--version'], { env, encoding: 'utf8' });
  return stdout.split('\n')[0] ?? '';
}
