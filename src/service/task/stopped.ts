/** Tables of the migrations into a target that do not go on with the others, and what persons choose for them, or ask of those that do. */
import { AppError } from '../../base/errors/app-error.ts';
import { displayName, nameKey, type QualifiedName } from '../../engine/change/relation.ts';
import type { Session } from '../../engine/pg/session.ts';
import { matcher } from '../../engine/selection/selection.ts';
import {
  askForTable,
  readAskedTables,
  takeAskBack,
  takeWish,
  type AskedTable,
  type TableAsk,
} from '../../engine/target/books/asked-tables.ts';
import { areBooksCurrent, ensureBookkeeping, hasBookkeeping } from '../../engine/target/books/bookkeeping.ts';
import {
  chooseForTable,
  isKept,
  isPaused,
  keepLetters,
  readLetterTables,
  readStoppedTables,
  type StoppedTable,
  type TableChoice,
} from '../../engine/target/books/stopped-tables.ts';
import { readTableNames } from '../../engine/target/books/task-tables.ts';
import { readTasks, recordedEnd, type TaskRow } from '../../engine/target/books/task-row.ts';

export interface StoppedTableOfTask extends StoppedTable {
  readonly taskId: string;
  /** Log of the source that is kept for this table alone. */
  readonly keptBytes: bigint;
}

export interface TableOfTask {
  readonly taskId: string;
  readonly table: QualifiedName;
}

/** What a person may want: of a table that has stopped; `pause`, `skip` and `recopy` of any. */
export type Choice = TableChoice | TableAsk;

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
  for (const { taskId, slot } of await readTasks(target)) {
    const end = slot === null ? 0n : await recordedEnd(target, taskId);
    for (const table of await readStoppedTables(target, taskId)) {
      const keptBytes = isKept(table) && end > table.endLsn ? end - table.endLsn : 0n;
      found.push({ ...table, taskId, keptBytes });
    }
  }
  return found;
}

/** What was asked of tables and no run has done yet. */
export async function askedTables(target: Session): Promise<(AskedTable & TableOfTask)[]> {
  if (!(await hasBookkeeping(target)) || !(await areBooksCurrent(target))) return [];
  const found: (AskedTable & TableOfTask)[] = [];
  for (const { taskId } of await readTasks(target))
    for (const asked of await readAskedTables(target, taskId)) found.push({ ...asked, taskId });
  return found;
}

interface KnownTable extends TableOfTask {
  readonly task: TaskRow;
  /** Of a partition, the table at its top. */
  readonly top: QualifiedName | null;
  readonly stopped: StoppedTable | null;
  readonly isAsked: boolean;
  readonly keepsLetters: boolean;
}

async function knownTables(target: Session): Promise<KnownTable[]> {
  if (!(await hasBookkeeping(target))) return [];
  if (!(await areBooksCurrent(target))) await ensureBookkeeping(target);
  const known: KnownTable[] = [];
  for (const task of await readTasks(target)) {
    const { taskId } = task;
    const stopped = new Map(
      (await readStoppedTables(target, taskId)).map((one) => [nameKey(one.table), one]),
    );
    const asked = new Set((await readAskedTables(target, taskId)).map(({ table }) => nameKey(table)));
    const letters = await readLetterTables(target, taskId);
    const names = await readTableNames(target, taskId);
    const tops = new Set(names.flatMap(({ top }) => (top === null ? [] : [nameKey(top)])));
    // The rows of a partitioned table are those of its partitions.
    for (const { table, top } of names.filter((one) => !tops.has(nameKey(one.table)))) {
      const key = nameKey(table);
      known.push({
        taskId,
        task,
        table,
        top,
        stopped: stopped.get(key) ?? null,
        isAsked: asked.has(key),
        keepsLetters: letters.has(key),
      });
    }
  }
  return known;
}

function isAsk(choice: Choice): choice is TableAsk {
  return choice === 'pause' || choice === 'skip' || choice === 'recopy';
}

/** Who goes on can be asked something, but has nothing to be let go on with, unless it was asked before or its refused changes are kept. */
function isFor({ stopped, isAsked, keepsLetters }: KnownTable, choice: Choice): boolean {
  if (isAsk(choice) || stopped !== null) return true;
  return choice === 'retry' && (isAsked || keepsLetters);
}

