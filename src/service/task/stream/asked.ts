/** What persons ask of tables that are followed, done between two runs of the stream: where everything before is applied, and nothing behind. */
import { AppError } from '../../../base/errors/app-error.ts';
import { formatLsn } from '../../../engine/change/lsn.ts';
import { displayName, nameKey } from '../../../engine/change/relation.ts';
import type { Applier } from '../../../engine/target/apply/applier.ts';
import { askDoneStatement, readAskedTables } from '../../../engine/target/books/asked-tables.ts';
import { isLeftOut, isPaused, type StoppedTable } from '../../../engine/target/books/stopped-tables.ts';
import { becomes, leaveOut, mayBecome, sayDone, tablesMeant, takeIn } from '../asked.ts';
import type { Copies } from '../copy/copies.ts';
import type { TaskRun } from '../task-run.ts';

/** Each in one transaction with its record. */
export async function attendToAsked(
  run: TaskRun,
  applier: Pick<Applier, 'positions' | 'stop'>,
): Promise<void> {
  const followed = new Set(run.followed.map(({ oid }) => oid));
  for (const asked of await readAskedTables(await run.ends.target(), run.taskId)) {
    const stopped = new Map(applier.positions.stopped.map((one) => [nameKey(one.table), one]));
    const tables = tablesMeant(run, asked).filter(
      (table) => followed.has(table.oid) && mayBecome(asked.ask, stopped.get(nameKey(table))),
    );
    const { error, choice } = becomes(asked);
    await applier.stop(tables, error, { choice, change: null }, [askDoneStatement(run.taskId, asked)]);
    sayDone(run, asked, tables);
  }
}

/** Of tables that were paused when they were last looked at. */
export function sayGoingOn({ book, hooks }: TaskRun, now: readonly StoppedTable[]): void {
  const paused = new Set(book.stopped.filter(isPaused).map(({ table }) => nameKey(table)));
  for (const { table, choice, endLsn } of now) {
    if (choice !== 'retry' || !paused.has(nameKey(table))) continue;
    const message = `${displayName(table)} goes on, from ${formatLsn(endLsn)}`;
    hooks.onEvent({ level: 'info', phase: book.phase, message });
  }
}

/**
 * The copy beside the stream leaves alone what is paused or left out. True where something may be copied that had to wait before. To be
 * called while the stream stands.
 */
export function heedStopped(run: TaskRun, copies: Copies, stopped: readonly StoppedTable[]): boolean {
  const gone = stopped.filter(isLeftOut);
  leaveOut(run, gone);
  for (const { table } of gone) copies.leaveOut(table);
  takeIn(
    run,
    stopped.filter(({ choice }) => choice === 'recopy'),
  );
  const paused = new Set(stopped.filter(isPaused).map(({ table }) => displayName(table)));
  for (const name of paused)
    if (copies.isLeft(name)) copies.giveUp(name, new AppError('TABLE_PAUSED', { table: name }));
  const freed = run.followed.filter((table) => copies.isPaused(table) && !paused.has(displayName(table)));
  for (const table of freed) copies.tryAgain(displayName(table));
  return freed.length > 0;
}
