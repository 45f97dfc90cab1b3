/** The thread of a task, seen from its owner. */
import { Worker } from 'node:worker_threads';
import { AppError } from '../../../base/errors/app-error.ts';
import { leaveTightHeap } from '../../../base/runtime/tight-heap.ts';
import type { MigrationEvent } from '../../../contract/progress.ts';
import { fromMessage } from '../../task/copy/copy-thread-messages.ts';
import type { FromTask, Outcome, ThreadStart, ToldProgress, ToTask } from './messages.ts';

export interface TaskEvents {
  /** Resolves when it is known; only of a migration. */
  readonly onTask?: (engineTaskId: string) => Promise<void>;
  readonly onEvent: (event: MigrationEvent) => void;
  readonly onProgress: (told: ToldProgress) => void;
}

/** Work of a task in a thread of its own. */
export class TaskWork {
  /** Rejects with what the work has thrown. */
  readonly ended: Promise<Outcome>;
  private readonly worker: Worker;

  constructor(start: ThreadStart, { onTask, onEvent, onProgress }: TaskEvents) {
    // Beside this file, in a checkout and in the package.
    const file = import.meta.url.endsWith('.ts') ? './task-thread.ts' : './task-thread.js';
    this.worker = new Worker(new URL(file, import.meta.url), { workerData: start });
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
    this.ended = promise;
    this.worker.on('message', (message: FromTask) => {
      if (message.kind === 'event') onEvent(message.event);
      else if (message.kind === 'progress') onProgress(message.told);
      else if (message.kind === 'task')
        // Where that fails the thread waits until it is ended.
        onTask?.(message.engineTaskId).then(() => this.tell({ kind: 'task-known' }), reject);
      else if (message.kind === 'ended') resolve(message.outcome);
      else reject(fromMessage(message.error));
    });
    this.worker.on('error', reject);
    const { threadId } = this.worker;
    this.worker.on('exit', () => {
      leaveTightHeap(threadId);
      // Not heard where it has told how it ended.
      reject(new AppError('UNEXPECTED', { problem: 'the thread of the task has ended' }));
    });
  }

  tell(message: ToTask): void {
    this.worker.postMessage(message);
  }

  /** At once, whatever it is in the middle of: its sessions are cut. */
  async kill(): Promise<void> {
    await this.worker.terminate();
  }
}
