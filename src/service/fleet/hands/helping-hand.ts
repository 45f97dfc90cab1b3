/** A hand that we lend to another worker's task: opens its connections, then copies what it is given until it is not needed any more. */
import { AppError, toAppError } from '../../../base/errors/app-error.ts';
import { backoffMs } from '../../../base/runtime/backoff.ts';
import { sleep } from '../../../base/runtime/sleep.ts';
import type { CopyHand } from '../../../engine/pipeline/copy-hand.ts';
import type { HandBeat, HandNews } from '../../store/copy/beat-hands.ts';
import { deleteHand } from '../../store/copy/delete-hand.ts';
import { endBatch } from '../../store/copy/end-batch.ts';
import { readyHand } from '../../store/copy/ready-hand.ts';
import { takeBatch } from '../../store/copy/take-batch.ts';
import type { Store } from '../../store/store.ts';
import { toMessage } from '../../task/copy/copy-thread-messages.ts';
import { Nap, type Bell } from './bell.ts';
import { pack, unpack } from './hand-message.ts';
import type { JoinedPass } from './joined-pass.ts';

/** The store may have been away for a while: one look does not say that a hand is gone. */
const MISSES = 3;
const LOOK_MS = 5_000;

export class HelpingHand {
  readonly id: string;
  readonly pass: JoinedPass;
  private readonly store: Store;
  private readonly bell: Bell;
  private readonly nap = new Nap();
  private readonly left = new AbortController();
  private passed: Record<string, readonly [number, number]> = {};
  private misses = 0;
  private gone = false;

  constructor(id: string, pass: JoinedPass, { store, bell }: { store: Store; bell: Bell }) {
    this.id = id;
    this.pass = pass;
    this.store = store;
    this.bell = bell;
  }

  get beat(): HandBeat {
    return { id: this.id, passed: this.passed };
  }

  /** What the store says; undefined: nothing. */
  hear(news: HandNews | undefined): void {
    this.misses = news === undefined ? this.misses + 1 : 0;
    this.gone ||= news?.is_over === true || this.misses >= MISSES;
    if (this.gone) this.leave();
    if (news?.state === 'given') this.nap.wake();
  }

  /** Nobody waits for what it is at. */
  get isGone(): boolean {
    return this.gone;
  }

  private get isLeaving(): boolean {
    return this.left.signal.aborted;
  }

  /** It ends what it is at, and takes nothing more. */
  leave(): void {
    this.left.abort();
    this.nap.wake();
  }

  /** Until it is not needed any more; all is closed then. Throws AppError where it could not be opened, or what it copied failed. */
  async work(): Promise<void> {
    const unhear = this.bell.on(`hand ${this.id}`, this.nap.wake);
    let failed: { unit: number; error: AppError } | null = null;
    try {
      const hand = await this.pass.openHand(this.id);
      try {
        await this.asking(() => readyHand(this.store, this.id));
        while (failed === null && !this.isLeaving) {
          const given = await this.asking(() => takeBatch(this.store, this.id));
          if (given) failed = await this.copy(hand, given);
          else await this.nap.take(LOOK_MS);
        }
      } finally {
        await hand[Symbol.asyncDispose]();
      }
    } finally {
      unhear();
      await this.sayGoodbye(failed);
    }
    if (failed && !this.gone) throw failed.error;
  }

  private async copy(
    hand: CopyHand,
    { unit, batch }: { unit: number; batch: string },
  ): Promise<{ unit: number; error: AppError } | null> {
    this.passed = {};
    try {
      const done = await hand.copy(unpack('batch', batch), {
        onStart: ({ id }) => (this.passed[id] = [0, 0]),
        onPass: ({ id }, bytes, rows) => {
          const [b, r] = this.passed[id] ?? [0, 0];
          this.passed[id] = [b + bytes, r + rows];
        },
      });
      const ended = { handId: this.id, unit, state: 'done', result: pack('done', done) } as const;
      await this.asking(() => endBatch(this.store, ended));
      return null;
    } catch (thrown) {
      return { unit, error: toAppError(thrown) };
    }
  }

  /** Once nothing of it is open on either end. */
  private async sayGoodbye(failed: { unit: number; error: AppError } | null): Promise<void> {
    if (failed && !this.gone) {
      const { unit, error } = failed;
      const ended = {
        handId: this.id,
        unit,
        state: 'failed',
        result: pack('failed', toMessage(error)),
      } as const;
      await this.asking(() => endBatch(this.store, ended));
    } else {
      await deleteHand(this.store, this.id).catch(() => {});
    }
  }

  /** Again while the store is away; null once nobody waits for it. */
  private async asking<T>(ask: () => Promise<T>): Promise<T | null> {
    const { signal } = this.left;
    for (let attempt = 1; ; attempt++) {
      try {
        return await ask();
      } catch (thrown) {
        if (!(thrown instanceof AppError)) throw thrown;
        if (signal.aborted) return null;
        await sleep(backoffMs(attempt, { firstMs: 200, maxMs: 3_000 }), signal);
      }
    }
  }
}