/** Throws USAGE where one of the tables cannot have what is chosen. */
function assertMay(chosen: readonly KnownTable[], choice: Choice): void {
  const refuse = (which: readonly KnownTable[], problem: string, remedy: string) => {
    const names = which.map(({ table }) => displayName(table)).join(', ');
    if (which.length > 0)
      throw new AppError('USAGE', { problem: problem.replace('{tables}', names), remedy });
  };
  if (choice === 'recopy') assertMayEmpty(chosen, refuse);
  if (choice !== 'recopy' && choice !== 'skip')
    refuse(
      chosen.filter(({ stopped }) => stopped !== null && !isKept(stopped)),
      '{tables} was left out, and what changed of it since is not kept.',
      'Have it copied again: opendts tables --recopy.',
    );
  if (choice === 'apply')
    refuse(
      chosen.filter(({ stopped }) => stopped?.change === null),
      '{tables} has not stopped at a change of its columns that opendts could repeat.',
      'The reason is shown by: opendts tables. Remove the cause and let it go on: opendts tables --retry.',
    );
  if (choice === 'pause')
    refuse(
      chosen.filter(({ stopped }) => stopped !== null && stopped.choice !== 'retry' && !isPaused(stopped)),
      '{tables} has stopped: nothing of it is applied as it is.',
      'See why: opendts tables. Let it go on (--retry), have it copied again (--recopy) or leave it out (--skip).',
    );
}

type Refuse = (which: readonly KnownTable[], problem: string, remedy: string) => void;

/** Rows of the target's own would go as well, or nothing would come instead. */
function assertMayEmpty(chosen: readonly KnownTable[], refuse: Refuse): void {
  refuse(
    chosen.filter(({ task }) => task.options.includes('"conflict":"ignore"')),
    'A table that keeps rows of the target (--conflict ignore) cannot be emptied and copied again.',
    'Remove the cause and let it go on: opendts tables --retry.',
  );
  refuse(
    chosen.filter(({ task }) => !/^\{"types":\[[^\]]*"full"/.test(task.options)),
    'A migration without the type full copies no table: {tables} would stay empty.',
    'Put its rows right by hand and let it go on: opendts tables --retry.',
  );
}

/** False when it is not as it was a moment ago. */
async function choose(target: Session, one: KnownTable, choice: Choice): Promise<boolean> {
  const { taskId, table, stopped, keepsLetters } = one;
  if (choice === 'pause' || choice === 'skip') {
    if (choice !== 'pause' || stopped === null || !isPaused(stopped))
      await askForTable(target, taskId, { table, ask: choice });
    return true;
  }
  const wasAsked = await takeAskBack(target, taskId, table);
  if (stopped !== null && (await chooseForTable(target, taskId, { table, choice }))) return true;
  if (choice === 'recopy') {
    await askForTable(target, taskId, { table, ask: choice });
    return true;
  }
  if (choice !== 'retry') return false;
  // Whose refused changes become dead letters goes on: there, retry is the end of that.
  if (keepsLetters) await keepLetters(target, taskId, { table, keeps: false });
  return wasAsked || keepsLetters;
}

async function chooseAll(target: Session, chosen: readonly KnownTable[], choice: Choice): Promise<void> {
  assertMay(chosen, choice);
  for (const one of chosen)
    if (!(await choose(target, one, choice)))
      throw new AppError('NOT_STOPPED', { table: displayName(one.table) });
}

/**
 * For every table that one of the patterns names; a running migration sees it within a second or two, another one when it is run. Throws NOT_STOPPED or
 * NO_SUCH_TABLE naming the pattern that names none, USAGE for a choice that a table cannot have.
 */
export async function chooseForTables(
  target: Session,
  patterns: readonly string[],
  choice: Choice,
): Promise<void> {
  if (patterns.length === 0) return;
  const known = await knownTables(target);
  const chosen = new Set<KnownTable>();
  for (const pattern of patterns) {
    const isNamed = matcher(pattern);
    const named = known.filter(
      (one) => (isNamed(one.table) || (one.top !== null && isNamed(one.top))) && isFor(one, choice),
    );
    if (named.length === 0) throw noneFor(choice, pattern);
    for (const one of named) chosen.add(one);
  }
  await chooseAll(target, [...chosen], choice);
}

/** A wish of a service for one table, by its name as it is shown; `at`: when it was asked for. */
export interface WishFor {
  readonly table: string;
  readonly choice: Choice;
  readonly at: string;
}

/** For single tables of one task; what it gives throws the same, and WISH_DONE. */
export async function choicesOf(target: Session, taskId: string): Promise<(wish: WishFor) => Promise<void>> {
  const ours = (await knownTables(target)).filter((one) => one.taskId === taskId);
  const known = new Map(ours.map((one) => [displayName(one.table), one]));
  return async ({ table, choice, at }) => {
    const one = known.get(table);
    if (one === undefined) throw noneFor('pause', table);
    await target.transaction(async () => {
      if (!(await takeWish(target, taskId, { table: one.table, at })))
        throw new AppError('WISH_DONE', { table });
      if (!isFor(one, choice)) throw noneFor(choice, table);
      await chooseAll(target, [one], choice);
    });
  };
}

function noneFor(choice: Choice, table: string): AppError {
  return new AppError(isAsk(choice) ? 'NO_SUCH_TABLE' : 'NOT_STOPPED', { table });
}
