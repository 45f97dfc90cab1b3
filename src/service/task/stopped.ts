/** Tables of the migrations into a target that have stopped, and what a person chooses for them. */
import { AppError } from '../../base/errors/app-error.ts';
import { displayName, type QualifiedName } from '../../engine/change/relation.ts';
import type { Session } from '../../engine/pg/session.ts';
import { matcher } from '../../engine/selection/selection.ts';
import { hasBookkeeping } from '../../engine/target/books/bookkeeping.ts';
import {
  chooseForTable,
  keepLetters,
  readLetterTables,
  readStoppedTables,
  type StoppedTable,
  type TableChoice,
} from '../../engine/target/books/stopped-tables.ts';
import { readTasks } from '../../engine/target/books/task-row.ts';

export interface StoppedTableOfTask extends StoppedTable {
  readonly taskId: string;
}

export interface TableOfTask {
  readonly taskId: string;
  readonly table: QualifiedName;
}

/** Tables of which dead letters are kept. */
export async function keptTables(target: Session): Promise<TableOfTask[]> {
  if (!(await hasBookkeeping(target))) return [];
  const kept: TableOfTask[] = [];
  for (const { taskId } of await readTasks(target))
    for (const table of (await readLetterTables(target, taskId)).values()) kept.push({ table, taskId });
  return kept;
}

export async function stoppedTables(target: Session): Promise<StoppedTableOfTask[]> {
  if (!(await hasBookkeeping(target))) return [];
  const found: StoppedTableOfTask[] = [];
  for (const { taskId } of await readTasks(target))
    for (const table of await readStoppedTables(target, taskId)) found.push({ ...table, taskId });
  return found;
}

/** Rows of the target's own would go as well. */
async function assertMayEmpty(target: Session, stopped: readonly StoppedTableOfTask[]): Promise<void> {
  const tasks = new Set(stopped.map(({ taskId }) => taskId));
  const keeps = (await readTasks(target)).some(
    ({ taskId, options }) => tasks.has(taskId) && options.includes('"conflict":"ignore"'),
  );
  if (keeps)
    throw new AppError('USAGE', {
      problem:
        'A table that keeps rows of the target (--conflict ignore) cannot be emptied and copied again.',
      remedy: 'Remove the cause and let it go on: opendts tables --retry.',
    });
}

/** There must be a change of columns to repeat. */
function assertMayChange(stopped: readonly StoppedTableOfTask[]): void {
  const others = stopped.filter(({ change }) => change === null).map(({ table }) => displayName(table));
  if (others.length > 0)
    throw new AppError('USAGE', {
      problem: `${others.join(', ')} has not stopped at a change of its columns that opendts could repeat.`,
      remedy:
        'The reason is shown by: opendts tables. Remove the cause and let it go on: opendts tables --retry.',
    });
}

/**
 * For every stopped table that one of the patterns names; a running migration sees it within a second or two. Throws NOT_STOPPED naming
 * the pattern that names none.
 */
export async function chooseForTables(
  target: Session,
  patterns: readonly string[],
  choice: TableChoice,
): Promise<StoppedTableOfTask[]> {
  const stopped = await stoppedTables(target);
  // Whose refused changes become dead letters goes on: there, retry is the end of that.
  const kept = choice === 'retry' ? await keptTables(target) : [];
  const chosen = new Set<StoppedTableOfTask>();
  for (const pattern of patterns) {
    const isNamed = matcher(pattern);
    const named = stopped.filter(({ table }) => isNamed(table));
    const ended = kept.filter(({ table }) => isNamed(table));
    for (const { taskId, table } of ended) await keepLetters(target, taskId, { table, keeps: false });
    if (named.length + ended.length === 0) throw new AppError('NOT_STOPPED', { table: pattern });
    for (const one of named) chosen.add(one);
  }
  if (choice === 'recopy') await assertMayEmpty(target, [...chosen]);
  if (choice === 'apply') assertMayChange([...chosen]);
  for (const { taskId, table } of chosen)
    if (!(await chooseForTable(target, taskId, { table, choice })))
      throw new AppError('NOT_STOPPED', { table: displayName(table) });
  return [...chosen];
}

/** For one table of one task. Throws NOT_STOPPED, or USAGE for a choice that the table cannot have. */
export async function chooseForStopped(
  target: Session,
  {
    taskId,
    table,
    choice,
  }: { readonly taskId: string; readonly table: string; readonly choice: TableChoice },
): Promise<void> {
  const stopped = (await stoppedTables(target)).filter(
    (one) => one.taskId === taskId && displayName(one.table) === table,
  );
  if (choice === 'recopy') await assertMayEmpty(target, stopped);
  if (choice === 'apply') assertMayChange(stopped);
  for (const { table: of } of stopped)
    if (await chooseForTable(target, taskId, { table: of, choice })) return;
  // Whose refused changes become dead letters goes on: there, retry is the end of that.
  const kept = choice === 'retry' ? await keptTables(target) : [];
  const ended = kept.find((one) => one.taskId === taskId && displayName(one.table) === table);
  if (ended !== undefined) return keepLetters(target, taskId, { table: ended.table, keeps: false });
  throw new AppError('NOT_STOPPED', { table });
}
