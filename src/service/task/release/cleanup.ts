/** Takes back everything a migration made besides the migrated data: on the source slot, publication and identities; on the target our schema. */
import { z } from 'zod';
import { AppError } from '../../../base/errors/app-error.ts';
import type { ConnInfo } from '../../../engine/pg/conninfo/conninfo.ts';
import type { Session } from '../../../engine/pg/session.ts';
import { endBackends, identify } from '../../../engine/pg/identity.ts';
import { literal } from '../../../engine/pg/ident.ts';
import { readHelpers } from '../../../engine/source/helpers/remove.ts';
import { releaseSource } from '../../../engine/source/prepare.ts';
import { releaseSql } from '../../../engine/source/release-sql.ts';
import { restoringStatement } from '../../../engine/source/replica-identity.ts';
import { applicationName, sourceNames } from '../../../engine/source/source-names.ts';
import { dropBookkeeping, forgetTask, hasBookkeeping } from '../../../engine/target/books/bookkeeping.ts';
import { readSourceIdentities, readTasks, type TaskRow } from '../../../engine/target/books/task-row.ts';
import { assertNoLetters, lettersOn, perTable } from '../dead-letters.ts';
import { Ends } from '../ends.ts';
import { releaseFormerPrimaries, slotsLeftBehind } from './former-primaries.ts';
import { releaseTarget, saysGone } from './release-target.ts';

/**
 * The target may be released alone: where it shows that the source cannot be reached (one that answers is released as always), or where that
 * is known already.
 */
export type SourceGone = 'if-unreachable' | 'unreachable';

export interface CleanupRequest {
  readonly source: ConnInfo;
  readonly target: ConnInfo;
  readonly dryRun: boolean;
  /** Dead letters that are left may go. */
  readonly dropLetters?: boolean;
  readonly sourceGone?: SourceGone;
  /** This one alone: others may go on into the same target. None: all of them. */
  readonly taskId?: string;
}

export interface Cleaned {
  readonly removed: readonly string[];
  /** What the user made and named: it stays. */
  readonly kept: readonly string[];
}

/** A line per thing removed (or that would be). Our schema on the target goes last, because it remembers what to undo. */
export async function cleanup(request: CleanupRequest): Promise<Cleaned> {
  await using ends = new Ends(request.source, request.target);
  const target = await ends.target();
  const { taskId } = request;
  if (taskId !== undefined) await assertOurTarget(ends, taskId);
  if (!(await hasBookkeeping(target))) return { removed: [], kept: [] };
  if (!request.dropLetters && !request.dryRun) await assertNoLetters(target, taskId);
  const letters = perTable(await lettersOn(target, taskId));
  const lost = letters.map(({ table, letters: of }) => `${of} dead letters of ${table}, which are lost then`);
  const source = await openSource(ends, target, request);
  if (source === null) {
    const tasks = await tasksOf(target, request);
    const { removed, kept } = await releaseTarget(target, { tasks, dryRun: request.dryRun });
    return { removed: [...removed, ...lost], kept };
  }
  const reached = await identify(source);
  const { systemIdentifier, database } = reached;
  const tasks = (await readTasks(target)).filter((task) => taskId === undefined || task.taskId === taskId);
  const others = tasks.filter(
    (task) => task.sourceSystem !== systemIdentifier || task.sourceDatabase !== database,
  );
  if (others.length > 0) {
    throw new AppError('USAGE', {
      problem: `The target also holds task ${others.map((task) => task.taskId).join(', ')} of another source (database "${others[0]?.sourceDatabase}").`,
      remedy: 'Give that source with --source, so that its slot is dropped as well.',
    });
  }
  const removed: string[] = [];
  const kept = new Set(tasks.flatMap(named));
  const behind = reached.isStandby ? [] : await slotsLeftBehind(source, tasks);
  for (const task of tasks) removed.push(...(await release(ends, task, request.dryRun)));
  const hosts = { info: request.source, reached };
  removed.push(...(await releaseFormerPrimaries(hosts, behind, request.dryRun)));
  removed.push(...lost);
  if (taskId === undefined) {
    if (!request.dryRun) await dropBookkeeping(target);
    removed.push('schema _opendts on the target');
  } else if (!request.dryRun && (await forgetTask(target, taskId))) {
    removed.push('schema _opendts on the target');
  }
  return { removed, kept: [...kept] };
}

