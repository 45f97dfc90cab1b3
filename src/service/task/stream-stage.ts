/** Incremental migration inside a task: the stream runs under its supervisor until stopped or until the wanted position is applied. */
import { LSN_ZERO, type Lsn } from '../../engine/change/lsn.ts';
import { displayName } from '../../engine/change/relation.ts';
import { ddlLine } from '../../engine/pipeline/ddl-seen.ts';
import { Intake } from '../../engine/pipeline/intake.ts';
import { superviseStream } from '../../engine/pipeline/supervisor.ts';
import {
  openChangeReader,
  type ChangeReader,
  type ReaderOptions,
} from '../../engine/source/change-reader.ts';
import { FilteredReader, isEverything } from '../../engine/source/filtered-reader.ts';
import { FilterVerdicts } from '../../engine/source/filter-verdicts.ts';
import { nextXid } from '../../engine/source/snapshot-holder.ts';
import { Applier } from '../../engine/target/apply/applier.ts';
import type { Positions } from '../../engine/target/apply/positions.ts';
import { recordedEnd } from '../../engine/target/books/task-row.ts';
import { readStoppedTables } from '../../engine/target/books/stopped-tables.ts';
import { recordedHistory } from '../../engine/target/books/recorded-history.ts';
import { Copies } from './copy/copies.ts';
import { readBooks } from './copy/copy-books.ts';
import { readKeysOfBothEnds } from './copy/range-units.ts';
import { LetterNews } from './dead-letters.ts';
import { attendToAsked, heedStopped, sayGoingOn } from './stream/asked.ts';
import type { Together } from './stream/beside.ts';
import { copyAgain, takeRangesBack } from './stream/copy-again.ts';
import { startMonitor } from './stream/monitor.ts';
import type { DdlRepeater } from './stream/ddl.ts';
import { isIndexCommand, type IndexRepeater } from './stream/index-repeater.ts';
import type { Joining } from './stream/joining.ts';
import { NewTables } from './stream/new-tables.ts';
import { areAsTaken } from './stream/parts.ts';
import { readShapes } from './stream/shapes.ts';
import { Turns } from './stream/turns.ts';
import { watchSlot } from './source/slot-watch.ts';
import { recordFailover } from './source/source-history.ts';
import { warn, type TaskRun } from './task-run.ts';

const PATIENCE_MS = 10 * 60_000;
/** A goal beyond all others: a source that is idle is asked how far it is. */
const NOT_YET = (1n << 64n) as Lsn;

/** What the stream and the copy beside it share, as the books have it. */
export async function openTogether(run: TaskRun): Promise<Together> {
  const [source, target] = [await run.ends.source(), await run.ends.target()];
  const copies = new Copies((table) => run.targetOf(table));
  if (run.request.types.has('full')) {
    const books = await readBooks(target, run.taskId, run.followed);
    copies.load(books, await readKeysOfBothEnds(run));
  } else for (const table of run.followed) copies.follow(table);
  heedStopped(run, copies, await readStoppedTables(target, run.taskId));
  const { slot } = run.task;
  // What a run before has received and not recorded, this one receives again.
  const hasStreamed = slot === null || (await recordedEnd(target, run.taskId)) > slot.lsn;
  return { intake: new Intake(hasStreamed ? await nextXid(source) : null), copies, turns: new Turns() };
}

export interface Streaming {
  readonly together: Together;
  readonly newTables: NewTables;
  readonly ddl: DdlRepeater;
  readonly indexes: IndexRepeater;
  readonly joining: Joining;
  /** The position to end at, once it is known. */
  readonly until: () => Lsn | null;
  /** Tables wait for their copy: somebody must see to it. */
  readonly onRest: () => void;
}

