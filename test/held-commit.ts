/**
 * A commit held where its record is in the WAL, and so in every change stream, but not in the commit log: a reader who meets its rows takes
 * them for those of a transaction that failed. No setting of a server does that, so a debugger stops its backend there; where there is
 * none (or it may not), `canHold` is false.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const GDB = '/usr/bin/gdb';

export const canHold = existsSync(GDB) && spawnSync(GDB, ['--version']).status === 0;

export interface HeldCommit extends AsyncDisposable {
  /** Resolves when the backend stands between the two. */
  readonly held: Promise<void>;
  /** Lets it go on. */
  release(): Promise<void>;
}

/** For a backend on this machine that is about to commit; resolves when the debugger waits for that. */
export async function holdNextCommit(pid: number): Promise<HeldCommit> {
  const folder = mkdtempSync(join(tmpdir(), 'opendts-hold-'));
  const go = join(folder, 'go');
  const commands = [
    'set confirm off',
    'break TransactionIdCommitTree',
    'continue',
    `shell while [ ! -e ${go} ]; do sleep 0.05; done`,
    'delete',
    'detach',
  ];
  const gdb = spawn(GDB, ['-nx', '-batch', '-p', String(pid), ...commands.flatMap((one) => ['-ex', one])]);
  let output = '';
  const says = (what: RegExp) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        if (what.test(output)) resolve();
      };
      gdb.stdout.on('data', look);
      gdb.once('close', () => reject(new Error(`the debugger has ended:\n${output}`)));
      look();
    });
  for (const stream of [gdb.stdout, gdb.stderr]) stream.on('data', (text) => (output += String(text)));
  const closed = new Promise<void>((resolve) => gdb.once('close', () => resolve()));
  await says(/Breakpoint 1 at/);
  const held = says(/Breakpoint 1, /);
  held.catch(() => {});
  const release = async () => {
    if (!existsSync(folder)) return;
    writeFileSync(go, '');
    await closed;
    rmSync(folder, { recursive: true });
  };
  return { held, release, [Symbol.asyncDispose]: release };
}
