/**
 * A copy thread: pairs of connections that copy what they are told to. Started by copy-threads.ts, which stands for it where the task
 * runs; the sessions it opens cannot be handed over, so it opens all of its own.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { noFailpoints, type Failpoints } from '../../../base/runtime/failpoint.ts';
import { openHand, type CopyChunk, type CopyHand } from '../../../engine/pipeline/copy-hand.ts';
import { openChunkReader } from '../../../engine/source/chunk-reader.ts';
import { CopyThrottle } from '../../../engine/source/throttle.ts';
import { openChunkWriter } from '../../../engine/target/copy/chunk-writer.ts';
import { toMessage, type FromThread, type ThreadTask, type ToThread } from './copy-thread-messages.ts';
import { Ends } from '../ends.ts';

const TELL_MS = 100;

class CopyThread {
  private readonly task: ThreadTask;
  private readonly tell: (message: FromThread) => void;
  private readonly ends: Ends;
  private readonly throttle: CopyThrottle;
  private readonly stop = new AbortController();
  private readonly hands = new Map<number, CopyHand>();

  constructor(task: ThreadTask, tell: (message: FromThread) => void) {
    this.task = task;
    this.tell = tell;
    this.ends = new Ends(task.source, task.target);
    this.throttle = new CopyThrottle(task.limits);
  }

  async adopt(): Promise<void> {
    await this.ends.adoptTask(this.task.taskId);
  }

  async take(message: ToThread): Promise<void> {
    switch (message.kind) {
      case 'open':
        return this.answer(message.hand, () => this.open(message.hand, message.role));
      case 'copy':
        return this.answer(message.hand, () => this.copy(message.hand, message.batch));
      case 'close':
        return this.answer(message.hand, () => this.close(message.hand));
      case 'limits':
        this.throttle.set(message.limits);
        return;
      case 'stop':
        this.stop.abort(new Error('the copy is stopped'));
        return;
      case 'end':
        for (const hand of this.hands.values()) await hand[Symbol.asyncDispose]();
        await this.ends[Symbol.asyncDispose]();
        return;
    }
  }

  private async answer(hand: number, work: () => Promise<FromThread>): Promise<void> {
    try {
      this.tell(await work());
    } catch (thrown) {
      this.tell({ kind: 'failed', hand, error: toMessage(thrown) });
    }
  }

  private async open(hand: number, role: string): Promise<FromThread> {
    const { taskId, copyFence, stamp, held } = this.task;
    const opened = await openHand({
      openReader: () =>
        openChunkReader({
          open: () => this.ends.openSource(role),
          control: () => this.ends.source(),
          // Only the task's own thread can ask the holder: here a restarted server has lost it.
          held: { ...held, isHeld: () => Promise.resolve(false) },
          throttle: this.throttle,
        }),
      openWriter: () => openChunkWriter(() => this.ends.openTarget(role)),
      taskId,
      copyFence,
      stamp,
      failpoints: this.failpoints(),
      signal: this.stop.signal,
    });
    this.hands.set(hand, opened);
    return { kind: 'opened', hand };
  }

  private async copy(hand: number, batch: readonly CopyChunk[]): Promise<FromThread> {
    const opened = this.hands.get(hand);
    if (!opened) throw new Error(`no hand ${hand}`);
    const passed = new Map<string, { bytes: number; rows: number }>();
    const flush = () => {
      for (const [chunk, amount] of passed) this.tell({ kind: 'passed', hand, chunk, ...amount });
      passed.clear();
    };
    const timer = setInterval(flush, TELL_MS);
    try {
      const done = await opened.copy(batch, {
        onStart: ({ id }) => this.tell({ kind: 'started', hand, chunk: id }),
        onPass: ({ id }, bytes, rows) => {
          const before = passed.get(id) ?? { bytes: 0, rows: 0 };
          passed.set(id, { bytes: before.bytes + bytes, rows: before.rows + rows });
        },
      });
      return { kind: 'done', hand, done };
    } finally {
      clearInterval(timer);
      flush();
    }
  }

  private async close(hand: number): Promise<FromThread> {
    const opened = this.hands.get(hand);
    this.hands.delete(hand);
    await opened?.[Symbol.asyncDispose]();
    return { kind: 'closed', hand };
  }

  /** A failpoint is passed where it is armed; this thread sleeps until then. */
  private failpoints(): Failpoints {
    const { failpoints } = this.task;
    if (failpoints === null) return noFailpoints;
    return {
      pass: (name) => {
        const turn = Atomics.load(failpoints, 0);
        this.tell({ kind: 'failpoint', name });
        Atomics.wait(failpoints, 0, turn);
      },
    };
  }
}

const port = parentPort;
if (port) {
  const thread = new CopyThread(workerData as ThreadTask, (message) => port.postMessage(message));
  await thread.adopt();
  port.on('message', (message: ToThread) => {
    void thread.take(message).then(() => {
      if (message.kind === 'end') port.close();
    });
  });
}
