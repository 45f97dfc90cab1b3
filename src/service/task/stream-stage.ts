/** Incremental migration inside a task: the stream runs under its supervisor until stopped or until the wanted position is applied. */
import { AppError } from '../../base/errors/app-error.ts';
import { sleep } from '../../base/runtime/sleep.ts';
import { LSN_ZERO, type Lsn } from '../../engine/change/lsn.ts';
import { parseSnapshot } from '../../engine/change/snapshot.ts';
import { displayName, nameKey } from '../../engine/change/relation.ts';
import { readTables, type TableInfo } from '../../engine/pg/catalog/tables.ts';
import { readUniqueKeys } from '../../engine/pg/catalog/unique-keys.ts';
import { readFiringTables } from '../../engine/pg/catalog/firing-tables.ts';
import { endOfWal } from '../../engine/pg/wal-position.ts';
import { superviseStream } from '../../engine/pipeline/supervisor.ts';
import { NO_COPY, tableCopy, type NeedsRecopy, type TableCopy } from '../../engine/pipeline/visibility.ts';
import { openChangeReader } from '../../engine/source/change-reader.ts';
import { Lane } from '../../engine/target/lane.ts';
import type { TargetShape } from '../../engine/target/target-table.ts';
import { setPhase } from '../../engine/target/task-row.ts';
import { readBooks } from './copy/copy-books.ts';
import { emptyRanges } from './copy/take-back.ts';
import { warn, type TaskRun } from './task-run.ts';

const PATIENCE_MS = 10 * 60_000;
const MONITOR_MS = 1_000;
const LAST_POLL_MS = 2_000;

/** Per followed table, what its copy was read under. Without full migration every change applies. */
async function readCopies(run: TaskRun): Promise<Map<string, TableCopy>> {
  if (!run.request.types.has('full')) return new Map(run.followed.map((table) => [nameKey(table), NO_COPY]));
  const books = await readBooks(await run.ends.target(), run.taskId, run.followed);
  return new Map(
    books.map(({ table, cut, chunks }) => {
      const snapshots = chunks.map((chunk) => {
        if (chunk === null) {
          throw new AppError('UNEXPECTED', {
            problem: `The target has no record of the copy of ${displayName(table)}.`,
          });
        }
        return chunk.snapshot !== null && chunk.readUntil !== null
          ? {
              later: {
                text: chunk.snapshot,
                snapshot: parseSnapshot(chunk.snapshot),
                readUntil: chunk.readUntil,
              },
            }
          : { later: null };
      });
      return [nameKey(table), tableCopy(cut, snapshots)];
    }),
  );
}

/** The newest R of a later snapshot: from there on all tables are of one moment. LSN_ZERO when all were read under the slot's own. */
export async function reconciledFrom(run: TaskRun): Promise<Lsn> {
  let newest = LSN_ZERO;
  for (const { units } of (await readCopies(run)).values())
    for (const { later } of units) if (later && later.readUntil > newest) newest = later.readUntil;
  return newest;
}

/** By nameKey of the source table. */
async function readShapes(run: TaskRun): Promise<Map<string, TargetShape>> {
  const target = await run.ends.target();
  const keys = await readUniqueKeys(target);
  const firing = await readFiringTables(target, run.firesNothing);
  const sources = new Map(run.followed.map((table) => [nameKey(run.targetOf(table)), nameKey(table)]));
  const tables = (await readTables(target)).filter((table) => sources.has(nameKey(table)));
  // Where anything fires, the order between tables counts too: then nothing is folded.
  const fires = tables.filter((table) => firing.has(nameKey(table)));
  if (fires.length > 0) {
    warn(
      run,
      `triggers or foreign keys of the target fire for replicated changes, so all changes are applied one by one: ${fires.map(displayName).join(', ')}`,
    );
  }
  return new Map(
    tables.map((table) => [
      sources.get(nameKey(table)) ?? '',
      {
        name: table,
        isPartitioned: table.kind === 'p',
        columns: table.columns,
        keys: keys.get(nameKey(table)) ?? [],
        leftOut: new Set(leftOut(run, table)),
        fires: fires.length > 0,
      },
    ]),
  );
}

