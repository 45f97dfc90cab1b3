/**
 * The lock of a folder that one process at a time may use: a file with the pid and the start time of its owner. Made complete under
 * another name and then linked, so it exists whole or not at all; a lock whose owner is gone is taken over.
 */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '../errors/app-error.ts';
import { isRunning, pidOf, processMark } from './process-mark.ts';

/** What the folder is, in the words of the error. */
type LockedCode = 'STATE_DIR_LOCKED' | 'DATA_DIR_LOCKED';

/** Takes the lock of a folder; the returned function releases it. Throws `code` while another living process has it. */
export function takeLock(dir: string, code: LockedCode): () => void {
  const lock = join(dir, 'lock');
  const mine = `${processMark()}\n`;
  const temporary = join(dir, `lock.${process.pid}`);
  writeFileSync(temporary, mine, { mode: 0o600 });
  try {
    while (!link(temporary, lock)) removeStale(dir, lock, code);
  } finally {
    rmSync(temporary, { force: true });
  }
  return () => {
    // Somebody may have judged us dead and taken over: then it is no longer ours to remove.
    if (read(lock) === mine) rmSync(lock, { force: true });
  };
}

/** False when the name is taken. */
function link(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'EEXIST') return false;
    throw thrown;
  }
}

/** Moves a dead owner's lock out of the way. Two processes may do so at once: whoever moved a fresh lock puts it back. */
function removeStale(dir: string, lock: string, code: LockedCode): void {
  const owner = read(lock);
  if (owner === null) return;
  if (isRunning(owner)) throw new AppError(code, { dir, pid: pidOf(owner) ?? '?' });
  const aside = join(dir, `lock.stale.${process.pid}`);
  try {
    renameSync(lock, aside);
  } catch {
    return; // another process was faster
  }
  if (read(aside) !== owner) link(aside, lock);
  rmSync(aside, { force: true });
}

function read(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (thrown) {
    // Only a file that is not there is no lock; one that cannot be read is somebody's.
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return null;
    throw thrown;
  }
}
