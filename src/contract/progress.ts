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

export const TABLE_STAGES = ['waiting', 'copying', 'copied', 'streaming', 'done', 'failed'] as const;
export type TableStage = (typeof TABLE_STAGES)[number];

/** A guess: at least and at most so many seconds. */
export interface SecondsLeft {
  readonly low: number;
  readonly high: number;
}

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
  /** How much of it is copied, 0 to 1; chunks on their way count by what they should hold. */
  readonly share: number;
  /** Estimate from statistics; null when never analyzed. */
  readonly rowsEstimate: bigint | null;
  /** What `bytes` will come to, going by what has passed so far; null while too little has. */
  readonly bytesEstimate: bigint | null;
  /** Null when unknown, and unless it is being copied. */
  readonly etaSeconds: SecondsLeft | null;
  readonly inserts: bigint;
  readonly updates: bigint;
  readonly deletes: bigint;
}

/** The full copy as a whole, with what earlier runs of the task have copied. Tables that failed count with what they came to. */
export interface CopyProgress {
  /** Of the tables' sizes on disk, 0 to 1. */
  readonly share: number;
  readonly rows: bigint;
  /** Null where a table's statistics are missing. */
  readonly rowsEstimate: bigint | null;
  /** As they travel, which is not what they take on disk. */
  readonly bytes: bigint;
  /** What `bytes` will come to, going by what has passed so far for each byte on disk; null while too little has. */
  readonly bytesEstimate: bigint | null;
  readonly chunksDone: number;
  readonly chunksTotal: number;
  /** Null when unknown: at the start, and while nothing moves. */
  readonly etaSeconds: SecondsLeft | null;
}

/** An index that the target is building right now. */
export interface IndexBuild {
  /** Target name, `schema.table`. */
  readonly table: string;
  /** Null where several small ones are built by one statement, or as part of a constraint. */
  readonly index: string | null;
  /** In the server's words: `scanning table`, `sorting live tuples`, … */
  readonly phase: string;
  /** Of the phase, 0 to 1; null where the server does not count. */
  readonly share: number | null;
}

/** Changes that the target has refused and that are kept there. */
export interface TableLetters {
  /** Source name, `schema.table`. */
  readonly table: string;
  readonly letters: bigint;
}

/** What the source keeps for the task's slot. */
export interface SlotProgress {
  readonly retainedBytes: bigint;
  /** `reserved`, `extended`, `unreserved` or `lost`; null before PostgreSQL 13. */
  readonly walStatus: string | null;
  /** How much more may be written before the server drops it; null where the server has no limit. */
  readonly safeBytes: bigint | null;
}

export interface MigrationProgress {
  readonly taskId: string;
  readonly phase: Phase;
  readonly tables: readonly TableProgress[];
  readonly rowsCopied: bigint;
  readonly bytesCopied: bigint;
  /** Null unless this run has come to the copy. */
  readonly copy: CopyProgress | null;
  readonly indexesDone: number;
  readonly indexesTotal: number;
  /** Empty on targets before PostgreSQL 12, which do not tell. */
  readonly indexBuilds: readonly IndexBuild[];
  /** Row changes and transactions of the source that are durable in the target. */
  readonly changesApplied: bigint;
  readonly transactionsApplied: bigint;
  /** Changes that the target has refused, kept and neither replayed nor dropped. */
  readonly deadLetters: bigint;
  /** WAL of the source not yet applied; null before the stream runs. */
  readonly lagBytes: bigint | null;
  /**
   * Milliseconds between commit on the source and visibility on the target, by the source's clock: what the newest commit took; while
   * behind, how old the first is that may be missing. Null when unknown.
   */
  readonly delayMs: number | null;
  /** Null while there is none, or nothing is known of it. */
  readonly slot: SlotProgress | null;
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
  /** How many of the tables that this run copied travelled in which format. */
  readonly formats: { readonly binary: number; readonly text: number };
  /** Rows of the target that stood where a row of the source would have gone (conflict mode ignore). */
  readonly kept: readonly { readonly table: string; readonly rows: bigint }[];
  /** Tables of an incremental migration that were copied, in part at least, under a later snapshot than the slot's. */
  readonly copiedLater: readonly string[];
  readonly changesApplied: bigint;
  readonly transactionsApplied: bigint;
  /** Of these tables the target lacks changes; empty in a migration that is clean. */
  readonly deadLetters: readonly TableLetters[];
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
