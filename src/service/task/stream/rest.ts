/** The copy beside the stream as the stream stage sees it: begun when there is something to copy, again when more turns up. */
import { toAppError, type AppError } from '../../../base/errors/app-error.ts';
import type { Lsn } from '../../../engine/change/lsn.ts';
import type { SchemaPlan } from '../../../engine/schema/plan.ts';
import { withSignal, type TaskRun } from '../task-run.ts';
import { copyBeside, reconciledFrom, type Together } from './beside.ts';

export class Rest implements AsyncDisposable {
  private readonly run: TaskRun;
  private readonly plan: (turn: number) => Promise<SchemaPlan>;
  private readonly together: Together;
  private readonly left = new AbortController();
  private readonly broken = new AbortController();
  private work: Promise<void> | null = null;
  private hasMore = false;
  private turns = 0;
  private position: Lsn | null = null;
  private problem: AppError | null = null;

  /** `plan` is asked anew for each turn: tables may have come in. */
  constructor(run: TaskRun, plan: (turn: number) => Promise<SchemaPlan>, together: Together) {
    const signal = AbortSignal.any([run.hooks.signal, this.left.signal]);
    this.run = withSignal(run, signal);
    this.plan = plan;
    this.together = together;
  }

  /** All that can be copied is, and from this position on all of it is of one moment. Null before. */
  get reconciled(): Lsn | null {
    return this.position;
  }

  /** Tables that could not be copied. */
  get leftBehind(): AppError | null {
    return this.problem;
  }

  /** How often something was found to copy. */
  get turn(): number {
    return this.turns;
  }

  /** Aborts when the stream cannot go on either. */
  get failed(): AbortSignal {
    return this.broken.signal;
  }

  /** Something waits for its copy, or may. */
  begin(): void {
    this.position = null;
    this.turns++;
    this.hasMore = true;
    this.work ??= this.copy();
  }

  private async copy(): Promise<void> {
    try {
      // Asked last: more may turn up at any moment before.
      while (this.hasMore) {
        this.hasMore = false;
        this.problem = await copyBeside(this.run, await this.plan(this.turns), this.together);
        const position = await reconciledFrom(this.run);
        if (!this.hasMore) this.position = position;
      }
    } catch (thrown) {
      if (!this.run.hooks.signal.aborted) this.broken.abort(toAppError(thrown));
    } finally {
      this.work = null;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.left.abort();
    await this.work;
  }
}
