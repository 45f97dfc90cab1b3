/** Where a task is, as the store keeps it and the API shows it: `progress.ts` with counts as text, which can pass 2^53. */
import { z } from 'zod';
import { PHASES, TABLE_STAGES, type MigrationProgress, type TableProgress } from '../progress.ts';

const count = z.string().regex(/^\d+$/);
const share = z.number();
const secondsLeft = z.object({ low: z.number(), high: z.number() }).nullable();

/** Of the whole task; of its tables only how many are in which stage. */
export const taskProgress = z.object({
  phase: z.enum(PHASES),
  tables: z.record(z.enum(TABLE_STAGES), z.int()).describe('How many tables are in which stage'),
  rowsCopied: count,
  bytesCopied: count,
  copy: z
    .object({
      share,
      rows: count,
      rowsEstimate: count.nullable(),
      bytes: count,
      bytesEstimate: count.nullable(),
      chunksDone: z.int(),
      chunksTotal: z.int(),
      etaSeconds: secondsLeft,
    })
    .nullable()
    .describe('The full copy; null before it, and after it in a later run'),
  indexesDone: z.int(),
  indexesTotal: z.int(),
  indexBuilds: z.array(
    z.object({ table: z.string(), index: z.string().nullable(), phase: z.string(), share: share.nullable() }),
  ),
  changesApplied: count,
  transactionsApplied: count,
  deadLetters: count,
  lagBytes: count.nullable().describe('Log of the source that is not yet applied'),
  delayMs: z.number().nullable().describe('From commit on the source to visibility on the target'),
  slot: z
    .object({ retainedBytes: count, walStatus: z.string().nullable(), safeBytes: count.nullable() })
    .nullable()
    .describe('What the source keeps for the task'),
  elapsedMs: z.number().describe('Of the present run'),
});
export type TaskProgress = z.infer<typeof taskProgress>;

/** Of one table. */
export const tableProgress = z.object({
  table: z.string(),
  stage: z.enum(TABLE_STAGES),
  rows: count,
  bytes: count,
  skipped: count,
  format: z.enum(['binary', 'text']).nullable(),
  chunksDone: z.int(),
  chunksTotal: z.int(),
  share,
  rowsEstimate: count.nullable(),
  bytesEstimate: count.nullable(),
  etaSeconds: secondsLeft,
  inserts: count,
  updates: count,
  deletes: count,
  stopped: z
    .object({
      code: z.string(),
      reason: z.string(),
      keptBytes: count.default('0').describe('Log that the source keeps for this table alone'),
    })
    .nullable()
    .default(null)
    .describe(
      'Why it has stopped while the others go on (TABLE_PAUSED, TABLE_SKIPPED: somebody asked for it); null while it has not',
    ),
});
export type StoredTableProgress = z.infer<typeof tableProgress>;

/** The snapshot of a run, without its tables. */
export function toTaskProgress(progress: MigrationProgress): TaskProgress {
  const tables = Object.fromEntries(
    TABLE_STAGES.map((stage) => [stage, progress.tables.filter((table) => table.stage === stage).length]),
  );
  return taskProgress.parse({ ...plain({ ...progress, tables: [] }), tables });
}

/** One table of the snapshot; `stopped` says why it has stopped. */
export function toTableProgress(
  table: TableProgress,
  stopped: StoredTableProgress['stopped'] = null,
): StoredTableProgress {
  return tableProgress.parse({ ...plain(table), stopped });
}

/** Counts as text, at every depth. */
function plain(value: object): object {
  const text = JSON.stringify(value, (_, item: unknown) => (typeof item === 'bigint' ? String(item) : item));
  return JSON.parse(text) as object;
}
