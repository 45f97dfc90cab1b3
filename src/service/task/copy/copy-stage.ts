/** The slot with its snapshot, and the full copy under it or, after a loss, under a later one (data-plane P1–P4, I1–I3). */
import { AppError } from '../../../base/errors/app-error.ts';
import { parseSnapshot } from '../../../engine/change/snapshot.ts';
import { endOfWal } from '../../../engine/pg/wal-position.ts';
import {
  holdFreshSnapshot,
  holdSlotSnapshot,
  nextXid,
  type HeldSnapshot,
} from '../../../engine/source/snapshot-holder.ts';
import { recordSlot } from '../../../engine/target/books/recorded-slot.ts';
import { holdFence, setPhase } from '../../../engine/target/books/task-row.ts';
import { dropTaskSlot } from '../owner/ownership.ts';
import { decoderFor } from '../source/choose-decoder.ts';
import { followSource } from '../source/source-history.ts';
import { prepareForSlot } from '../source/source-objects.ts';
import { warn, type TaskRun } from '../task-run.ts';
import { AskedInCopy } from './asked-in-copy.ts';
import { Copies } from './copies.ts';
import { isComplete, readBooks, type CopiedTable } from './copy-books.ts';
import { copyPass, patiently } from './copy-pass.ts';
import { cutAll } from './copy-plan.ts';
import { endForSource } from './guard-source.ts';
import { copiedBytes, warnOfOnePieces } from './one-piece.ts';
import { areLargeObjectsCopied } from './large-objects.ts';
import { readKeysOfBothEnds } from './range-units.ts';
import { leaveNoSlot, slotWait } from './slot-creation.ts';
import { watchBudget } from './wal-budget.ts';

const SNAPSHOT_ATTEMPTS = 10;

/** P1 and P2. The result holds S1; it is recorded before anything is read under it. */
export async function createSlotAndHold(run: TaskRun): Promise<HeldSnapshot> {
  const [source, target] = [await run.ends.source(), await run.ends.target()];
  const decoder = await decoderFor(run);
  await prepareForSlot(run, decoder);
  // A slot of our name that no row speaks of is from a run that died before it could write it down.
  await dropTaskSlot(run, 'orphan');
  const holder = await run.ends.openReplication('holder');
  try {
    // The control file would still name the old timeline for a while after a promotion.
    const { timeline } = await holder.one('IDENTIFY_SYSTEM');
    const held = await holdSlotSnapshot(
      holder,
      { name: run.names.slot, plugin: decoder },
      slotWait(run, source),
    );
    run.hooks.failpoints.pass('slot.after-create');
    const slot = { lsn: held.consistentPoint, snapshot: held.text, timeline: Number(timeline), decoder };
    await recordSlot(target, run, slot);
    run.task = { ...run.task, phase: 'copy', slot };
    return held;
  } catch (thrown) {
    await holder.end();
    await leaveNoSlot(run);
    throw thrown;
  }
}

/** `rest-beside`: what is left is copied beside the stream. */
export type CopyOutcome = 'complete' | 'rest-beside';

/**
 * Copies what is not done yet and passes the task on to its next phase. `first` is the slot's snapshot when it was taken in this run; it
 * is closed here. Throws TABLES_FAILED, after all others are done, when tables could not be copied (C10); SOURCE_PROTECTED when the copy
 * cost the source more than the task allows.
 *
 * Chunks commit without waiting for the disk, so a target that crashes may forget some that were answered. Only the phase's own commit
 * makes them durable, and it is made only where the target still has them all; what it forgot is copied again.
 */
