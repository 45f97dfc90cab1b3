/**
 * Asks both ends every second how far the stream is: the source what time it is there and where its WAL ends, the target what a person has chosen for tables that
 * have stopped, and asks of others. An end that does not answer leaves that unknown, and nobody waits for it.
 */
import { atMost } from '../../../base/runtime/sleep.ts';
import type { Lsn } from '../../../engine/change/lsn.ts';
import type { Intake } from '../../../engine/pipeline/intake.ts';
import { readSourceNow } from '../../../engine/source/source-clock.ts';
import { readAskedTables } from '../../../engine/target/books/asked-tables.ts';
import { hasNewChoice, readStoppedTables } from '../../../engine/target/books/stopped-tables.ts';
import { countLetters } from '../../../engine/target/letters/stored-letters.ts';
import { totalLetters } from '../dead-letters.ts';
import type { TaskRun } from '../task-run.ts';
import { fingerprintTables } from './new-tables.ts';

export interface Monitor {
  /** Somebody has chosen what to do with a stopped table, or asks something of another; set back by who attends to it. */
  hasChoice: boolean;
  /** Asks now. */
  lookForChoice(): Promise<boolean>;
  stop(): Promise<void>;
}

const MONITOR_MS = 1_000;
/** Turns between two looks at the tables of the source. */
const TABLES_EVERY = 3;
const LAST_POLL_MS = 2_000;

interface Watching {
  readonly recorded: () => Lsn;
  readonly intake: Intake;
  /** Called now and then with the tables of the source, as fingerprintTables. */
  readonly lookForTables: (now: string) => void;
}

export function startMonitor(run: TaskRun, { recorded, intake, lookForTables }: Watching): Monitor {
  const { book, ends, hooks } = run;
  let polling: Promise<void> | null = null;
  let turn = 0;
  let isLast = false;
  const poll = async () => {
    try {
      const source = await ends.source();
      const { clock, end, snapshot } = await readSourceNow(source);
      book.sourceAt(clock, end);
      book.lagBytes = end > recorded() ? end - recorded() : 0n;
      intake.forget(snapshot);
      if (!isLast && turn++ % TABLES_EVERY === 0) lookForTables(await fingerprintTables(source));
    } catch {
      // The stream itself reports a lost source; the monitor only has nothing to say meanwhile.
      book.lagBytes = null;
    }
    if (book.deadLetters > 0n) book.deadLetters = await leftLetters().catch(() => book.deadLetters);
    monitor.hasChoice ||= await lookForChoice().catch(() => false);
  };
  const lookForChoice = async () => {
    const target = await ends.target();
    if ((await readAskedTables(target, run.taskId)).length > 0) return true;
    return book.stopped.length > 0 && hasNewChoice(book.stopped, await readStoppedTables(target, run.taskId));
  };
  const leftLetters = async () => totalLetters(await countLetters(await ends.target(), run.taskId));
  const tick = () => (polling ??= poll().finally(() => (polling = null)));
  const timer = setInterval(() => void tick(), MONITOR_MS);
  const monitor: Monitor = {
    hasChoice: false,
    lookForChoice,
    // The last figure is of the end, not of the second before it.
    stop: async () => {
      clearInterval(timer);
      isLast = true;
      if (!hooks.signal.aborted) await atMost(LAST_POLL_MS, tick(), hooks.signal);
      // What still waits for an answer now would keep the process from ending.
      if (polling) ends.abandon('source');
    },
  };
  return monitor;
}
