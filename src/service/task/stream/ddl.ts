/**
 * Repeats changes of columns on the target, where a person or the task's option has chosen so: beside the stream, in which the table
 * stands still until that is done. What cannot be repeated leaves the table stopped, with the reason.
 */
import { toAppError, type AppError } from '../../../base/errors/app-error.ts';
import { atMost, sleep } from '../../../base/runtime/sleep.ts';
import { displayName, nameKey } from '../../../engine/change/relation.ts';
import { isConnectionLoss, PgError } from '../../../engine/pg/pg-error.ts';
import type { DdlEvent } from '../../../engine/source/helpers/ddl-event.ts';
import { NotApplicable } from '../../../engine/target/ddl/column-plan.ts';
import { changeFromText } from '../../../engine/target/ddl/table-change.ts';
import type { Positions } from '../../../engine/target/apply/positions.ts';
import {
  endChange,
  isToBeChanged,
  readStoppedTables,
  type StoppedTable,
} from '../../../engine/target/books/stopped-tables.ts';
import { holdFence } from '../../../engine/target/books/task-row.ts';
import { warn, type TaskRun } from '../task-run.ts';
import type { Together } from './beside.ts';
import { changeStopped, learnChange, refusalOf, takeColumns, type ChangeEnds } from './ddl-change.ts';

/** The stream waits for so long before it goes on without the table. */
const QUICK_MS = 3_000;
const PAUSE_MS = 300;
const LONGEST_PAUSE_MS = 5_000;
const SAY_BUSY_MS = 10_000;

export class DdlRepeater implements AsyncDisposable {
  private readonly run: TaskRun;
  private readonly copies: Together['copies'];
  private readonly closing = new AbortController();
  private readonly signal: AbortSignal;
  private readonly working = new Map<string, Promise<void>>();
  /** What the target was given: table and columns, as the command that made them so tells them when it comes by again. */
  private readonly repeated = new Set<string>();
  /** By table: place and change made last, which must not come to be made there again. */
  private readonly made = new Map<string, string>();
  private readonly learned = new Map<string, string>();
  /** Tables that a person has seen stopped in this run; a new one lets all go on, and looks at none. */
  private readonly shown = new Set<string>();
  private hasEnded = false;
  private failure: AppError | null = null;

  constructor(run: TaskRun, { copies }: Pick<Together, 'copies'>) {
    this.run = run;
    this.copies = copies;
    this.signal = AbortSignal.any([run.hooks.signal, this.closing.signal]);
  }

  /** Tables can go on, or a person is to look at them: the stream is to begin again. */
  get isReady(): boolean {
    return this.hasEnded;
  }

  /** Something is being changed, or was. */
  get isBusy(): boolean {
    return this.working.size > 0 || this.hasEnded;
  }

  /** Whether the target was given the columns behind this command by us. */
  hasRepeated({ tables }: DdlEvent): boolean {
    return tables.some(({ oid, columns }) => this.repeated.has(keyOf(oid, columns ?? [])));
  }

  /** Between two runs of the stream: begins what was chosen. What is quick is done when it returns, and `positions` knows of it. */
  async settle(positions: Positions): Promise<void> {
    for (const one of positions.stopped) if (one.choice === null) this.shown.add(nameKey(one.table));
    for (const one of positions.behind) await this.learn(one);
    const chosen = positions.stopped.filter(isToBeChanged);
    for (const one of chosen) {
      const key = nameKey(one.table);
      if (this.working.has(key)) continue;
      this.working.set(
        key,
        this.change(one).finally(() => this.working.delete(key)),
      );
    }
    if (chosen.length > 0) await atMost(QUICK_MS, Promise.all(this.working.values()), this.signal);
    if (!this.hasEnded) return;
    this.hasEnded = false;
    const { ends, taskId } = this.run;
    for (const one of await readStoppedTables(await ends.target(), taskId)) positions.stop(one);
    const { failure } = this;
    this.failure = null;
    if (failure) throw failure;
  }

  /** Never rejects. */
  private async change(stopped: StoppedTable): Promise<void> {
    const started = performance.now();
    let hasSaid = false;
    for (let attempt = 1; !this.signal.aborted; attempt++) {
      try {
        if (await this.attempt(stopped)) break;
        if (!hasSaid && performance.now() - started > SAY_BUSY_MS) {
          hasSaid = true;
          warn(
            this.run,
            `the target's table of ${displayName(stopped.table)} is in use; it is changed as soon as nobody has it for a moment`,
          );
        }
      } catch (thrown) {
        if (this.signal.aborted) return;
        if (!passes(thrown)) {
          await this.refuse(stopped, thrown).catch((again: unknown) => (this.failure = toAppError(again)));
          break;
        }
      }
      await sleep(Math.min(PAUSE_MS * attempt, LONGEST_PAUSE_MS), this.signal);
    }
    this.hasEnded = !this.signal.aborted;
  }