export async function copyTables(run: TaskRun, first: HeldSnapshot | null): Promise<CopyOutcome> {
  let held: HeldSnapshot | null = first;
  let losses = 0;
  const before = copiedBytes(await patiently(run, () => booksOf(run)));
  using budget = watchBudget(run);
  await using asked = new AskedInCopy(run);
  try {
    while (!(await patiently(run, () => asked.attend().then(() => passCopy(run))))) {
      if (await patiently(run, () => asked.isHeldUp())) {
        if (run.task.slot !== null) return await copyRestBeside(run);
        // Nothing but a person is waited for, and nobody needs the snapshot meanwhile.
        await held?.[Symbol.asyncDispose]();
        held = null;
        await asked.waitHeldUp();
        continue;
      }
      held ??= await patiently(run, () => holdLater(run));
      const later = held === first ? null : held;
      const end = await copyPass(run, {
        held,
        isFirst: held === first,
        copies: run.task.slot === null ? null : await patiently(run, () => loadCopies(run, later)),
        isBeside: false,
        isHeld: (table) => asked.isHeld(table),
        enough: budget.signal,
        onSlot: budget.onSlot,
      });
      if (end.kind === 'done' && end.failed.size === 0) continue;
      await held[Symbol.asyncDispose]();
      held = null;
      if (end.kind === 'stopped') run.hooks.signal.throwIfAborted();
      if (end.kind === 'over') throw await endForSource(run, end.over);
      if (end.kind === 'rest' && budget.signal.aborted) {
        warn(run, `${budget.reason} Changes are applied from now on, while the rest is copied.`);
        const copied = copiedBytes(await booksOf(run)) - before;
        const copyBytes = Number(copied) / budget.elapsedSeconds;
        await warnOfOnePieces(run, { copyBytes, walBytes: budget.walBytesPerSecond });
        return await copyRestBeside(run);
      }
      if (end.kind === 'done') {
        const failed = await patiently(run, () => asked.stillWanted(end.failed));
        if (failed.size > 0) throw tablesFailed(failed);
      }
      if (end.kind === 'failed' || (end.kind === 'snapshot-lost' && ++losses >= SNAPSHOT_ATTEMPTS))
        throw end.cause;
      if (end.kind === 'snapshot-lost')
        warn(run, `${end.cause.message} What is not copied yet is copied under a new snapshot.`);
    }
    return 'complete';
  } finally {
    await held?.[Symbol.asyncDispose]();
  }
}

/** Changes are followed from now on; what is left, if somebody wants it, is copied meanwhile. */
async function copyRestBeside(run: TaskRun): Promise<CopyOutcome> {
  await setPhase(await run.ends.target(), run, 'index');
  run.task = { ...run.task, phase: 'index' };
  return 'rest-beside';
}

async function booksOf(run: TaskRun): Promise<CopiedTable[]> {
  return readBooks(await run.ends.target(), run.taskId, run.tables);
}

/** All units, bound to this snapshot; null is the slot's own. */
async function loadCopies(run: TaskRun, held: HeldSnapshot | null): Promise<Copies> {
  const copies = new Copies((table) => run.targetOf(table));
  copies.load(await cutAll(run), await readKeysOfBothEnds(run));
  copies.bindAll(held);
  return copies;
}

async function holdLater(run: TaskRun): Promise<HeldSnapshot> {
  const { slot } = run.task;
  let hasStreamed = false;
  if (slot !== null) {
    // What is copied now is of use only with the changes since.
    const recorded = await followSource(run);
    hasStreamed = recorded > slot.lsn;
  }
  const held = await holdFreshSnapshot(() => run.ends.openSource('holder'), {
    covers: slot === null ? null : parseSnapshot(slot.snapshot),
    settled: hasStreamed ? await nextXid(await run.ends.source()) : null,
  });
  // The stream will have to get to its R: on an idle source what lies before that is flushed only when somebody asks.
  if (slot !== null) await endOfWal(await run.ends.source());
  return held;
}

/** One table: its own error. Several: one error that names them all. */
export function tablesFailed(failed: ReadonlyMap<string, AppError>): AppError {
  const errors = [...failed.values()];
  const [first] = errors;
  if (first && errors.length === 1) return first;
  return new AppError('TABLES_FAILED', {
    count: errors.length,
    problems: errors.map((error) => error.message).join(' '),
  });
}

/** True when every chunk is on the target and the phase that follows has been committed, durably, with that. */
async function passCopy(run: TaskRun): Promise<boolean> {
  run.hooks.signal.throwIfAborted();
  const target = await run.ends.target();
  return target.transaction(async () => {
    await holdFence(target, run.taskId, run.fence);
    if (!(await readBooks(target, run.taskId, run.tables)).every(isComplete)) return false;
    if (!(await areLargeObjectsCopied(run, target))) return false;
    await target.query("UPDATE _opendts.task SET phase = 'index' WHERE task_id = $1", [run.taskId]);
    run.task = { ...run.task, phase: 'index' };
    return true;
  });
}
