/**
 * The copy beside the stream and the stream itself take turns where both would touch what is copied: while a pass is under way the units
 * and what the target holds of them are the copy's; between two passes the stream may empty tables and have them copied again.
 */
export class Turns {
  private pass: Promise<unknown> | null = null;
  private enough = new AbortController();
  /** Set while the stream has its turn, or waits for it: no pass begins. */
  private hold: PromiseWithResolvers<void> | null = null;

  /** By the copy. `enough` aborts when the stream wants its turn: what is begun is finished, and nothing more begun. */
  async copy<T>(signal: AbortSignal, work: (enough: AbortSignal) => Promise<T>): Promise<T> {
    while (this.hold !== null) await either(this.hold.promise, signal);
    signal.throwIfAborted();
    this.enough = new AbortController();
    const pass = work(this.enough.signal);
    this.pass = pass;
    try {
      return await pass;
    } finally {
      this.pass = null;
    }
  }

  /** By the stream: whether it may take its turn at once. If not the pass ends soon, and no other begins before the turn is taken. */
  ask(): boolean {
    this.hold ??= Promise.withResolvers();
    this.enough.abort();
    return this.pass === null;
  }

  /** By the stream. Waits for the end of a pass that is under way. */
  async between<T>(work: () => Promise<T>): Promise<T> {
    while (!this.ask()) await this.pass?.catch(() => {});
    try {
      return await work();
    } finally {
      this.leave();
    }
  }

  /** The stream wants nothing any more. */
  leave(): void {
    this.hold?.resolve();
    this.hold = null;
  }
}

async function either(event: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { promise, resolve } = Promise.withResolvers<void>();
  const aborted = () => resolve();
  signal.addEventListener('abort', aborted, { once: true });
  await Promise.race([event, promise]);
  signal.removeEventListener('abort', aborted);
  signal.throwIfAborted();
}
