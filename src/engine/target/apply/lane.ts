/**
 * One target connection that applies changes in order, with a row of its own in the books (data-plane P9, P12). Each target transaction is
 *
 *   BEGIN · fence check · changes … · what goes with them · progress (Commit.end_lsn) · COMMIT
 *
 * Changes may come in several batches, so a source transaction of any size passes through bounded memory. One that is small as a whole goes
 * in one round trip, and in as few statements as can be (decision 35): fence check, progress and account are one, which comes first.
 */
import { AppError } from '../../../base/errors/app-error.ts';
import { byteText, type ByteText } from '../../change/change.ts';
import { formatLsn, type Lsn } from '../../change/lsn.ts';
import { isDataError, PgError } from '../../pg/pg-error.ts';
import type { Session } from '../../pg/session.ts';
import { Pipeline, type Statement } from '../../pg/wire/pipeline.ts';
import { ApplyRefused, explainApply, refusalOf, RowCountDiffers, withoutValues } from './apply-failure.ts';
import type { Planned } from './sql/apply-sql.ts';
import { accountSql } from '../books/account.ts';
import { isMiscounted } from './sql/at-once.ts';
import type { DeadLetters } from '../letters/dead-letters.ts';
import { planForKeys } from './plan-settings.ts';
import { rowInItsWay } from './row-in-the-way.ts';
import { silenceTriggers } from '../silence-triggers.ts';

export interface LaneOptions {
  readonly taskId: string;
  readonly fence: bigint;
  /** Number of its row. */
  readonly lane: number;
  /** How often that row was written: the lane works only while that is so. */
  readonly writes: bigint;
}

const constant = (sql: string): Statement => ({ sql, values: [] });
const BEGIN = constant('BEGIN');
const COMMIT = constant('COMMIT');
const ROLLBACK = constant('ROLLBACK');
const DEFER = constant('SET CONSTRAINTS ALL DEFERRED');
const IMMEDIATE = constant('SET CONSTRAINTS ALL IMMEDIATE');
const WAIT_FOR_DISK = constant('SET LOCAL synchronous_commit = on');
const PROGRESS = `UPDATE _opendts.lane SET end_lsn = $4::pg_lsn, commits = commits + $5::bigint, ahead = $6, writes = writes + 1, updated_at = pg_catalog.now()
   WHERE task_id = $1 AND fence = $2::bigint AND lane = $3::int`;
const OURS = `${PROGRESS} AND writes = $7::bigint RETURNING 1`;
const PROGRESS_IF_OURS = `WITH ours AS (${OURS}) SELECT 1 / count(*) FROM ours`;
const BOOKED = `WITH ours AS (${OURS}), accounted AS (${accountSql(8)}) SELECT 1 / count(*) FROM ours`;
/** Longer than any pause of a healthy source inside one transaction; frees a frozen owner's locks (I7). */
const IDLE_LIMIT = '5min';

/** What goes with the changes of a transaction, beside its progress. */
export interface GoesWith {
  /** As accountStatement. */
  readonly account: Statement | null;
  readonly others: readonly Statement[];
}

/** What a transaction leaves in the lane's row. */
export interface Progress {
  readonly endLsn: Lsn;
  readonly commits: number;
  /** Tables that are as far as `endLsn`, while the others may not be: canonical JSON. */
  readonly ahead: string;
  /** The commit is waited for until it is on disk, and with it all commits of before; otherwise it is soon. */
  readonly isDurable: boolean;
}

export class Lane implements AsyncDisposable {
  private readonly session: Session;
  private pipeline: Pipeline;
  private readonly options: LaneOptions;
  private writes: bigint;
  private hasBegun = false;
  /** The last statement of the open transaction, to be named where its commit fails. */
  private last: Planned | null = null;

  private constructor(session: Session, options: LaneOptions) {
    this.session = session;
    this.options = options;
    this.writes = options.writes;
    this.pipeline = new Pipeline(session);
  }

  /** The session belongs to the lane. */
  static async open(session: Session, options: LaneOptions): Promise<Lane> {
    try {
      await prepareSession(session);
      return new Lane(session, options);
    } catch (thrown) {
      session.destroy();
      throw thrown;
    }
  }

  /** A target transaction is open. */
  get isOpen(): boolean {
    return this.hasBegun;
  }

  /** The error a person gets for what failed in order too, with the row that was in the way. No transaction is open. */
  async explain(thrown: RowCountDiffers | ApplyRefused): Promise<AppError> {
    if (!(thrown instanceof ApplyRefused) || thrown.incoming === null) return explainApply(thrown);
    this.pipeline.close();
    const inTheWay = await rowInItsWay(this.session, thrown).catch(() => null);
    await this.session.query('DEALLOCATE ALL');
    this.pipeline = new Pipeline(this.session);
    return explainApply(thrown, inTheWay);
  }

  /** While the stream waits for something, the open transaction is not to look forgotten. */
  async keepAlive(): Promise<void> {
    if (this.hasBegun) await this.pipeline.run([constant('SELECT')]);
  }

  /**
   * Executes statements in the open target transaction, opening one if needed. Throws RowCountDiffers or ApplyRefused, after which the
   * transaction is rolled back; other errors as they come.
   */
  async apply(planned: readonly Planned[], inOrder: boolean): Promise<void> {
    const opening = this.hasBegun ? [] : [BEGIN, this.fenceCheck(), ...(inOrder ? [DEFER] : [])];
    if (opening.length + planned.length === 0) return;
    this.hasBegun = true;
    const last = planned.at(-1);
    if (last || opening.length > 0) this.last = last ? withoutValues(last) : null;
    let touched: number[];
    try {
      touched = await this.pipeline.run([...opening, ...planned]);
    } catch (thrown) {
      await this.rollback();
      const at = thrown instanceof PgError ? thrown.statementIndex : undefined;
      throw refusalOf(thrown, at === undefined ? undefined : planned[at - opening.length]);
    }
    if (opening.length > 0 && touched[1] !== 1) {
      await this.rollback();
      throw await this.explainFence();
    }
    const wrong = planned.findIndex(
      ({ expect }, at) => expect !== null && touched[opening.length + at] !== expect,
    );
    const culprit = planned[wrong];
    if (!culprit) return;
    await this.rollback();
    throw new RowCountDiffers(culprit, touched[opening.length + wrong] ?? -1);
  }

