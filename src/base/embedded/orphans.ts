/**
 * Throw-away servers whose maker was killed go on running: each folder names its maker, and whoever starts a server next ends those
 * whose maker is gone. A folder without a maker's mark was kept on purpose.
 */
import { existsSync, lstatSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isRunning, processMark } from '../runtime/process-mark.ts';
import { isPostgresOf, readPostmaster } from './postmaster.ts';

export const FOLDER_PREFIX = 'opendts-pg';
const MARK = 'maker';

export function markMaker(folder: string): void {
  writeFileSync(join(folder, MARK), `${processMark()}\n`, { mode: 0o600 });
}

/** From now on the server outlives its maker. */
export function unmarkMaker(folder: string): void {
  rmSync(join(folder, MARK), { force: true });
}

/** Ends and removes the servers of makers that are gone. Only folders of our own user are looked at. */
export function removeOrphans(): void {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(FOLDER_PREFIX)) continue;
    try {
      removeIfOrphan(join(tmpdir(), name));
    } catch (thrown) {
      // Somebody else is removing it at this moment.
      if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT')) throw thrown;
    }
  }
}

function removeIfOrphan(folder: string): void {
  const mark = join(folder, MARK);
  if (
    !existsSync(mark) ||
    lstatSync(mark).uid !== process.getuid?.() ||
    isRunning(readFileSync(mark, 'utf8'))
  )
    return;
  const pid = readPostmaster(folder)?.pid ?? 0;
  if (pid > 0 && isPostgresOf(pid, folder)) process.kill(pid, 'SIGQUIT');
  rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
}
