/** Looks every second how far the target is with its indexes. Nobody waits for what it finds. */
import { sleep } from '../../base/runtime/sleep.ts';
import { readIndexBuilds } from '../../engine/schema/run/index-builds.ts';
import { applicationName } from '../../engine/source/source-names.ts';
import type { TaskRun } from './task-run.ts';

const LOOK_MS = 1_000;
/** A look that is answered is answered in this time. */
const LAST_LOOK_MS = 200;

/** Ends with its disposal. Uses the control session, which is idle while others build. What hangs is cut when the builds are over; what fails is asked again. */
export function watchIndexBuilds({
  ends,
  book,
  taskId,
}: Pick<TaskRun, 'ends' | 'book' | 'taskId'>): AsyncDisposable {
  let looking: Promise<void> | null = null;
  let isOver = false;
  const look = async () => {
    const builds = await ends
      .target()
      .then((session) => readIndexBuilds(session, applicationName(taskId, 'index')))
      // The builders report a lost target; here there is only nothing to show meanwhile.
      .catch(() => []);
    if (!isOver) book.indexBuilds = builds;
  };
  const tick = () => (looking ??= look().finally(() => (looking = null)));
  const timer = setInterval(() => void tick(), LOOK_MS);
  return {
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      isOver = true;
      book.indexBuilds = [];
      if (looking) await Promise.race([looking, sleep(LAST_LOOK_MS)]);
      // What still waits for an answer now would keep the process from ending, and hold up whoever asks next.
      if (looking) ends.abandon('target');
    },
  };
}
