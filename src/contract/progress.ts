/** How a running migration describes itself: read by the terminal view and the JSON output (and later the console). */

export const PHASES = [
  'connect',
  'check',
  'prepare',
  'schema',
  'copy',
  'index',
  'catch-up',
  'stream',
  'finish',
  'done',
] as const;
export type Phase = (typeof PHASES)[number];

export type TableStage = 'waiting' | 'copying' | 'copied' | 'streaming' | 'done' | 'failed';

export interface TableProgress {
  /** Source name, `schema.table`. */
  readonly table: string;
  readonly stage: TableStage;
  readonly rows: bigint;
  readonly bytes: bigint;
  /** Rows that the target had already (conflict mode ignore). */
  readonly skipped: bigint;
  /** How the table travels; null until it is planned. */
  readonly format: 'binary' | 'text' | null;
  readonly chunksDone: number;
  readonly chunksTotal: number;
  /** Estimate from statistics; null when never analyzed. */
  readonly rowsEstimate: bigint | null;
  readonly inserts: bigint;
  readonly updates: bigint;
  readonly deletes: bigint;
}

export interface MigrationProgress {
  readonly taskId: string;
  readonly phase: Phase;
  readonly tables: readonly TableProgress[];
  readonly rowsCopied: bigint;
  readonly bytesCopied: bigint;
  readonly indexesDone: number;
  readonly indexesTotal: number;
  /** Row changes and transactions of the source that are durable in the target. */
  readonly changesApplied: bigint;
  readonly transactionsApplied: bigint;
  /** WAL of the source not yet applied; null before the stream runs. */
  readonly lagBytes: bigint | null;
  /** Age of the newest applied source transaction while behind; 0 when in step; null when unknown. */
  readonly lagSeconds: number | null;
  readonly elapsedMs: number;
}

/** Something a person should see once, in order. Never holds row values. */
export interface MigrationEvent {
  readonly level: 'info' | 'warn';
  readonly phase: Phase;
  readonly message: string;
}

export interface NextStep {
  readonly why: string;
  /** Ready to paste. Connection strings without passwords. */
  readonly command: string;
}

export interface MigrationSummary {
  readonly taskId: string;
  readonly outcome: 'completed' | 'caught-up' | 'stopped';
  readonly tables: number;
  readonly rowsCopied: bigint;
  readonly bytesCopied: bigint;
  readonly copyMs: number;
  readonly changesApplied: bigint;
  readonly transactionsApplied: bigint;
  readonly streamMs: number;
  readonly lagBytes: bigint | null;
  /** True when nothing is left to do: no incremental part. Reaching "caught up" is never final. */
  readonly final: boolean;
  readonly writersOnSource: number;
  readonly slot: string | null;
  readonly notMigrated: readonly string[];
  readonly warnings: readonly string[];
  readonly nextSteps: readonly NextStep[];
  readonly elapsedMs: number;
}