/**
 * A task of which the target has no books was released before, or this is another target: then the source still has what is to be released.
 * Throws TASK_NOT_RELEASED.
 */
async function assertOurTarget(ends: Ends, taskId: string): Promise<void> {
  const target = await ends.target();
  const tasks = (await hasBookkeeping(target)) ? await readTasks(target) : [];
  if (tasks.some((task) => task.taskId === taskId)) return;
  const source = await ends.source().catch(() => null);
  if (source === null) return;
  const names = sourceNames(taskId);
  const left = await source.query(
    `SELECT FROM pg_catalog.pg_replication_slots WHERE slot_name = $1
     UNION ALL SELECT FROM pg_catalog.pg_publication WHERE pubname = $2`,
    [names.slot, names.publication],
  );
  if (left.length === 0) return;
  const { database } = await identify(target);
  const commands = releaseSql(names, []).join('\n');
  throw new AppError('TASK_NOT_RELEASED', { task: taskId, database, commands });
}

/** By the options that the task was registered with. */
const namedByUser = z.object({
  publication: z.string().optional(),
  start: z.object({ slot: z.string() }).optional(),
});

function named({ options }: TaskRow): string[] {
  const { publication, start } = namedByUser.parse(JSON.parse(options));
  return [
    ...(start
      ? [
          `replication slot ${start.slot} on the source, which keeps its log: when nothing reads it any more, SELECT pg_drop_replication_slot(${literal(start.slot)});`,
        ]
      : []),
    ...(publication === undefined ? [] : [`publication ${publication} on the source`]),
  ];
}

/** Null where it is gone, and may be. */
async function openSource(ends: Ends, target: Session, request: CleanupRequest): Promise<Session | null> {
  const { sourceGone } = request;
  if (sourceGone === 'unreachable') return null;
  return ends.source().catch(async (thrown: unknown) => {
    if (sourceGone !== undefined && saysGone(thrown)) return null;
    throw await byHand(thrown, target, request);
  });
}

/** The one that is meant, or by the name of the source's database: the source itself cannot be asked. */
async function tasksOf(
  target: Session,
  { source: { database }, taskId: only }: CleanupRequest,
): Promise<TaskRow[]> {
  return (await readTasks(target)).filter(({ sourceDatabase, taskId }) =>
    only === undefined ? sourceDatabase === database : taskId === only,
  );
}

/** The source cannot be reached, or refuses us: what a person runs there instead. The target goes on remembering it. */
async function byHand(thrown: unknown, target: Session, request: CleanupRequest): Promise<unknown> {
  const { taskId: only } = request;
  const tasks = await tasksOf(target, request);
  const [first] = tasks;
  if (!(thrown instanceof AppError) || first === undefined) return thrown;
  const commands: string[] = [];
  for (const { taskId } of tasks)
    commands.push(...releaseSql(sourceNames(taskId), await readSourceIdentities(target, taskId)));
  if (only === undefined) commands.push('-- then, on the target:', 'DROP SCHEMA _opendts CASCADE;');
  return new AppError(
    'SOURCE_NOT_RELEASED',
    { problem: thrown.message, database: first.sourceDatabase, commands: commands.join('\n') },
    thrown,
  );
}

async function release(ends: Ends, task: TaskRow, dryRun: boolean): Promise<string[]> {
  const [source, target] = [await ends.source(), await ends.target()];
  const names = sourceNames(task.taskId);
  const identities = await readSourceIdentities(target, task.taskId);
  if (dryRun) {
    const slots = await source.query(
      'SELECT slot_name FROM pg_catalog.pg_replication_slots WHERE slot_name = $1',
      [names.slot],
    );
    const publications = await source.query(
      'SELECT pubname FROM pg_catalog.pg_publication WHERE pubname = $1',
      [names.publication],
    );
    return [
      ...slots.map((row) => `replication slot ${row.slot_name} on the source`),
      ...publications.map((row) => `publication ${row.pubname} on the source`),
      ...identities.map((former) => `replica identity FULL: ${restoringStatement(former)}`),
      ...(await readHelpers(source)).map((line) => `${line} on the source, unless another migration uses it`),
    ];
  }
  await endBackends(source, applicationName(task.taskId, ''));
  await endBackends(target, applicationName(task.taskId, ''));
  return releaseSource(source, names, identities);
}
