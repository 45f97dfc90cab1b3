/** What surrounds the creation of the slot: no earlier one may stand in its way, and none that no row speaks of may stay behind (C2). */
import { AppError } from '../../../base/errors/app-error.ts';
import { answersWithin } from '../../../engine/pg/answers-within.ts';
import type { Session } from '../../../engine/pg/session.ts';
import type { SlotWait } from '../../../engine/pg/slot/create.ts';
import { dropTaskSlot } from '../owner/ownership.ts';
import type { TaskRun } from '../task-run.ts';

const DEFAULT_SLOT_WAIT_MS = 60_000;
const DROP_MS = 10_000;

/** How long the creation may take, and whom to tell what it waits for. */
export function slotWait({ request, hooks, book }: TaskRun, control: Session): SlotWait {
  const waitMs = request.slotWaitMs ?? DEFAULT_SLOT_WAIT_MS;
  return {
    control,
    waitMs,
    signal: hooks.signal,
    onWaiting: (blockers) =>
      hooks.onEvent({
        level: 'warn',
        phase: book.phase,
        message: `The replication slot is created once these transactions of the source have ended: ${blockers}. It is waited for ${Math.round(waitMs / 1000)} s in all (--slot-wait).`,
      }),
  };
}

/** After a creation that failed or was called off. What cannot be dropped now is dropped by the next run, or by cleanup. */
export async function leaveNoSlot(run: TaskRun): Promise<void> {
  const source = await run.ends.source().catch(() => null);
  if (source === null) return;
  await answersWithin(source, DROP_MS, () => dropTaskSlot(run, 'orphan')).catch((thrown: unknown) => {
    if (thrown instanceof AppError && thrown.code === 'FENCED') return;
    run.hooks.onEvent({
      level: 'warn',
      phase: run.book.phase,
      message: `Replication slot ${run.names.slot} may have stayed on the source: run again, or "opendts cleanup".`,
    });
  });
}
