/**
 * Slows the applying of changes down (E4): rows and bytes a second. What has been applied is a debt; the next window waits until it is
 * paid. Windows stay small enough for the rate to hold over seconds.
 */
import { emptyBucket, spend, waitMs, withRate, type TokenBucket } from '../../base/runtime/token-bucket.ts';

/** Positive, a second; null: without limit. Bytes are those of the values. */
export interface StreamLimits {
  readonly rowsPerSecond: number | null;
  readonly bytesPerSecond: number | null;
}

export const NO_STREAM_LIMITS: StreamLimits = { rowsPerSecond: null, bytesPerSecond: null };

/** How much of a second one window may hold. */
const SHARE = 0.05;

export class StreamThrottle {
  private rows: TokenBucket;
  private bytes: TokenBucket;
  private current: StreamLimits;
  private waiting: { readonly goOn: () => void; timer: NodeJS.Timeout } | null = null;

  constructor(limits: StreamLimits) {
    const now = performance.now();
    this.current = limits;
    this.rows = emptyBucket(limits.rowsPerSecond, now);
    this.bytes = emptyBucket(limits.bytesPerSecond, now);
  }

  get limits(): StreamLimits {
    return this.current;
  }

  /** Holds at once, also for whoever waits. */
  set(limits: StreamLimits): void {
    const now = performance.now();
    this.current = limits;
    this.rows = withRate(this.rows, limits.rowsPerSecond, now);
    this.bytes = withRate(this.bytes, limits.bytesPerSecond, now);
    if (this.waiting === null) return;
    clearTimeout(this.waiting.timer);
    this.waiting.timer = setTimeout(this.waiting.goOn, this.debtMs());
  }

  /** Whether a window of this size is as large as the rates let it be. */
  isFull(changes: number, bytes: number): boolean {
    const { rowsPerSecond, bytesPerSecond } = this.current;
    return (
      (rowsPerSecond !== null && changes >= Math.max(1, rowsPerSecond * SHARE)) ||
      (bytesPerSecond !== null && bytes >= bytesPerSecond * SHARE)
    );
  }

  spend(changes: number, bytes: number): void {
    const now = performance.now();
    this.rows = spend(this.rows, changes, now);
    this.bytes = spend(this.bytes, bytes, now);
  }

  /** Resolves when the debt is paid; null when there is none. One waits at a time. */
  paid(): Promise<void> | null {
    const debt = this.debtMs();
    if (debt === 0) return null;
    const { promise, resolve } = Promise.withResolvers<void>();
    const goOn = () => {
      this.waiting = null;
      resolve();
    };
    this.waiting = { goOn, timer: setTimeout(goOn, debt) };
    return promise;
  }

  private debtMs(): number {
    const now = performance.now();
    // A timer cannot wait longer; whoever set such a rate will not notice that it looks again.
    return Math.min(2 ** 31 - 1, Math.max(waitMs(this.rows, now), waitMs(this.bytes, now)));
  }
}
