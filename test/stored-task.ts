/** Tasks and their progress as tests put them into the store, with nothing in them that a test does not name. */
import { randomUUID } from 'node:crypto';
import type { MigrationProgress } from '../src/contract/progress.ts';
import { taskSettings } from '../src/contract/task-spec.ts';
import type { Store } from '../src/service/store/store.ts';
import { insertTask, type NewTask } from '../src/service/store/task/insert-task.ts';
import type { StoredTask } from '../src/service/store/task/task-row.ts';

export function storedTask(
  store: Store,
  given: Pick<NewTask, 'groupId' | 'name'> & Partial<NewTask>,
): Promise<StoredTask> {
  return insertTask(store, {
    id: randomUUID(),
    taskGroup: null,
    sourceConnection: null,
    targetConnection: null,
    spec: taskSettings.parse({}),
    class: 'small',
    environment: null,
    cluster: null,
    blackout: [],
    retryConnectMinutes: 720,
    retryOtherMinutes: 10,
    state: 'not-started',
    by: { accountId: null, accountName: null, workerId: null },
    facts: {},
    ...given,
  });
}

export function progressOf(given: Partial<MigrationProgress> = {}): MigrationProgress {
  return {
    taskId: 'x',
    phase: 'copy',
    tables: [],
    rowsCopied: 1n,
    bytesCopied: 2n,
    copy: null,
    indexesDone: 0,
    indexesTotal: 0,
    indexBuilds: [],
    changesApplied: 0n,
    transactionsApplied: 0n,
    deadLetters: 0n,
    lagBytes: null,
    delayMs: null,
    slot: null,
    elapsedMs: 1,
    ...given,
  };
}
