/** Shows what the source keeps for the slot, and warns of what endangers it, while changes are followed (C8). */
import { NO_PROTECTION, type SourceState } from '../../../engine/source/source-limits.ts';
import { watchSource } from '../../../engine/source/source-watch.ts';
import type { ProgressBook } from '../progress-book.ts';
import type { TaskRun } from '../task-run.ts';

/** A transaction that is open for so long is worth a look. */
export const LONG_TRANSACTION_S = 300;

/** Runs until it is disposed of. A slot that is lost is the reader's to report. */
export function watchSlot(run: TaskRun): Disposable {
  return watchSource({
    taskId: run.taskId,
    limits: NO_PROTECTION,
    slot: run.names.slot,
    longSeconds: LONG_TRANSACTION_S,
    open: () => run.ends.openWatch('source'),
    told: run.told,
    onState: ({ slot }) => showSlot(run.book, slot),
    // Told as they come; a summary of weeks would be full of them.
    onWarning: (message) => run.hooks.onEvent({ level: 'warn', phase: run.book.phase, message }),
    onOverrun: () => Promise.resolve(),
  });
}

export function showSlot(book: ProgressBook, slot: SourceState['slot']): void {
  if (typeof slot === 'string') {
    book.slot = null;
    return;
  }
  const { retainedBytes, walStatus, safeBytes } = slot;
  book.slot = { retainedBytes, walStatus, safeBytes };
}
