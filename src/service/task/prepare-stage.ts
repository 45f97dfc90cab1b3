/** From a request to a task that may run: who are the two databases, what is selected, may it start, and is it ours alone. */
import { AppError } from '../../base/errors/app-error.ts';
import { tightHeap } from '../../base/runtime/tight-heap.ts';
import { displayName, nameKey } from '../../engine/change/relation.ts';
import { readTables, type TableInfo } from '../../engine/pg/catalog/tables/tables.ts';
import { endBackends, identify, isSameDatabase } from '../../engine/pg/identity.ts';
import type { Finding } from '../../engine/precheck/check.ts';
import { FirstModel } from '../../engine/schema/first-model.ts';
import { membership, selectTables } from '../../engine/selection/selection.ts';
import { sharedTargets } from '../../engine/selection/target-names.ts';
import type { StreamThrottle } from '../../engine/pipeline/stream-throttle.ts';
import { estimateRows } from '../../engine/source/row-filter.ts';
import type { CopyThrottle } from '../../engine/source/throttle.ts';
import { applicationName, sourceNames } from '../../engine/source/source-names.ts';
import { areBooksCurrent, ensureBookkeeping, hasBookkeeping } from '../../engine/target/books/bookkeeping.ts';
import { writeHalt } from '../../engine/target/books/halted.ts';
import { silenceTriggers } from '../../engine/target/silence-triggers.ts';
import { isLeftOut, readStoppedTables } from '../../engine/target/books/stopped-tables.ts';
import { readTasks, registerTask, takeOver, type TaskRow } from '../../engine/target/books/task-row.ts';
import { readTaskTables, type TaskTable } from '../../engine/target/books/task-tables.ts';
import { assertAsKnown } from './owner/as-known.ts';
import { runRequestChecks, type CheckedEnds } from './check-migration.ts';
import { Ends } from './ends.ts';
import { sayLeftOut } from './asked.ts';
import { readFollowed } from './followed.ts';
import { leftOutOf, newTaskTables } from './known-columns.ts';
import { boundsOf, sayPlain } from './stream/parts.ts';
import { sayNotFollowed } from './copy/large-objects.ts';
import { pasteLine } from './request/paste-line.ts';
import type { ProgressBook } from './progress-book.ts';
import { assertStartFits } from './source/start-position.ts';
import { canonicalOptions, taskIdOf } from './owner/task-id.ts';
import {
  enter,
  mappingOf,
  warn,
  type MigrationHooks,
  type MigrationRequest,
  type TaskRun,
} from './task-run.ts';

interface Parts {
  readonly request: MigrationRequest;
  readonly hooks: MigrationHooks;
  readonly ends: Ends;
  readonly book: ProgressBook;
  readonly throttle: CopyThrottle;
  readonly streamThrottle: StreamThrottle;
}

