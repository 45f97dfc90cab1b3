/** A task in a store, and workers that lend hands to it, each in a process of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { taskSettings } from '../src/contract/task-spec.ts';
import { Bell } from '../src/service/fleet/hands/bell.ts';
import { handsOfOthers } from '../src/service/fleet/hands/offered-copy.ts';
import { insertGroup } from '../src/service/store/account/insert-group.ts';
import { migrate } from '../src/service/store/migrate.ts';
import { Store } from '../src/service/store/store.ts';
import { insertTask } from '../src/service/store/task/insert-task.ts';
import { takeTask } from '../src/service/store/task/take-task.ts';
import type { MoreHands } from '../src/service/task/copy/more-hands.ts';
import type { HelperWork } from './copy-helper-process.ts';
import { freshDatabase, type TestDatabase } from './database.ts';
import type { Major } from './global-setup.ts';

const PROCESS = fileURLToPath(new URL('copy-helper-process.ts', import.meta.url));

export interface Helper extends AsyncDisposable {
  readonly workerId: string;
  readonly child: ChildProcess;
  readonly output: () => string;
  /** SIGSTOP was received: by a failpoint, or from a test. */
  isFrozen(): boolean;
}

export interface HelpedTask extends AsyncDisposable {
  readonly store: Store;
  readonly database: TestDatabase;
  readonly taskId: string;
  readonly moreHands: MoreHands;
  /** Started and listening. */
  helper(
    ends: { source: TestDatabase; target: TestDatabase },
    options?: Partial<HelperWork>,
  ): Promise<Helper>;
  /** Batches that each worker was given, most first; looks until it is disposed of. */
  units(): ReadonlyMap<string, number>;
  /** Another worker becomes the owner. */
  takeOver(): Promise<void>;
}

export async function helpedTask(major: Major): Promise<HelpedTask> {
  const database = await freshDatabase(major);
  const store = Store.at(database.uri);
  await migrate(store);
  const group = await insertGroup(store, randomUUID(), 'g');
  const taskId = randomUUID();
  await insertTask(store, {
    id: taskId,
    groupId: group?.id ?? '',
    name: 't',
    taskGroup: null,
    sourceConnection: null,
    targetConnection: null,
    spec: taskSettings.parse({}),
    class: 'small',
    environment: null,
    cluster: null,
    retryConnectMinutes: 20,
    retryOtherMinutes: 10,
    state: 'not-started',
    by: { accountId: null, accountName: null, workerId: null },
    facts: {},
  });
  const takeOver = async () => (await takeTask(store, taskId, randomUUID()))?.fence ?? '0';
  const fence = await takeOver();
  const bell = new Bell(store);
  const units = new Map<string, number>();
  const row = z.object({ hand: z.string(), worker: z.string(), unit: z.string().transform(Number) });
  const byHand = new Map<string, { worker: string; unit: number }>();
  const look = setInterval(() => {
    store
      .query(row, 'SELECT id AS hand, worker_id AS worker, unit FROM opendts.copy_hand')
      .then((rows) => {
        for (const { hand, worker, unit } of rows) byHand.set(hand, { worker, unit });
      })
      .catch(() => {});
  }, 100);
  return {
    store,
    database,
    taskId,
    moreHands: handsOfOthers({ store, bell, taskId, fence }),
    helper: ({ source, target }, options = {}) =>
      startHelper({
        store: database.uri,
        source: source.uri,
        target: target.uri,
        workerId: randomUUID(),
        places: 2,
        failpoint: null,
        ...options,
      }),
    units: () => {
      units.clear();
      for (const { worker, unit } of byHand.values()) units.set(worker, (units.get(worker) ?? 0) + unit);
      return units;
    },
    takeOver: async () => void (await takeOver()),
    [Symbol.asyncDispose]: async () => {
      clearInterval(look);
      await bell[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

async function startHelper(work: HelperWork): Promise<Helper> {
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
