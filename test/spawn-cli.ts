/** Runs the command line as a user does: bin/opendts.js in a process of its own, with an environment of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What Node has compiled is the same for all. */
const CACHE = join(tmpdir(), 'opendts-test-cache');
const BIN = fileURLToPath(new URL('../bin/opendts.js', import.meta.url));

export interface CliResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Arguments of node itself. */
  readonly nodeArgs?: readonly string[];
  /** What it reads on stdin. */
  readonly input?: string;
}

export interface RunningCli {
  readonly child: ChildProcess;
  readonly finished: Promise<CliResult>;
  /** What has been written so far. */
  readonly output: () => Pick<CliResult, 'stdout' | 'stderr'>;
}

/** A home folder of its own, so that no password file or state of the machine counts. */
export interface CliHome extends Disposable {
  readonly folder: string;
  start(args: readonly string[], options?: CliOptions): RunningCli;
  run(args: readonly string[], options?: CliOptions): Promise<CliResult>;
}

export function cliHome(): CliHome {
  const folder = mkdtempSync(join(tmpdir(), 'opendts-cli-'));
  const start = (
    args: readonly string[],
    { env = {}, nodeArgs = [], input }: CliOptions = {},
  ): RunningCli => {
    const child = spawn(process.execPath, [...nodeArgs, BIN, ...args], {
      cwd: folder,
      env: { PATH: process.env.PATH, HOME: folder, XDG_CACHE_HOME: CACHE, ...env },
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
    child.stdin?.end(input);
    let stdout = '';
    let stderr = '';
    child.stdout!.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr!.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const finished = new Promise<CliResult>((resolve) =>
      child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr })),
    );
    return { child, finished, output: () => ({ stdout, stderr }) };
  };
  return {
    folder,
    start,
    run: (args, options) => start(args, options).finished,
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** A module to `--import` that makes Node claim to be 20; the packaged Node, started without it, is itself. */
export function pretendOldNode(home: CliHome): string {
  const file = join(home.folder, 'pretend-old-node.mjs');
  writeFileSync(file, "Object.defineProperty(process.versions, 'node', { value: '20.0.0' });");
  return file;
}