/** Nothing is changed on either side before every check has passed. Throws SAME_DATABASE, NOTHING_SELECTED, CHECKS_FAILED, FILTER_INVALID. */
export async function prepareTask(parts: Parts): Promise<TaskRun> {
  using _heap = tightHeap();
  const { request, hooks, ends, book } = parts;
  assertStartFits(request);
  const found = await find(parts);
  const { taskId, existing } = found;
  if (request.known?.taskId !== taskId) await hooks.onTask?.(taskId);
  await ends.adoptTask(taskId);
  await endFormerOwner(ends, taskId);
  const target = await ends.target();
  if (!existing || !(await areBooksCurrent(target))) await ensureBookkeeping(target);
  if (!existing) {
    const theirs = request.types.has('schema') ? [] : await readTables(target);
    const byName = new Map(theirs.map((table) => [nameKey(table), table]));
    await registerTask(
      target,
      { taskId, ...found.source, options: found.options, phase: 'schema' },
      newTaskTables(found.selected, byName, mappingOf(request, found.selected, null), {
        apart: new Set(),
        bounds: await boundsOf(await ends.source(), request, found.selected),
      }),
    );
  }
  // What a former owner began on the source under his fence must be over before anybody can see that it was raised (ownership.ts, O2).
  const task = await takeOver(target, taskId, async () => {
    await endBackends(await ends.source(), applicationName(taskId, ''), 'database');
    await writeHalt(target, taskId, null);
  });
  // From here on the target has it, whatever happens.
  book.taskId = taskId;
  const theirTables = await readTaskTables(target, taskId);
  const selected = asRecorded(found.all, theirTables, request.partitions === 'plain');
  const recorded = membership(selected);
  const withRows = selected.filter((table) => table.kind === 'r');
  const stopped = await readStoppedTables(target, taskId);
  const leftOutTables = new Set(stopped.filter(isLeftOut).map(({ table }) => nameKey(table)));
  const tables = withRows.filter((table) => !leftOutTables.has(nameKey(table)));
  const { followedOf } = await readFollowed(await ends.source(), request, selected, task.phase === 'stream');
  const standApart = new Set(theirTables.filter(({ isApart }) => isApart).map(({ oid }) => oid));
  const apart = new Map(selected.flatMap(({ oid }) => (standApart.has(oid) ? [[oid, null] as const] : [])));
  const leftOut = new Map(request.types.has('schema') ? theirTables.map(leftOutOf) : []);
  const mapping = mappingOf(request, selected, { apart, leftOut });
  const targetOf = mapping.table;
  await using probe = await ends.openTarget('probe');
  const run: TaskRun = {
    ...parts,
    names: sourceNames(taskId, { slot: request.start?.slot, publication: request.publication }),
    taskId,
    fence: task.fence,
    task,
    selected,
    tables,
    followed: tables.filter((table) => table.persistence !== 'unlogged'),
    notPickedUp: new Set(),
    saidRenamed: new Set(),
    mapping,
    targetOf,
    shared: sharedTargets(tables, targetOf),
    apart,
    leftOut,
    followedOf,
    wholeDatabase: request.tables.length === 0,
    warnings: [],
    told: new Map(),
    notMigrated: [],
    firstModel: found.firstModel,
    firesNothing: await silenceTriggers(probe),
  };
  book.register(await estimateRows(await ends.source(), withRows, (table) => followedOf(table).filter));
  book.stopped = stopped;
  enter(
    run,
    'prepare',
    existing
      ? `task ${taskId} goes on (it was at: ${task.phase})`
      : `task ${taskId}: ${tables.length} tables`,
  );
  if (!existing) sayPlain(run);
  sayWhatIsLeftOut(
    run,
    found.selected.filter((table) => !recorded(table)),
  );
  sayLeftOut(run, stopped);
  await sayNotFollowed(run);
  hooks.signal.throwIfAborted();
  return run;
}

/**
 * The task's tables as far as they still exist, under the names that the task knows them by. Where partitions stand in plain tables on the
 * target, the task says which: what the source attaches and detaches meanwhile moves no row there.
 */
function asRecorded(
  all: readonly TableInfo[],
  recorded: readonly TaskTable[],
  isPlain: boolean,
): TableInfo[] {
  const byOid = new Map(all.map((table) => [table.oid, table]));
  return recorded.flatMap(({ schema, name, oid, rootOid }) => {
    const table = byOid.get(oid);
    return table ? [{ ...table, schema, name, ...(isPlain ? { rootOid } : {}) }] : [];
  });
}

function sayWhatIsLeftOut(run: TaskRun, late: readonly TableInfo[]): void {
  const list = (tables: readonly TableInfo[]) => tables.map(displayName).join(', ');
  if (late.length > 0)
    warn(run, `created on the source after this migration began, and not part of it: ${list(late)}`);
  if (!run.request.types.has('incremental')) return;
  const unlogged = run.tables.filter((table) => table.persistence === 'unlogged');
  if (unlogged.length > 0) warn(run, `unlogged tables are copied once and not followed: ${list(unlogged)}`);
  if (!run.firesNothing) {
    warn(
      run,
      'the target account may not set session_replication_role: foreign keys, triggers and rules are left out while changes are followed',
    );
  }
}

