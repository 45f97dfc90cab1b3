/** Speeds of a running migration, over the last seconds rather than since the start. */
import type { MigrationProgress } from '../../contract/progress.ts';

export interface Rates {
  /** Per second, in the copy. */
  readonly rows: number;
  readonly bytes: number;
  /** Per second, in the stream. */
  readonly changes: number;
}

const WINDOW_MS = 5000;

/** A meter to be asked with every new progress; speeds are those of about the last five seconds. */
export function rateMeter(): (progress: MigrationProgress) => Rates {
  const samples: MigrationProgress[] = [];
  return (progress) => {
    samples.push(progress);
    // The oldest one kept is the last that is older than the window.
    while (samples[1] && progress.elapsedMs - samples[1].elapsedMs >= WINDOW_MS) samples.shift();
    const [oldest = progress] = samples;
    const seconds = (progress.elapsedMs - oldest.elapsedMs) / 1000;
    const speed = (before: bigint, now: bigint) => (seconds > 0 ? Number(now - before) / seconds : 0);
    return {
      rows: speed(oldest.rowsCopied, progress.rowsCopied),
      bytes: speed(oldest.bytesCopied, progress.bytesCopied),
      changes: speed(oldest.changesApplied, progress.changesApplied),
    };
  };
}
