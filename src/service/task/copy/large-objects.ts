/**
 * Large objects in the full copy: those of the whole database, under the snapshot of the tables. Changes of them are not followed: without
 * incremental all are brought to the moment of one snapshot, by copying again those of an earlier one; with it they may be of several.
 */
import type { AppError } from '../../../base/errors/app-error.ts';
import type { LargeObjectBatch } from '../../../engine/change/large-object.ts';
import type { OidRange } from '../../../engine/change/oid-range.ts';
import type { Session } from '../../../engine/pg/session.ts';
import type { CopyEnd } from '../../../engine/pipeline/copy-run.ts';
import { runLargeObjects } from '../../../engine/pipeline/large-object-run.ts';
import { openLargeObjectReader } from '../../../engine/source/large-objects.ts';
import type { HeldSnapshot } from '../../../engine/source/snapshot-holder.ts';
import type { DoneChunk } from '../../../engine/target/books/done-chunks.ts';
import {
  readCopiedObjects,
  readGaps,
  recordEmpty,
  takeBackEarlier,
} from '../../../engine/target/books/large-object-books.ts';
import {
  openLargeObjectWriter,
  type WrittenObjects,
} from '../../../engine/target/copy/large-object-writer.ts';
import { enter, warn, type TaskRun } from '../task-run.ts';

/** Their line in the progress, and what they are called where they could not be copied. */
export const LARGE_OBJECTS = 'large objects';

interface Under {
  readonly held: HeldSnapshot;
  readonly signal: AbortSignal;
}

export interface LargeObjectPlan {
  readonly gaps: readonly OidRange[];
  readonly objects: bigint;
  readonly batches: number;
}

/** Said at every start: nothing else would tell. */
export async function sayNotFollowed(run: TaskRun): Promise<void> {
  const { types } = run.request;
  if (!run.wholeDatabase || !types.has('incremental')) return;
  const source = await run.ends.source();
  const { some } = await source.one('SELECT EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata) AS some');
  if (some === 't') warn(run, `large objects are ${types.has('full') ? 'copied once and ' : ''}not followed`);
}

export async function areLargeObjectsCopied(run: TaskRun, target: Session): Promise<boolean> {
  return !run.wholeDatabase || (await readGaps(target, run.taskId)).length === 0;
}

/** What is left to copy under this snapshot; null where nothing is. Takes back what must not stay of an earlier one. */
export async function planLargeObjects(
  run: TaskRun,
  { held, signal }: Under,
): Promise<LargeObjectPlan | null> {
  if (!run.wholeDatabase) return null;
  const target = await run.ends.target();
  const before = await readCopiedObjects(target, run.taskId, held.text);
  const followed = run.request.types.has('incremental');
  if (!followed) {
    if (before.earlier > 0n)
      warn(
        run,
        `${before.earlier} large objects were copied under an earlier snapshot, and are copied again: all are of one moment then`,
      );
    await takeBackEarlier(target, run, { snapshot: held.text, signal });
  }
  const gaps = await readGaps(target, run.taskId);
  if (gaps.length === 0) return null;
  const { objects, batches } = await count(run, held, gaps);
  if (batches === 0) {
    await recordEmpty(target, run, { ranges: gaps, snapshot: held.text });
    return null;
  }
  if (followed && before.earlier > 0n)
    warn(
      run,
      `large objects are of different moments: ${before.earlier} were copied under an earlier snapshot, ${objects} are copied now`,
    );
  await register(run, held, { objects, batches });
  return { gaps, objects, batches };
}

async function count(
  run: TaskRun,
  held: HeldSnapshot,
  gaps: readonly OidRange[],
): Promise<{ objects: bigint; batches: number }> {
  await using reader = await openReader(run, held);
  return await reader.count(gaps);
}

function openReader(run: TaskRun, held: HeldSnapshot): ReturnType<typeof openLargeObjectReader> {
  return openLargeObjectReader({
    open: () => run.ends.openSource('copy'),
    held,
    throttle: run.throttle,
  });
}

