/** Spares the source while tables are copied: the copy ends, and lets go of what it holds there, where a limit of the task is passed. */
import { AppError } from '../../../base/errors/app-error.ts';
import { sleep } from '../../../base/runtime/sleep.ts';
import { LSN_ZERO } from '../../../engine/change/lsn.ts';
import { slotLost } from '../../../engine/pg/slot/health.ts';
import { endBackends } from '../../../engine/pg/identity.ts';
import type { HeldSnapshot } from '../../../engine/source/snapshot-holder.ts';
import {
  gigabytes,
  NO_PROTECTION,
  type Overrun,
  type SourceState,
} from '../../../engine/source/source-limits.ts';
import { applicationName } from '../../../engine/source/source-names.ts';
import { explainGoneSlot } from '../../../engine/source/timeline.ts';
import { watchSource } from '../../../engine/source/source-watch.ts';
import { LONG_TRANSACTION_S, showSlot } from '../source/slot-watch.ts';
import { dropTaskSlot } from '../owner/ownership.ts';
import { warn, type TaskRun } from '../task-run.ts';

export interface SourceGuard extends Disposable {
  /** Aborts when the run is to stop, or the copy must end for the source's sake. */
  readonly signal: AbortSignal;
  /** Why it must. */
  readonly over: Overrun | null;
}

/** Watches the source, and the holder of the snapshot, until it is disposed of. */
export function guardSource(
  run: TaskRun,
  held: HeldSnapshot,
  onSlot?: (slot: SourceState['slot']) => void,
): SourceGuard {
  const ended = new AbortController();
  const left = new AbortController();
  let over: Overrun | null = null;
  const watch = watchSource({
    taskId: run.taskId,
    limits: run.request.protect ?? NO_PROTECTION,
    slot: run.task.slot === null ? null : run.names.slot,
    open: () => run.ends.openWatch('source'),
    longSeconds: LONG_TRANSACTION_S,
    onWarning: (message) => warn(run, message),
    told: run.told,
    onState: ({ slot }) => {
      showSlot(run.book, slot);
      onSlot?.(slot);
    },
    onOverrun: async (found, session) => {
      over = found;
      ended.abort(new Error('the copy ends for the sake of the source'));
      // A closed socket alone is noticed late: by a server that waits for a lock or sorts, not before it has rows to send.
      await endBackends(session, applicationName(run.taskId, 'copy'));
    },
  });
  const onLost = () =>
    warn(
      run,
      'The session that holds the snapshot has ended. Workers that read under it go on; who needs it anew gets a later one.',
    );
  held.lost.addEventListener('abort', onLost, { once: true, signal: left.signal });
  return {
    signal: AbortSignal.any([run.hooks.signal, ended.signal]),
    get over() {
      return over;
    },
    [Symbol.dispose]: () => {
      watch[Symbol.dispose]();
      left.abort();
    },
  };
}

/** The changes since the slot was made are gone: nothing was streamed yet. */
async function explainLoss({ task, ends, names }: TaskRun, state: string): Promise<AppError> {
  const explain = async (timeline: number) => explainGoneSlot(await ends.source(), timeline);
  const failover = state === 'gone' && task.slot ? await explain(task.slot.timeline).catch(() => '') : '';
  return slotLost(names.slot, state, task.slot?.lsn ?? LSN_ZERO, failover);
}

const DROP_PATIENCE_MS = 30_000;
const SLOWER_LOAD = 'raise the limit, copy faster (more --jobs, a higher throttle) or at a calmer time';

/** What the run ends with, once the snapshot is released. A slot that keeps too much is dropped: it would go on filling the disk. */
export async function endForSource(run: TaskRun, over: Overrun): Promise<AppError> {
  const { slot } = run.names;
  switch (over.kind) {
    case 'slot-lost':
      return explainLoss(run, over.state);
    case 'snapshot-age':
      return new AppError('SOURCE_PROTECTED', {
        limit: `the snapshot became ${over.age} transactions old, allowed are ${over.limit} (--max-snapshot-age)`,
        done: 'The snapshot was released; what is copied stays.',
        remedy: `Run again: the rest is copied under a new snapshot. To get further, ${SLOWER_LOAD}.`,
      });
    case 'retained-wal': {
      const problem = await dropped(run);
      return new AppError('SOURCE_PROTECTED', {
        limit: `slot ${slot} made it keep ${gigabytes(over.bytes)} of WAL, allowed are ${gigabytes(over.limit)} (--max-retained-wal)`,
        done: `The snapshot was released and ${problem === null ? 'the slot dropped' : `the slot could not be dropped (${problem})`}.`,
        remedy: `Run "opendts cleanup" and migrate again; before that, ${SLOWER_LOAD}.`,
      });
    }
  }
}

/** Null, or why the slot is still there. */
async function dropped(run: TaskRun): Promise<string | null> {
  const waiting = new AbortController();
  const dropping = dropTaskSlot(run).then(
    () => null,
    (thrown: unknown) => (thrown instanceof Error ? thrown.message : String(thrown)),
  );
  const late = sleep(DROP_PATIENCE_MS, waiting.signal).then(() => 'the source does not answer');
  const problem = await Promise.race([dropping, late]);
  waiting.abort();
  if (problem !== null) run.ends.abandon('source');
  return problem;
}
