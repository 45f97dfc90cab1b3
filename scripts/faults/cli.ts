/** The command line as the fault runs use it: from the checkout, in processes of its own, with a home folder of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sleep } from '../../src/base/runtime/sleep.ts';

const BIN = fileURLToPath(new URL('../../bin/opendts.js', import.meta.url));

export interface Run {
  readonly child: ChildProcess;
  readonly ended: Promise<number | NodeJS.Signals | null>;
  readonly output: () => string;
}

export interface Cli extends Disposable {
  /** Its home; goes with it. */
  readonly folder: string;
  run(command: string, args: readonly string[]): Run;
  /** Runs to the end; throws with everything it said when that is not exit code 0. */
  mustRun(command: string, args: readonly string[]): Promise<string>;
}

export function openCli(): Cli {
  const home = mkdtempSync(join(tmpdir(), 'opendts-faults-'));
  const run = (command: string, args: readonly string[]): Run => {
    const child = spawn(process.execPath, [BIN, command, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, HOME: home, XDG_STATE_HOME: home },
    });
    let output = '';
    child.stdout.on('data', (text) => (output += String(text)));
    child.stderr.on('data', (text) => (output += String(text)));
    const ended = new Promise<number | NodeJS.Signals | null>((resolve) =>
      child.once('close', (code, signal) => resolve(code ?? signal)),
    );
    return { child, ended, output: () => output };
  };
  return {
    folder: home,
    run,
    mustRun: async (command, args) => {
      const running = run(command, args);
      const end = await running.ended;
      if (end !== 0) throw new Error(`opendts ${command} ended with ${end}:\n${running.output()}`);
      return running.output();
    },
    [Symbol.dispose]: () => rmSync(home, { recursive: true, force: true }),
  };
}

/** Waits until the run says that it is in this phase; false when it ended before. */
export async function reached(running: Run, phase: string): Promise<boolean> {
  let over = false;
  void running.ended.then(() => (over = true));
  while (!over && !running.output().includes(`phase=${phase}`)) await sleep(20);
  return running.output().includes(`phase=${phase}`);
}

export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
