/**
 * A unit of the copy (data-plane I1, I3) while a stream may run beside it: a range of a table's key, or a table. The copy moves it
 * through its states, the stream asks it what becomes of a transaction's changes.
 *
 *   waiting → bound → copying → done
 *      ↑________|________|
 *
 * *Waiting*: its copy is taken later, under a snapshot that sees all that the stream has brought by then (I2), so changes are in it.
 * *Bound*: such a snapshot stands; a change that it does not see sends the unit back to wait for another. *Copying*: its rows are being
 * read; a change that the snapshot does not see waits for the end. *Done*: such a change is applied.
 */
import type { Begin } from '../change/change.ts';
import type { Lsn } from '../change/lsn.ts';
import { extendXid, sees, type Snapshot } from '../change/snapshot.ts';

/** A snapshot later than the slot's own. */
export interface Later {
  readonly text: string;
  readonly snapshot: Snapshot;
  /** R of I1. */
  readonly readUntil: Lsn;
}

/** `wait`: until the unit is settled, then ask again. */
export type Verdict = 'in-copy' | 'apply' | 'wait';

type State = 'waiting' | 'bound' | 'copying' | 'done';

export class Unit {
  private state: State;
  /** Null is the slot's own snapshot, under which every streamed transaction applies. */
  private under: Later | null;
  private end: PromiseWithResolvers<void> | null = null;

  private constructor(state: State, under: Later | null) {
    this.state = state;
    this.under = under;
  }

  static done(under: Later | null): Unit {
    return new Unit('done', under);
  }

  static waiting(): Unit {
    return new Unit('waiting', null);
  }

  get isDone(): boolean {
    return this.state === 'done';
  }

  get isWaiting(): boolean {
    return this.state === 'waiting';
  }

  get isCopying(): boolean {
    return this.state === 'copying';
  }

  /** What a done unit was copied under; null is the slot's own snapshot. */
  get later(): Later | null {
    return this.under;
  }

  /** A snapshot stands that sees all that the stream has brought so far; null is the slot's own. Only a waiting unit is bound. */
  bind(later: Later | null): void {
    if (this.state !== 'waiting') return;
    this.state = 'bound';
    this.under = later;
  }

  /** Its rows are read from now on; false when it has to wait for another snapshot. Several chunks may claim one unit. */
  claim(): boolean {
    if (this.state === 'bound') this.state = 'copying';
    return this.state === 'copying';
  }

  /** The copy and its record are committed on the target. */
  finish(): void {
    this.state = 'done';
    this.settle();
  }

  /** It is not copied, or not any more: what the stream brings is in the copy that follows. */
  release(): void {
    this.state = 'waiting';
    this.under = null;
    this.settle();
  }

  /** Resolves when a unit that is being copied is done or released. */
  settled(): Promise<void> {
    this.end ??= Promise.withResolvers();
    return this.end.promise;
  }

  private settle(): void {
    this.end?.resolve();
    this.end = null;
  }

  /** What becomes of a transaction's changes of this unit. Sends a bound unit back where its snapshot does not see them. */
  judge(begin: Begin): Verdict {
    switch (this.state) {
      case 'waiting':
        return 'in-copy';
      case 'done':
        return isSeen(this.under, begin) ? 'in-copy' : 'apply';
      case 'copying':
        return isSeen(this.under, begin) ? 'in-copy' : 'wait';
      case 'bound':
        if (!isSeen(this.under, begin)) this.release();
        return 'in-copy';
    }
  }
}

/** I1. Commits beyond R cannot be in the copy, so an xid that wrapped around hides nothing. */
function isSeen(later: Later | null, begin: Begin): boolean {
  if (later === null || begin.finalLsn > later.readUntil) return false;
  return sees(later.snapshot, extendXid(begin.xid, later.snapshot));
}
