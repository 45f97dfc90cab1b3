/** A hand that another worker lends to a task of ours: batches go out and results come back through the store. */
import { AppError } from '../../../base/errors/app-error.ts';
import type { CopyChunk, CopyEvents, CopyHand } from '../../../engine/pipeline/copy-hand.ts';
import type { DoneChunk } from '../../../engine/target/books/done-chunks.ts';
import { deleteHand } from '../../store/copy/delete-hand.ts';
import { giveBatch } from '../../store/copy/give-batch.ts';
import type { HandSeen } from '../../store/copy/beat-pass.ts';
import type { Store } from '../../store/store.ts';
import { fromMessage } from '../../task/copy/copy-thread-messages.ts';
import { pack, unpack } from './hand-message.ts';

interface Unit {
  readonly number: number;
  readonly batch: readonly CopyChunk[];
  readonly events: CopyEvents;
  readonly answer: PromiseWithResolvers<readonly DoneChunk[]>;
  /** Bytes and rows told so far, by chunk. */
  readonly told: Map<string, readonly [number, number]>;
}

export class LentHand implements CopyHand {
  readonly id: string;
  readonly workerId: string;
  /** As last seen, and when that was new. */
  beats = '';
  heardAt = performance.now();
  private readonly store: Store;
  private readonly closed: () => void;
  private unit: Unit | null = null;
  private units = 0;
  private lost = false;

  /** `closed` is called once nobody needs it any more. */
  constructor(store: Store, { id, workerId }: HandSeen, closed: () => void) {
    this.store = store;
    this.id = id;
    this.workerId = workerId;
    this.closed = closed;
  }

  get isAtWork(): boolean {
    return this.unit !== null;
  }

  async copy(batch: readonly CopyChunk[], events: CopyEvents): Promise<readonly DoneChunk[]> {
    if (this.lost) throw gone();
    const unit = {
      number: ++this.units,
      batch,
      events,
      answer: Promise.withResolvers<readonly DoneChunk[]>(),
      told: new Map(),
    };
    this.unit = unit;
    try {
      // It may be lost before it is given anything.
      unit.answer.promise.catch(() => {});
      const given = await giveBatch(this.store, {
        handId: this.id,
        unit: unit.number,
        batch: pack('batch', batch),
      });
      if (!given) throw gone();
      return await unit.answer.promise;
    } finally {
      this.unit = null;
    }
  }

  /** What the store says of it now. */
  see(seen: HandSeen): void {
    if (seen.beats !== this.beats) this.heardAt = performance.now();
    this.beats = seen.beats;
    const { unit } = this;
    if (unit === null || seen.unit !== unit.number) return;
    tell(unit, seen.passed);
    if (seen.state === 'done') unit.answer.resolve(unpack('done', seen.result ?? '[]'));
    if (seen.state === 'failed') unit.answer.reject(fromMessage(unpack('failed', seen.result ?? '{}')));
  }

  /** It cannot commit any more, as far as is known: what it was at is for others. */
  lose(): void {
    this.lost = true;
    this.unit?.answer.reject(gone());
  }

  /** Its worker finds out that it is not needed any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.closed();
    // A store that is away loses it as well: nobody keeps it alive.
    if (!this.lost) await deleteHand(this.store, this.id).catch(() => {});
    this.lost = true;
  }
}

function tell({ batch, events, told }: Unit, passed: HandSeen['passed']): void {
  for (const chunk of batch) {
    const now = passed[chunk.id];
    if (now === undefined) continue;
    const before = told.get(chunk.id);
    if (before === undefined) events.onStart(chunk);
    const [bytes, rows] = before ?? [0, 0];
    if (now[0] > bytes || now[1] > rows) events.onPass(chunk, now[0] - bytes, now[1] - rows);
    told.set(chunk.id, now);
  }
}

function gone(): AppError {
  return new AppError('CONNECTION_LOST', { side: 'target', problem: 'the worker that lent a hand is gone' });
}
