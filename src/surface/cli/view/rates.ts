/** Speeds of a running migration, over the last seconds rather than since the start. */
import type { MigrationProgress } from '../../../contract/progress.ts';

export interface Rates {
  /** Per second, in the copy. */
  readonly rows: number;
  readonly bytes: number;
  /** Per second, in the stream. */
  readonly changes: number;
  /** Bytes per second of the tables that are being copied. */
  readonly tables: ReadonlyMap<string, number>;
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
    // An attempt that failed takes back what it had counted.
    const speed = (before: bigint, now: bigint, over = seconds) =>
      over > 0 ? Math.max(0, Number(now - before) / over) : 0;
    // What earlier runs have copied of a table is known from the plan of the copy on, and is no speed.
    const planned = samples.find(({ copy }) => copy !== null) ?? progress;
    const since = (progress.elapsedMs - planned.elapsedMs) / 1000;
    const before = new Map(planned.tables.map(({ table, bytes }) => [table, bytes]));
    const copying = progress.tables.filter(({ stage }) => stage === 'copying');
    return {
      rows: speed(oldest.rowsCopied, progress.rowsCopied),
      bytes: speed(oldest.bytesCopied, progress.bytesCopied),
      changes: speed(oldest.changesApplied, progress.changesApplied),
      tables: new Map(
        copying.map(({ table, bytes }) => [table, speed(before.get(table) ?? bytes, bytes, since)] as const),
      ),
    };
  };
}
