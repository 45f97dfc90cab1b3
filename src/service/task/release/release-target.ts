/** The release of tasks whose source is gone for good: their books on the target go, and what they had in the source is told. */
import { AppError } from '../../../base/errors/app-error.ts';
import type { Session } from '../../../engine/pg/session.ts';
import { endBackends } from '../../../engine/pg/identity.ts';
import { releaseSql } from '../../../engine/source/release-sql.ts';
import { applicationName, sourceNames } from '../../../engine/source/source-names.ts';
import { forgetTask } from '../../../engine/target/books/bookkeeping.ts';
import { readSourceIdentities, type TaskRow } from '../../../engine/target/books/task-row.ts';

/** What says that there is no such server or database any more. One that refuses our login is there, and its slot keeps its log. */
const GONE = new Set(['CONNECT_FAILED', 'DATABASE_MISSING']);

export function saysGone(thrown: unknown): boolean {
  return thrown instanceof AppError && GONE.has(thrown.code);
}

export interface TargetRelease {
  /** All of one source database. */
  readonly tasks: readonly TaskRow[];
  readonly dryRun: boolean;
}

/**
 * `removed` and `kept` as of a cleanup. Throws USAGE where the tasks are of several servers, of which the target knows no more than that one
 * cannot be reached.
 */
export async function releaseTarget(
  target: Session,
  { tasks, dryRun }: TargetRelease,
): Promise<{ removed: string[]; kept: string[] }> {
  const servers = new Set(tasks.map(({ sourceSystem }) => sourceSystem));
  if (servers.size > 1)
    throw new AppError('USAGE', {
      problem: `The target holds tasks of ${servers.size} servers that all have a database "${tasks[0]?.sourceDatabase}", and which of them is gone cannot be told: ${tasks.map(({ taskId }) => taskId).join(', ')}.`,
      remedy: 'Clean up those whose source is there first, with its --source.',
    });
  const removed: string[] = [];
  const kept: string[] = [];
  for (const { taskId, sourceDatabase } of tasks) {
    const commands = releaseSql(sourceNames(taskId), await readSourceIdentities(target, taskId)).join(' ');
    removed.push(`books of task ${taskId} on the target`);
    kept.push(
      `what task ${taskId} has in the source, which does not answer; should that server come back, its slot keeps its log until this is run there in database "${sourceDatabase}": ${commands}`,
    );
    if (dryRun) continue;
    await endBackends(target, applicationName(taskId, ''));
    if (await forgetTask(target, taskId)) removed.push('schema _opendts on the target');
  }
  return { removed, kept };
}