  /** False where it is to be tried again. */
  private async attempt(stopped: StoppedTable): Promise<boolean> {
    const { run } = this;
    const key = nameKey(stopped.table);
    const mark = `${stopped.endLsn} ${stopped.change}`;
    if (stopped.choice === 'auto' && this.made.get(key) === mark)
      throw new NotApplicable('it was made, and the table has stopped at it again');
    return this.withEnds(async (ends) => {
      const changed = await changeStopped(run, stopped, ends, this.copies.tables);
      if (changed === null) return false;
      this.made.set(key, mark);
      const { oid, columns, from } = changeFromText(stopped.change ?? '');
      if (from === 'command') this.repeated.add(keyOf(oid, columns));
      await takeColumns(run, ends.source);
      const done = changed.words.length > 0 ? changed.words.join('; ') : 'nothing was left to change';
      const message = `${displayName(stopped.table)} was changed on the source, and so is ${displayName(changed.on)} on the target: ${done}`;
      run.hooks.onEvent({ level: 'info', phase: run.book.phase, message });
      return true;
    });
  }

  /** Once for each choice: a person may have made the change by hand. */
  private async learn(stopped: StoppedTable): Promise<void> {
    const key = nameKey(stopped.table);
    const mark = `${stopped.endLsn} ${stopped.change}`;
    const isTrusted = this.shown.has(key);
    const what = `${mark} ${isTrusted}`;
    if (stopped.change === null || this.made.get(key) === mark || this.learned.get(key) === what) return;
    this.learned.set(key, what);
    await this.withEnds(async (ends) => {
      await learnChange(this.run, { ...stopped, isTrusted }, ends).catch((thrown: unknown) => {
        if (!(thrown instanceof NotApplicable)) throw thrown;
      });
      await takeColumns(this.run, ends.source);
    });
  }

  private async withEnds<T>(work: (ends: ChangeEnds) => Promise<T>): Promise<T> {
    await using source = await this.run.ends.openSource('ddl');
    await using target = await this.run.ends.openTarget('ddl');
    const cut = () => [source, target].forEach((session) => session.destroy());
    this.signal.addEventListener('abort', cut, { once: true });
    try {
      return await work({ source, target });
    } finally {
      this.signal.removeEventListener('abort', cut);
    }
  }

  private async refuse(stopped: StoppedTable, thrown: unknown): Promise<void> {
    const { run } = this;
    const error = isRefusal(thrown) ? refusalOf(stopped.table, wordsOf(thrown)) : toAppError(thrown);
    const { table } = stopped;
    await using target = await run.ends.openTarget('ddl');
    await target.transaction(async () => {
      await holdFence(target, run.taskId, run.fence);
      // Why it has stopped stays to be read.
      const reason = `${error.message} ${stopped.code === error.code ? '' : stopped.reason}`.trim();
      await endChange(target, run.taskId, { table, refusal: { code: error.code, reason } });
    });
    warn(run, `${error.message} ${error.remedy}`);
    if (run.request.strict || !isRefusal(thrown)) throw error;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.closing.abort();
    await Promise.all(this.working.values());
  }
}

function isRefusal(thrown: unknown): thrown is NotApplicable | PgError {
  return thrown instanceof NotApplicable || thrown instanceof PgError;
}

function wordsOf(thrown: NotApplicable | PgError): string {
  return thrown instanceof PgError ? `the target refuses it: ${thrown.shown}` : thrown.message;
}

/** Lost connections, servers that restart or are short of something. */
function passes(thrown: unknown): boolean {
  if (thrown instanceof PgError)
    return isConnectionLoss(thrown) || /^(08|40|53|55P03|57)/.test(thrown.sqlstate);
  return !(thrown instanceof NotApplicable) && toAppError(thrown).entry.retry === 'later';
}

interface NumberedColumn {
  readonly attnum: number | null;
  readonly name: string;
  readonly type: string | null;
}

function keyOf(oid: number, columns: readonly NumberedColumn[]): string {
  return JSON.stringify([oid, ...columns.map(({ attnum, name, type }) => [attnum, name, type])]);
}
