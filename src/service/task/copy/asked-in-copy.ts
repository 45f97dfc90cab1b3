/**
 * What persons ask of tables while all are being copied and nothing is followed yet. Looked for every second: of a table that is paused or left out
 * nothing more is begun. To be copied again it is emptied between two passes.
 */
import type { AppError } from '../../../base/errors/app-error.ts';
import { sleep } from '../../../base/runtime/sleep.ts';
import { displayName, nameKey, type QualifiedName } from '../../../engine/change/relation.ts';
import type { Session } from '../../../engine/pg/session.ts';
import { askDone, readAskedTables, type AskedTable } from '../../../engine/target/books/asked-tables.ts';
import {
  forgetStoppedTable,
  isLeftOut,
  isPaused,
  readStoppedTables,
  stopBeforeStream,
  type StoppedTable,
} from '../../../engine/target/books/stopped-tables.ts';
import { holdFence, raiseCopyFence } from '../../../engine/target/books/task-row.ts';
import { becomes, leaveOut, mayBecome, sayDone, tablesMeant, takeIn } from '../asked.ts';
import { warn, type TaskRun } from '../task-run.ts';
import { isComplete, readBooks, withThoseBeside } from './copy-books.ts';
import { areLargeObjectsCopied } from './large-objects.ts';
import { emptyTables } from './take-back.ts';

const LOOK_MS = 1_000;
const HELD_UP =
  'what is left to copy is paused: it waits for somebody to let it go on (opendts tables --retry) or to leave it out (--skip)';

export class AskedInCopy implements AsyncDisposable {
  private readonly run: TaskRun;
  private readonly timer: NodeJS.Timeout;
  private work: Promise<void> = Promise.resolve();
  private isLooking = false;
  private hasSaid = false;
  /** By nameKey: nothing of them is begun. */
  private held: ReadonlySet<string> = new Set();

  constructor(run: TaskRun) {
    this.run = run;
    this.timer = setInterval(() => {
      // What cannot be read now is read at the next look.
      if (!this.isLooking) void this.look(false).catch(() => {});
    }, LOOK_MS);
  }

  isHeld(table: QualifiedName): boolean {
    return this.held.has(nameKey(table));
  }

  /** Between two passes. */
  attend(): Promise<void> {
    return this.look(true);
  }

  /** All that is left to copy waits for a person. */
  async isHeldUp(): Promise<boolean> {
    const { run } = this;
    if (this.held.size === 0) return false;
    const target = await run.ends.target();
    const books = await readBooks(target, run.taskId, run.tables);
    return (
      books.every((one) => isComplete(one) || this.isHeld(one.table)) && areLargeObjectsCopied(run, target)
    );
  }

  /** For a moment. */
  async waitHeldUp(): Promise<void> {
    if (!this.hasSaid) warn(this.run, HELD_UP);
    this.hasSaid = true;
    await sleep(LOOK_MS, this.run.hooks.signal);
  }

  /** Of what could not be copied: what a person has not paused or left out meanwhile. By name. */
  async stillWanted(failed: ReadonlyMap<string, AppError>): Promise<ReadonlyMap<string, AppError>> {
    await this.attend();
    const { selected, tables } = this.run;
    const wanted = new Set(tables.filter((table) => !this.isHeld(table)).map(displayName));
    const aside = new Set(selected.map(displayName).filter((name) => !wanted.has(name)));
    return new Map([...failed].filter(([name]) => !aside.has(name)));
  }

  private look(isBetween: boolean): Promise<void> {
    this.isLooking = true;
    this.work = this.work
      .catch(() => {})
      .then(() => this.doAsked(isBetween))
      .finally(() => (this.isLooking = false));
    return this.work;
  }

  private async doAsked(isBetween: boolean): Promise<void> {
    const { run } = this;
    const target = await run.ends.target();
    for (const asked of await readAskedTables(target, run.taskId)) await this.stop(target, asked);
    const stopped = await readStoppedTables(target, run.taskId);
    const gone = stopped.filter(isLeftOut);
    for (const { table } of gone) run.book.failed(displayName(table));
    leaveOut(run, gone);
    await this.goOn(
      target,
      stopped.filter(({ choice }) => choice === 'retry'),
    );
    const again = stopped.filter(({ choice }) => choice === 'recopy');
    if (isBetween) await this.beginAnew(target, again);
    // What is emptied between two passes may have chunks in this one.
    const held = [...stopped.filter(isPaused), ...gone, ...(isBetween ? [] : again)];
    this.held = new Set(held.map(({ table }) => nameKey(table)));
    run.book.stopped = held;
  }

  private async stop(target: Session, asked: AskedTable): Promise<void> {
    const { run } = this;
    const stopped = new Map(
      (await readStoppedTables(target, run.taskId)).map((one) => [nameKey(one.table), one]),
    );
    const tables = tablesMeant(run, asked).filter((table) =>
      mayBecome(asked.ask, stopped.get(nameKey(table))),
    );
    const { error, choice } = becomes(asked);
    const { code, message: reason } = error;
    await target.transaction(async () => {
      await holdFence(target, run.taskId, run.fence);
      for (const { schema, name } of tables)
        await stopBeforeStream(target, run.taskId, { table: { schema, name }, code, reason, choice });
      await askDone(target, run.taskId, asked);
    });
    sayDone(run, asked, tables);
  }

  /** Nothing has been applied to others meanwhile, so they are where these are. */
  private async goOn(target: Session, tables: readonly StoppedTable[]): Promise<void> {
    const { run } = this;
    if (tables.length === 0) return;
    await target.transaction(async () => {
      await holdFence(target, run.taskId, run.fence);
      for (const { table } of tables) await forgetStoppedTable(target, run.taskId, table);
    });
  }

  private async beginAnew(target: Session, tables: readonly StoppedTable[]): Promise<void> {
    const { run } = this;
    if (tables.length === 0) return;
    takeIn(run, tables);
    const names = new Set(tables.map(({ table }) => nameKey(table)));
    const books = withThoseBeside(run, await readBooks(target, run.taskId, run.tables), ({ table }) =>
      names.has(nameKey(table)),
    );
    // Nothing of a pass before may still come.
    run.task = { ...run.task, copyFence: await raiseCopyFence(target, run) };
    await emptyTables(run, books);
    for (const { table } of books) warn(run, `${displayName(table)} is copied again`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.timer);
    await this.work.catch(() => {});
  }
}