async function register(
  run: TaskRun,
  held: HeldSnapshot,
  { objects, batches }: Omit<LargeObjectPlan, 'gaps'>,
): Promise<void> {
  const { made, skipped, bytes } = await readCopiedObjects(await run.ends.target(), run.taskId, held.text);
  const source = await run.ends.source();
  const size = await source.one(
    "SELECT pg_catalog.pg_relation_size('pg_catalog.pg_largeobject')::text AS bytes",
  );
  const isBegun = made + skipped > 0n;
  run.book.registerOther(LARGE_OBJECTS, {
    estimatedRows: Number(made + skipped + objects),
    bytes: BigInt(size.bytes ?? '0'),
  });
  run.book.planned(LARGE_OBJECTS, [
    ...(isBegun ? [doneChunk('earlier', { rows: made, skipped, bytes })] : []),
    ...Array.from({ length: batches }, () => null),
  ]);
}

/** After the tables, if these have not ended the run: what they ended with, and what could not be copied here. */
export async function copyLargeObjects(
  run: TaskRun,
  { plan, tables, ...under }: Under & { plan: LargeObjectPlan | null; tables: CopyEnd },
): Promise<CopyEnd> {
  if (plan === null || tables.kind !== 'done') return tables;
  const started = performance.now();
  enter(run, 'copy', `copying ${plan.objects} large objects in ${plan.batches} batches`);
  const ownerless = new Map<string, number>();
  const errors = await runPlanned(run, under, { plan, ownerless });
  run.book.copyMs += performance.now() - started;
  sayOwnerless(run, ownerless);
  if (errors.length > 0) run.book.failed(LARGE_OBJECTS);
  for (const error of errors) warn(run, `${error.message} ${error.remedy} The others are copied.`);
  const failed = errors.map((error, at): [string, AppError] => [
    at === 0 ? LARGE_OBJECTS : `${LARGE_OBJECTS} ${at + 1}`,
    error,
  ]);
  return { ...tables, failed: new Map([...tables.failed, ...failed]) };
}

function runPlanned(
  run: TaskRun,
  { held, signal }: Under,
  { plan, ownerless }: { plan: LargeObjectPlan; ownerless: Map<string, number> },
): Promise<AppError[]> {
  const { book, request, hooks } = run;
  return runLargeObjects({
    taskId: run.taskId,
    fence: run.fence,
    gaps: plan.gaps,
    jobs: Math.min(request.jobs, plan.batches),
    strict: request.strict,
    keep: request.conflict === 'ignore',
    snapshot: held.text,
    openReader: () => openReader(run, held),
    openWriter: () => openLargeObjectWriter(() => run.ends.openTarget('copy')),
    failpoints: hooks.failpoints,
    signal,
    onStart: (batch) => book.copying(label(batch)),
    onPass: (batch, bytes) => book.passing(label(batch), { rows: 0, bytes }),
    onVoid: (batch) => book.voided(label(batch)),
    onDone: (batch, written) => {
      for (const [owner, objects] of written.ownerless)
        ownerless.set(owner, (ownerless.get(owner) ?? 0) + objects);
      // What remains of a gap may hold no object: it was not counted as a batch.
      if (batch.objects.length > 0) book.copied(label(batch), doneOf(batch, written));
    },
  });
}

function sayOwnerless(run: TaskRun, ownerless: ReadonlyMap<string, number>): void {
  if (ownerless.size === 0) return;
  const total = [...ownerless.values()].reduce((sum, objects) => sum + objects, 0);
  warn(
    run,
    `${total} large objects belong to the target account, because their owners are no roles there or it may not give objects to them: ${[...ownerless.keys()].join(', ')}`,
  );
}

function label({ first, last }: OidRange): { table: string; id: string } {
  return { table: LARGE_OBJECTS, id: `${first}-${last}` };
}

function doneOf(batch: LargeObjectBatch, { made, skipped, bytes }: WrittenObjects): DoneChunk {
  return doneChunk(label(batch).id, { rows: BigInt(made), skipped: BigInt(skipped), bytes });
}

function doneChunk(id: string, amounts: Pick<DoneChunk, 'rows' | 'skipped' | 'bytes'>): DoneChunk {
  return { id, snapshot: null, readUntil: null, ...amounts };
}
