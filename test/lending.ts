/** Workers that lend hands, each in a process of its own, and the task that they lend them to. For tests and for the bench. */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { insertGroup } from '../src/service/store/account/group/insert-group.ts';
import type { Store } from '../src/service/store/store.ts';
import { takeTask } from '../src/service/store/task/owner/take-task.ts';
import type { HelperWork } from './copy-helper-process.ts';
import { storedTask } from './stored-task.ts';

const PROCESS = fileURLToPath(new URL('copy-helper-process.ts', import.meta.url));

export interface Helper extends AsyncDisposable {
  readonly workerId: string;
  readonly child: ChildProcess;
  readonly output: () => string;
  /** SIGSTOP was received: by a failpoint, or from a test. */
  isFrozen(): boolean;
}

/** Started and listening. */
export async function startHelper(work: HelperWork): Promise<Helper> {
  const child = spawn(process.execPath, [PROCESS, JSON.stringify(work)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  while (!output.includes('ready')) {
    if (child.exitCode !== null) throw new Error(`the helper ended with ${child.exitCode}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return {
    workerId: work.workerId,
    child,
    output: () => output,
    isFrozen: () => / T /.test(readFileSync(`/proc/${child.pid}/stat`, 'utf8')),
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGCONT');
      child.stdin.end();
      const late = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await ended;
      clearTimeout(late);
    },
  };
}

/** Another worker becomes its owner. */
export async function ownTask(store: Store, taskId: string): Promise<string> {
  return (await takeTask(store, taskId, randomUUID()))?.fence ?? '0';
}

/** In a store that is up to date. Returns its id. */
export async function insertHelpedTask(store: Store): Promise<string> {
  const group = await insertGroup(store, randomUUID(), `g ${randomUUID()}`);
  return (await storedTask(store, { groupId: group?.id ?? '', name: 't' })).id;
}
