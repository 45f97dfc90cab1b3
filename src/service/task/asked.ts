/** What a run does when a person asks something of tables that go on (asked-tables.ts): which tables are meant, what they are then, and what is said. */
import { AppError } from '../../base/errors/app-error.ts';
import { displayName, nameKey, type QualifiedName } from '../../engine/change/relation.ts';
import type { TableInfo } from '../../engine/pg/catalog/tables/tables.ts';
import type { AskedTable, TableAsk } from '../../engine/target/books/asked-tables.ts';
import { isKept, isLeftOut, type StoppedTable } from '../../engine/target/books/stopped-tables.ts';
import { nameTargets, warn, type TaskRun } from './task-run.ts';

const BECOMES = {
  pause: { code: 'TABLE_PAUSED', choice: null },
  skip: { code: 'TABLE_SKIPPED', choice: 'skip' },
  recopy: { code: 'TABLE_RECOPIED', choice: 'recopy' },
} as const satisfies Record<TableAsk, Pick<StoppedTable, 'choice'> & { readonly code: string }>;

/** What stands in the books of a table for which this is done. */
export function becomes({ ask, table }: AskedTable): {
  readonly error: AppError;
  readonly choice: StoppedTable['choice'];
} {
  const { code, choice } = BECOMES[ask];
  return { error: new AppError(code, { table: displayName(table) }), choice };
}

/** With it go all that go into the same target table: rows may pass from one to another. */
export function tablesMeant({ tables, targetOf }: TaskRun, { table }: AskedTable): TableInfo[] {
  if (!tables.some((one) => nameKey(one) === nameKey(table))) return [];
  const target = nameKey(targetOf(table));
  return tables.filter((one) => nameKey(targetOf(one)) === target);
}

/** Whether a table that has stopped already can be given that. What the source has forgotten of a table that was left out does not come back. */
export function mayBecome(ask: TableAsk, stopped: StoppedTable | undefined): boolean {
  if (stopped === undefined || ask === 'skip') return true;
  if (!isKept(stopped)) return false;
  return ask === 'recopy' || stopped.choice === 'retry';
}

const SAID = {
  pause:
    'is paused: its changes wait, and the source keeps its log for them, until it goes on (opendts tables --retry) or is left out (--skip)',
  skip: 'is left out: what the target has of it stays as it is, its changes are passed over and nothing is kept for it; it can be copied again (opendts tables --recopy)',
  recopy: 'is copied again',
} as const satisfies Record<TableAsk, string>;

/** `tables`: for which it was done. That they are copied again says who does it. */
export function sayDone(run: TaskRun, { table, ask }: AskedTable, tables: readonly TableInfo[]): void {
  if (tables.length === 0) warn(run, `${displayName(table)}: there is nothing to ${ask}`);
  else if (ask !== 'recopy') warn(run, `${tables.map(displayName).join(', ')} ${SAID[ask]}`);
}

/** In every run that goes on without them. */
export function sayLeftOut(run: TaskRun, stopped: readonly StoppedTable[]): void {
  const names = stopped.filter(isLeftOut).map(({ table }) => displayName(table));
  // What they lack is not waited for.
  for (const name of names) run.book.failed(name);
  if (names.length > 0)
    warn(run, `left out, as somebody has asked, and not kept up to date: ${names.join(', ')}`);
}

/** They are neither copied nor followed from now on. */
export function leaveOut(run: TaskRun, stopped: readonly Pick<StoppedTable, 'table'>[]): void {
  const gone = namesOf(stopped);
  if (!run.tables.some((table) => gone.has(nameKey(table)))) return;
  const stays = (table: QualifiedName) => !gone.has(nameKey(table));
  run.tables = run.tables.filter(stays);
  run.followed = run.followed.filter(stays);
  nameTargets(run);
}

/** Those that were left out, and are to be copied again, are the task's once more. */
export function takeIn(run: TaskRun, stopped: readonly Pick<StoppedTable, 'table'>[]): void {
  const wanted = namesOf(stopped);
  const known = new Set(run.tables.map(nameKey));
  const back = run.selected.filter(
    (table) => table.kind === 'r' && wanted.has(nameKey(table)) && !known.has(nameKey(table)),
  );
  if (back.length === 0) return;
  run.tables = [...run.tables, ...back];
  run.followed = [...run.followed, ...back.filter(({ persistence }) => persistence !== 'unlogged')];
  nameTargets(run);
}

function namesOf(stopped: readonly Pick<StoppedTable, 'table'>[]): Set<string> {
  return new Set(stopped.map(({ table }) => nameKey(table)));
}