  /**
   * A whole target transaction in one round trip: `statements` are what `planned` becomes for it (at-once.ts). What is sent up to a Sync is
   * one transaction, which that commits. Throws as `apply` and `commit` do; nothing of it is left then.
   */
  async applyAtOnce(
    planned: readonly Planned[],
    statements: readonly Statement[],
    { account, others }: GoesWith,
    progress: Progress,
  ): Promise<void> {
    const waits = progress.isDurable;
    const opening = [...(waits ? [BEGIN, WAIT_FOR_DISK] : []), this.booked(account, progress)];
    this.hasBegun = waits;
    try {
      await this.pipeline.run([...opening, ...statements, ...others, ...(waits ? [COMMIT] : [])]);
    } catch (thrown) {
      await this.rollback();
      const at = thrown instanceof PgError ? (thrown.statementIndex ?? -1) : -1;
      if (at === opening.length - 1 && isMiscounted(thrown)) throw await this.explainFence();
      const culprit = planned[at - opening.length];
      if (culprit && isMiscounted(thrown)) throw new RowCountDiffers(culprit, -1);
      throw culprit ? refusalOf(thrown, culprit) : refusalAtEnd(thrown, planned.at(-1));
    }
    this.hasBegun = false;
    this.writes++;
  }

  /** In order; what is refused and may become a letter is put aside, and the rest goes on. Throws as `apply` does. */
  async applyWithLetters(planned: readonly Planned[], letters: DeadLetters): Promise<void> {
    await this.apply([], true);
    const last = planned.at(-1);
    if (last) this.last = withoutValues(last);
    try {
      await letters.apply(this.pipeline, planned);
    } catch (thrown) {
      await this.rollback();
      throw thrown;
    }
  }

  /** The last statements of the open transaction: those given, the progress, COMMIT. */
  async commit(statements: readonly Statement[], progress: Progress): Promise<void> {
    const rows = await this.pipeline.run(this.ending(statements, progress)).catch((thrown: unknown) => {
      throw refusalAtEnd(thrown, this.last);
    });
    this.ended(rows);
  }

  private ending(goesWith: readonly Statement[], progress: Progress): Statement[] {
    const wait = progress.isDurable ? [WAIT_FOR_DISK] : [];
    return [IMMEDIATE, ...goesWith, ...wait, this.progress(progress), COMMIT];
  }

  /** By the numbers of rows of the progress and the COMMIT, which come last. */
  private ended(rows: readonly number[]): void {
    this.hasBegun = false;
    if (rows.at(-2) !== 1) throw new AppError('FENCED', { theirs: 'another', ours: this.options.fence });
    this.writes++;
  }

  async rollback(): Promise<void> {
    if (!this.hasBegun) return;
    this.hasBegun = false;
    if (!this.session.isEnded) await this.pipeline.run([ROLLBACK]);
  }

  /** Locks the lane's row, and only where nobody has opened the lanes anew since: what was begun before must not commit then. */
  private fenceCheck(): Statement {
    return {
      sql: `SELECT FROM _opendts.lane
             WHERE task_id = $1 AND fence = $2::bigint AND lane = $3::int AND writes = $4::bigint FOR NO KEY UPDATE`,
      values: [...this.identity(), byteText(String(this.writes))],
    };
  }

  private async explainFence(): Promise<AppError> {
    const sql = 'SELECT FROM _opendts.lane WHERE task_id = $1 AND fence = $2::bigint AND lane = $3::int';
    const [isOurs] = await this.pipeline.run([{ sql, values: this.identity() }]);
    return isOurs === 1
      ? new AppError('LANE_MOVED')
      : new AppError('FENCED', { theirs: 'another', ours: this.options.fence });
  }

  private progress({ endLsn, commits, ahead }: Progress): Statement {
    const values = [formatLsn(endLsn), String(commits), ahead].map(byteText);
    return { sql: PROGRESS, values: [...this.identity(), ...values] };
  }

  /** The progress and the account, of a lane that is ours still: fails where it is not. */
  private booked(account: Statement | null, progress: Progress): Statement {
    const values = [...this.progress(progress).values, byteText(String(this.writes))];
    return account === null
      ? { sql: PROGRESS_IF_OURS, values }
      : { sql: BOOKED, values: [...values, ...account.values] };
  }

  private identity(): ByteText[] {
    const { taskId, fence, lane } = this.options;
    return [taskId, String(fence), String(lane)].map(byteText);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.pipeline.close();
    this.session.destroy();
    await Promise.resolve();
  }
}

/** A deferred constraint speaks up at the end; which change it means, only applying in order tells. */
function refusalAtEnd(thrown: unknown, last: Planned | null | undefined): unknown {
  return last && thrown instanceof PgError && isDataError(thrown) ? new ApplyRefused(last, thrown) : thrown;
}

async function prepareSession(session: Session): Promise<void> {
  await session.query(
    `SET idle_in_transaction_session_timeout = '${IDLE_LIMIT}'; SET synchronous_commit = off`,
  );
  await silenceTriggers(session);
  await planForKeys(session);
}