interface Found {
  readonly taskId: string;
  readonly options: string;
  readonly source: { readonly sourceSystem: string; readonly sourceDatabase: string };
  readonly existing: TaskRow | null;
  /** Every table of the source; those that the request names now. */
  readonly all: readonly TableInfo[];
  readonly selected: readonly TableInfo[];
  readonly firstModel: FirstModel;
}

async function find({ request, ends, book }: Parts): Promise<Found> {
  book.phase = 'connect';
  const [source, target] = [await ends.source(), await ends.target()];
  const [here, there] = [await identify(source), await identify(target)];
  if (isSameDatabase(here, there)) throw new AppError('SAME_DATABASE', { database: here.database });
  book.phase = 'check';
  const all = await readTables(source);
  const selected = selectTables(all, request.tables, request.excludeTables);
  const options = canonicalOptions(request);
  const taskId = taskIdOf(here, there, options);
  const tasks = (await hasBookkeeping(target)) ? await readTasks(target) : [];
  const existing = tasks.find((task) => task.taskId === taskId) ?? null;
  if (request.known) await assertAsKnown({ here, there, tasks }, request.known, { taskId, target, existing });
  const firstModel = new FirstModel();
  if (!existing) await check(request, { source, target, selected, firstModel });
  return {
    taskId,
    options,
    source: { sourceSystem: here.systemIdentifier, sourceDatabase: here.database },
    existing,
    all,
    selected,
    firstModel,
  };
}

async function check(request: MigrationRequest, ends: CheckedEnds): Promise<void> {
  const findings = await runRequestChecks(request, ends);
  const failed = findings.filter((finding) => finding.result === 'failed');
  if (failed.length === 0) return;
  throw new AppError('CHECKS_FAILED', {
    problems: failed.map((finding) => `${finding.what} (${finding.evidence})`).join('; '),
    remedy: [
      ...failed.flatMap((finding) => finding.fix ?? []),
      ...offlineLine(request, failed),
      'See all checks: opendts check',
    ].join('\n'),
  });
}

/** Where only following changes is impossible, the line that migrates without it. */
function offlineLine(request: MigrationRequest, failed: readonly Finding[]): string[] {
  const offline = new Set([...request.types].filter((type) => type !== 'incremental'));
  if (offline.size === 0 || !failed.every((finding) => finding.check === 'wal_level')) return [];
  return [
    '# offline, once nobody writes to the source:',
    pasteLine('migrate', { ...request, types: offline }),
  ];
}

/**
 * The task comes to a halt: nobody who ran it before can commit anything more, and whoever goes on with it must know the mark. Nothing
 * happens where it never began.
 */
export async function haltTask(
  { source, target: theirs }: Pick<MigrationRequest, 'source' | 'target'>,
  { taskId, mark }: { taskId: string; mark: string },
): Promise<void> {
  await using ends = new Ends(source, theirs);
  await ends.adoptTask(taskId);
  await endFormerOwner(ends, taskId);
  const target = await ends.target();
  if (!(await hasBookkeeping(target)) || !(await readTasks(target)).some((task) => task.taskId === taskId))
    return;
  if (!(await areBooksCurrent(target))) await ensureBookkeeping(target);
  await takeOver(target, taskId, async () => {
    await endBackends(await ends.source(), applicationName(taskId, ''), 'database');
    await writeHalt(target, taskId, mark);
  });
}

/**
 * I7: the former owner's sessions end first, so that the fence can be raised without waiting for them. Both databases may be on one
 * server: no session of ours under the task's name is open yet, but for the one that asks.
 */
async function endFormerOwner(ends: Ends, taskId: string): Promise<void> {
  const prefix = applicationName(taskId, '');
  for (const open of [() => ends.openSource('takeover'), () => ends.openTarget('takeover')]) {
    await using session = await open();
    await endBackends(session, prefix);
  }
}