/** Streams until `until` is known and applied, or the signal. Throws AppError when a person must act. */
export async function streamUntil(run: TaskRun, streaming: Streaming): Promise<'reached' | 'stopped'> {
  const { ends, book, hooks } = run;
  const { together, newTables, ddl, indexes, joining, until, onRest } = streaming;
  const started = performance.now();
  const news = new LetterNews(run);
  let positions: Positions | null = null;
  let recorded = LSN_ZERO;
  /** Tables are to be copied again as soon as the copy beside the stream lets us. */
  let waitsForTurn = false;
  const monitor = startMonitor(run, {
    recorded: () => recorded,
    intake: together.intake,
    lookForTables: (now) => void newTables.look(now),
  });
  const mode = run.request.ddl ?? 'ask';
  using _ = watchSlot(run);
  // A source that has vanished without a word would keep its control session waiting, and us with it.
  const abandon = () => ends.abandon('source');
  hooks.signal.addEventListener('abort', abandon, { once: true });
  try {
    for (;;) {
      const end = await superviseStream({
        intake: together.intake,
        throttle: run.streamThrottle,
        strict: run.request.strict,
        ddl: mode,
        // Not in step before what is being changed goes on.
        until: () => (ddl.isBusy || indexes.isBusy ? null : joining.isBusy ? NOT_YET : until()),
        signal: hooks.signal,
        patienceMs: run.request.streamPatienceMs ?? PATIENCE_MS,
        wantsRefresh: () =>
          monitor.hasChoice ||
          newTables.areReady ||
          ddl.isReady ||
          indexes.isReady ||
          joining.isReady(recorded) ||
          (waitsForTurn && together.turns.ask()),
        openApplier: async () => {
          const applier = await openApplier(run);
          positions = applier.positions;
          indexes.recorded = recorded = applier.recorded;
          book.reached(recorded);
          return applier;
        },
        readTables: async (applier) => {
          monitor.hasChoice = false;
          indexes.settle();
          await attendToAsked(run, applier);
          await ddl.settle(applier.positions);
          sayGoingOn(run, applier.positions.stopped);
          book.stopped = applier.positions.stopped;
          const isFreed = heedStopped(run, together.copies, book.stopped);
          const again = await copyAgain(run, together, applier);
          waitsForTurn = again === 'later';
          if ((await newTables.takeIn(together)) || again === 'begun' || isFreed) onRest();
          await joining.settle(applier);
          return {
            copies: together.copies.tables,
            shapes: await readShapes(run),
            names: new Map(run.followed.map((table) => [table.oid, table])),
          };
        },
        openReader: async ({ positions, durable }) =>
          openReader(run, positions, {
            control: await ends.source(),
            openReplication: () => ends.openReplication('stream'),
            names: run.names,
            decoder: run.task.slot?.decoder ?? 'pgoutput',
            tables: run.followed,
            positions: positions.all,
            from: positions.start,
            safe: durable,
            recorded: await recordedHistory(await ends.target(), run.taskId),
            onTimeline: (timeline) => recordFailover(run, timeline),
            signal: hooks.signal,
          }),
        onApplied: (applied) => {
          indexes.recorded = recorded = applied.endLsn;
          // Some may have caught up with the others.
          if (book.stopped.length > 0 && positions) book.stopped = positions.stopped;
          book.applied(applied);
          news.applied(applied);
        },
        onReached: (lsn) => book.reached(lsn),
        areStillParts: (tables) => areAsTaken(run, tables),
        onDdl: (event, finalLsn) => {
          if (mode === 'apply' && isIndexCommand(event)) indexes.add(event, finalLsn);
          else if (!ddl.hasRepeated(event)) warn(run, ddlLine(event));
        },
        onRetry: (error, waitMs) => {
          abandon();
          if (error.facts.side === 'target') ends.abandon('target');
          hooks.onEvent({
            level: 'warn',
            phase: book.phase,
            message: `${error.message} Trying again in ${Math.round(waitMs / 100) / 10} s.`,
          });
        },
        onReplay: (cause) =>
          hooks.onEvent({
            level: 'info',
            phase: book.phase,
            message: `a batch did not apply as sets and is applied in order (${cause instanceof Error ? cause.name : 'error'})`,
          }),
        onTableStopped: (table, error) =>
          warn(
            run,
            `${error.message} ${error.remedy} Changes of ${displayName(table)} wait in the slot; the other tables go on.`,
          ),
      });
      // A choice may have been made since somebody looked last.
      if (end.kind === 'reached' && (await monitor.lookForChoice())) continue;
      if (end.kind !== 'recopy') return end.kind;
      await takeRangesBack(run, together, end.cause);
      onRest();
    }
  } finally {
    hooks.signal.removeEventListener('abort', abandon);
    await monitor.stop();
    book.streamMs += performance.now() - started;
  }
}

/** The source's changes as the task follows them. Those of tables that stand still are not looked at. */
async function openReader(run: TaskRun, positions: Positions, options: ReaderOptions): Promise<ChangeReader> {
  const moving = run.followed.filter((table) => positions.of(table) !== null);
  const followed = new Map(moving.map((table) => [table.oid, run.followedOf(table)]));
  if ([...followed.values()].every(isEverything)) return openChangeReader(options);
  const session = await run.ends.openSource('filter');
  try {
    return new FilteredReader(await openChangeReader(options), followed, new FilterVerdicts(session));
  } catch (thrown) {
    await session.end();
    throw thrown;
  }
}

function openApplier(run: TaskRun): Promise<Applier> {
  return Applier.open({
    taskId: run.taskId,
    fence: run.fence,
    lanes: run.request.lanes,
    openSession: () => run.ends.openTarget('apply'),
    failpoints: run.hooks.failpoints,
  });
}