/** What the user's own table is made without; said at every start, because a column added later would be among them. */
function leftOut(run: TaskRun, target: TableInfo): string[] {
  if (run.request.types.has('schema')) return [];
  const source = run.followed.find((table) => nameKey(run.targetOf(table)) === nameKey(target));
  const there = new Set(target.columns.map(({ name }) => name));
  const names = (source?.columns ?? []).map(({ name }) => name).filter((name) => !there.has(name));
  if (source && names.length > 0)
    warn(
      run,
      `${displayName(source)}: left out, because the target table has no such column: ${names.join(', ')}`,
    );
  return names;
}

export type StreamOutcome = 'reached' | 'stopped' | 'recopy';

/**
 * Streams until `until` is known and applied, or the signal. `recopy`: ranges of a table were taken back and the task is at its copy
 * again. Throws AppError when a person must act.
 */
export async function streamUntil(run: TaskRun, until: () => Lsn | null): Promise<StreamOutcome> {
  const { ends, book, hooks } = run;
  const started = performance.now();
  const copies = await readCopies(run);
  const shapes = await readShapes(run);
  let recorded = LSN_ZERO;
  const monitor = startMonitor(run, () => recorded);
  // A source that has vanished without a word would keep its control session waiting, and us with it.
  const abandon = () => ends.abandon('source');
  hooks.signal.addEventListener('abort', abandon, { once: true });
  try {
    const end = await superviseStream({
      copies,
      shapes,
      until,
      signal: hooks.signal,
      patienceMs: PATIENCE_MS,
      openLane: async () => {
        const session = await ends.openTarget('apply');
        const lane = await Lane.open(session, {
          taskId: run.taskId,
          lane: 0,
          fence: run.fence,
          failpoints: hooks.failpoints,
        });
        recorded = lane.recorded;
        return lane;
      },
      openReader: async (lane) =>
        openChangeReader({
          control: await ends.source(),
          openReplication: () => ends.openReplication('stream'),
          names: run.names,
          from: lane.recorded,
          timeline: lane.timeline,
          signal: hooks.signal,
        }),
      onDurable: (durable) => {
        recorded = durable.endLsn;
        book.durable(durable);
      },
      onRetry: (error, waitMs) => {
        abandon();
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
    });
    if (end.kind === 'recopy') await backToCopy(run, end.cause);
    return end.kind;
  } finally {
    hooks.signal.removeEventListener('abort', abandon);
    await monitor.stop();
    book.streamMs += performance.now() - started;
  }
}

/** First the phase, then the rows: killed in between, the stream finds the same again. */
async function backToCopy(run: TaskRun, { relation, chunks }: NeedsRecopy): Promise<void> {
  const target = await run.ends.target();
  const books = await readBooks(target, run.taskId, run.followed);
  const one = books.find(({ table }) => nameKey(table) === nameKey(relation));
  if (one?.cut.kind !== 'key') throw new Error(`${displayName(relation)} is not cut by a key`);
  warn(
    run,
    `a row of ${displayName(relation)} moved between ranges that were copied at different moments: both are copied again`,
  );
  await setPhase(target, run, 'copy');
  await emptyRanges(run, { table: one.table, cut: one.cut, chunks });
  run.task = { ...run.task, phase: 'copy' };
}

/** Asks the source every second where its WAL ends; a source that does not answer leaves the lag unknown, and nobody waits for it. */
function startMonitor(run: TaskRun, recorded: () => Lsn): { stop(): Promise<void> } {
  const { book, ends, hooks } = run;
  let polling: Promise<void> | null = null;
  const poll = async () => {
    try {
      const end = await endOfWal(await ends.source());
      book.lagBytes = end > recorded() ? end - recorded() : 0n;
    } catch {
      // The stream itself reports a lost source; the monitor only has nothing to say meanwhile.
      book.lagBytes = null;
    }
  };
  const tick = () => (polling ??= poll().finally(() => (polling = null)));
  const timer = setInterval(() => void tick(), MONITOR_MS);
  return {
    // The last figure is of the end, not of the second before it.
    stop: async () => {
      clearInterval(timer);
      if (!hooks.signal.aborted) await Promise.race([tick(), sleep(LAST_POLL_MS)]);
      // What still waits for an answer now would keep the process from ending.
      if (polling) ends.abandon('source');
    },
  };
}
