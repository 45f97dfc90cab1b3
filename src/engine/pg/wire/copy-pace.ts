/** How a copy is slowed down: what the relay asks of whoever keeps the limits (source/throttle.ts). */

/** Rows, and bytes as they go over the network: each row with its message's head. */
export interface CopyAmount {
  readonly rows: number;
  readonly bytes: number;
}

/** A copy standing still. */
export interface Pause {
  /** `goOn` will not be called any more. */
  cancel(): void;
}

/** Slows one copy down. */
export interface CopyPace {
  /** The most to let through at once: positive, may change at any time. */
  readonly grain: CopyAmount;
  /** Told what has just passed. Null: go on; else the copy stands still until `goOn` is called, never before this returns. */
  spend(passed: CopyAmount, goOn: () => void): Pause | null;
}
