/**
 * Slows the full copy of one task down (E4): statements, rows and bytes a second on the source, shared by all its workers.
 *
 *   T1. What passes is a debt in the buckets. A unit lets one turn through (the same for all, `TURN_MS` of the rate), then stands still
 *       until the debt of that moment is paid, its own and that of the others: units take turns, and none starves.
 *   T2. A unit begins when the debt of the units before it is paid: small ones do not slip through.
 *   T3. New limits hold at once, for those who wait as well; where a limit is lifted they go on.
 */
import { emptyBucket, spend, waitMs, withRate, type TokenBucket } from '../../base/runtime/token-bucket.ts';
import type { CopyAmount, CopyPace, Pause } from '../pg/wire/copy-pace.ts';

/** All positive, a second; null: without limit. Rows and bytes as CopyAmount counts them. */
export interface CopyLimits {
  readonly queriesPerSecond: number | null;
  readonly rowsPerSecond: number | null;
  readonly bytesPerSecond: number | null;
}

export const NO_LIMITS: CopyLimits = { queriesPerSecond: null, rowsPerSecond: null, bytesPerSecond: null };

/** Short, so that the rate holds over seconds also where it is far below what one read of a socket brings. */
const TURN_MS = 20;
/** The longest that a timer can wait (24 days); a longer one would fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

interface Waiter {
  readonly debtMs: (now: number) => number;
  readonly goOn: () => void;
}

export class CopyThrottle {
  private queries: TokenBucket;
  private rows: TokenBucket;
  private bytes: TokenBucket;
  private turn: CopyAmount;
  private current: CopyLimits;
  private readonly followers = new Set<() => void>();
  /** In the order they came, each with its timer. */
  private readonly waiting = new Map<Waiter, NodeJS.Timeout>();

  constructor(limits: CopyLimits) {
    const now = performance.now();
    this.queries = emptyBucket(limits.queriesPerSecond, now);
    this.rows = emptyBucket(limits.rowsPerSecond, now);
    this.bytes = emptyBucket(limits.bytesPerSecond, now);
    this.turn = turnOf(limits);
    this.current = limits;
  }

  get limits(): CopyLimits {
    return this.current;
  }

  /** Tells whoever keeps a part of these limits elsewhere that they have changed; the result ends that. */
  follow(changed: () => void): () => void {
    this.followers.add(changed);
    return () => this.followers.delete(changed);
  }

  /** Changes the limits while copies run (T3). What has passed and is not paid yet is paid at the new rates. */
  set(limits: CopyLimits): void {
    const now = performance.now();
    this.queries = withRate(this.queries, limits.queriesPerSecond, now);
    this.rows = withRate(this.rows, limits.rowsPerSecond, now);
    this.bytes = withRate(this.bytes, limits.bytesPerSecond, now);
    this.turn = turnOf(limits);
    this.current = limits;
    for (const changed of this.followers) changed();
    for (const [waiter, timer] of this.waiting) {
      clearTimeout(timer);
      this.wakeAfter(waiter, waiter.debtMs(now));
    }
  }

  /** Resolves when one more statement of a unit may be sent to the source (T2). Throws the signal's reason. */
  async beforeQuery(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const now = performance.now();
    this.queries = spend(this.queries, 1, now);
    const pause = this.pause((at) => Math.max(waitMs(this.queries, at), this.dataDebtMs(at)), resolve, now);
    if (pause === null) return;
    const abort = () => {
      pause.cancel();
      reject(signal.reason);
    };
    signal.addEventListener('abort', abort, { once: true });
    try {
      await promise;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  /** The pace of one unit's COPY (T1). */
  forUnit(): CopyPace {
    let used: CopyAmount = NOTHING;
    const left = (): CopyAmount => ({
      rows: Math.max(1, this.turn.rows - used.rows),
      bytes: Math.max(1, this.turn.bytes - used.bytes),
    });
    const spendTurn = (passed: CopyAmount, goOn: () => void): Pause | null => {
      const now = performance.now();
      this.rows = spend(this.rows, passed.rows, now);
      this.bytes = spend(this.bytes, passed.bytes, now);
      used = { rows: used.rows + passed.rows, bytes: used.bytes + passed.bytes };
      if (used.rows < this.turn.rows && used.bytes < this.turn.bytes) return null;
      used = NOTHING;
      return this.pause((at) => this.dataDebtMs(at), goOn, now);
    };
    return {
      get grain() {
        return left();
      },
      spend: (passed, goOn) => (this.isUnlimited() ? null : spendTurn(passed, goOn)),
    };
  }

  private isUnlimited(): boolean {
    return this.rows.rate === null && this.bytes.rate === null;
  }

  private dataDebtMs(now: number): number {
    return Math.max(waitMs(this.rows, now), waitMs(this.bytes, now));
  }

  private pause(debtMs: Waiter['debtMs'], goOn: () => void, now: number): Pause | null {
    const debt = debtMs(now);
    if (debt === 0) return null;
    const waiter: Waiter = { debtMs, goOn };
    this.wakeAfter(waiter, debt);
    return {
      cancel: () => {
        clearTimeout(this.waiting.get(waiter));
        this.waiting.delete(waiter);
      },
    };
  }

  /** Keeps the waiter's place among those who wait. */
  private wakeAfter(waiter: Waiter, ms: number): void {
    const wake = () => {
      this.waiting.delete(waiter);
      waiter.goOn();
    };
    this.waiting.set(waiter, setTimeout(wake, Math.min(ms, LONGEST_TIMER_MS)));
  }
}

const NOTHING: CopyAmount = { rows: 0, bytes: 0 };

function turnOf({ rowsPerSecond, bytesPerSecond }: CopyLimits): CopyAmount {
  const turn = (rate: number | null) =>
    rate === null ? Infinity : Math.max(1, Math.floor((rate * TURN_MS) / 1000));
  return { rows: turn(rowsPerSecond), bytes: turn(bytesPerSecond) };
}
