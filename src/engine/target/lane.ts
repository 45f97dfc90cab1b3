/**
 * One target connection that applies changes in order (data-plane P9). Each target transaction is
 *
 *   BEGIN · fence check · changes … · accounts · progress (Commit.end_lsn) · COMMIT
 *
 * and only after the COMMIT is answered may that LSN be reported to the slot. Changes may come in several batches, so a source
 * transaction of any size passes through bounded memory.
 */
import { AppError } from '../../base/errors/app-error.ts';
import type { Failpoints } from '../../base/runtime/failpoint.ts';
import { byteText, type ByteText } from '../change/change.ts';
import { formatLsn, parseLsn, type Lsn } from '../change/lsn.ts';
import type { QualifiedName } from '../change/relation.ts';
import { isDataError, PgError, SQLSTATE, sqlstateOf } from '../pg/pg-error.ts';
import type { Session } from '../pg/session.ts';
import { Pipeline, type Statement } from '../pg/wire/pipeline.ts';
import { type Account, accountStatement } from './account.ts';
import { silenceTriggers } from './silence-triggers.ts';
import { ApplyRefused, RowCountDiffers, withoutValues } from './apply-failure.ts';
import type { Planned } from './apply-sql.ts';
import { planForKeys } from './plan-settings.ts';
import { Positions } from './positions.ts';
import { catchUpStatement, readStoppedTables, stopStatement, type StoppedTable } from './stopped-tables.ts';

export interface LaneOptions {
  readonly taskId: string;
  readonly lane: number;
  readonly fence: bigint;
  readonly failpoints: Failpoints;
}

const constant = (sql: string): Statement => ({ sql, values: [] });
const BEGIN = constant('BEGIN');
const COMMIT = constant('COMMIT');
const ROLLBACK = constant('ROLLBACK');
const DEFER = constant('SET CONSTRAINTS ALL DEFERRED');
const IMMEDIATE = constant('SET CONSTRAINTS ALL IMMEDIATE');
/** Longer than any pause of a healthy source inside one transaction; frees a frozen owner's locks (I7). */
const IDLE_LIMIT = '5min';

interface LaneState {
  readonly recorded: Lsn;
  readonly writes: bigint;
  readonly stopped: readonly StoppedTable[];
}

export class Lane implements AsyncDisposable {
  private readonly session: Session;
  private readonly pipeline: Pipeline;
  private readonly options: LaneOptions;
  readonly positions: Positions;
  /** How often this lane's row was written: what is believed of it holds only while that is so. */
  private writes: bigint;
  private isOpen = false;
  /** The last statement of the open transaction, to be named where its commit fails. */
  private last: Planned | null = null;

  private constructor(session: Session, options: LaneOptions, state: LaneState) {
    this.session = session;
    this.options = options;
    this.positions = new Positions(state.recorded, state.stopped);
    this.writes = state.writes;
    this.pipeline = new Pipeline(session);
  }

  /** Opens the lane where its progress row says; the session belongs to it. Throws FENCED when the row has another owner's fence. */
  static async open(session: Session, options: LaneOptions): Promise<Lane> {
    try {
      await session.query(`SET idle_in_transaction_session_timeout = '${IDLE_LIMIT}'`);
      await silenceTriggers(session);
      await planForKeys(session);
      const [row] = await session.query(
        'SELECT end_lsn, fence, writes FROM _opendts.lane WHERE task_id = $1 AND lane = $2',
        [options.taskId, String(options.lane)],
      );
      if (!row || row.fence !== String(options.fence)) {
        throw new AppError('FENCED', { theirs: row?.fence ?? 'none', ours: options.fence });
      }
      return new Lane(session, options, {
        recorded: parseLsn(row.end_lsn ?? ''),
        writes: BigInt(row.writes ?? '0'),
        stopped: await readStoppedTables(session, options.taskId),
      });
    } catch (thrown) {
      session.destroy();
      throw thrown;
    }
  }

  /** Everything before it is durable in the target, but for tables that have stopped. */
  get recorded(): Lsn {
    return this.positions.recorded;
  }

  /** The tables stand still from here on, until a person chooses; the others go on. */
  async stop(tables: readonly QualifiedName[], error: AppError): Promise<void> {
    await this.rollback();
    const { code, message: reason } = error;
    const stopped = tables.map((table): StoppedTable => {
      const endLsn = this.positions.of(table) ?? this.recorded;
      return { table, endLsn, code, reason, choice: null };
    });
    await this.apply([], false);
    await this.write(
      stopped.map((one) => stopStatement(this.options.taskId, one)),
      null,
    );
    for (const one of stopped) this.positions.stop(one);
  }

  /** While the stream waits for something, the open transaction is not to look forgotten. */
  async keepAlive(): Promise<void> {
    if (this.isOpen) await this.pipeline.run([constant('SELECT')]);
  }

  /**
   * Executes statements in the open target transaction, opening one if needed. Throws RowCountDiffers or ApplyRefused, after which the
   * transaction is rolled back; other errors as they come.
   */
  async apply(planned: readonly Planned[], inOrder: boolean): Promise<void> {
    const opening = this.isOpen ? [] : [BEGIN, this.fenceCheck(), ...(inOrder ? [DEFER] : [])];
    if (opening.length + planned.length === 0) return;
    this.isOpen = true;
    const last = planned.at(-1);
    if (last || opening.length > 0) this.last = last ? withoutValues(last) : null;
    let rows: number[];
    try {
      rows = await this.pipeline.run([...opening, ...planned]);
    } catch (thrown) {
      await this.rollback();
      const refused =
        thrown instanceof PgError && thrown.statementIndex !== undefined
          ? planned[thrown.statementIndex - opening.length]
          : undefined;
      if (refused && thrown instanceof PgError && (isDataError(thrown) || !isPassing(thrown)))
        throw new ApplyRefused(refused, thrown);
      throw thrown;
    }
    if (opening.length > 0 && rows[1] !== 1) {
      await this.rollback();
      throw await this.explainFence();
    }
    const wrong = planned.findIndex(
      ({ expect }, at) => expect !== null && rows[opening.length + at] !== expect,
    );
    const culprit = planned[wrong];
    if (!culprit) return;
    await this.rollback();
    throw new RowCountDiffers(culprit, rows[opening.length + wrong] ?? -1);
  }

  /** Commits what was applied together with the progress; returns once it is durable. Throws what apply throws. */
  async commit(end: { endLsn: Lsn; commits: number; accounts: ReadonlyMap<string, Account> }): Promise<void> {
    const { failpoints } = this.options;
    if (!this.isOpen) await this.apply([], false);
    const accounts = accountStatement(this.options.taskId, end.accounts);
    failpoints.pass('apply.between-apply-and-progress');
    await this.write(accounts ? [accounts] : [], end);
    failpoints.pass('apply.between-commit-and-ack');
  }

  /** The last statements of the open transaction: those given, the positions, COMMIT. Without an `end` the positions stay. */
  private async write(
    statements: readonly Statement[],
    end: { readonly endLsn: Lsn; readonly commits: number } | null,
  ): Promise<void> {
    const { positions } = this;
    const behind = end === null ? [] : positions.behind.map(({ table }) => table);
    const catchUp =
      end === null || behind.length === 0
        ? []
        : [
            catchUpStatement(this.options.taskId, behind, {
              endLsn: end.endLsn,
              isTogether: end.endLsn >= positions.recorded,
            }),
          ];
    const progress = this.progress(
      end === null ? positions.recorded : positions.after(end.endLsn),
      end?.commits ?? 0,
    );
    const rows = await this.pipeline
      .run([IMMEDIATE, ...statements, ...catchUp, progress, COMMIT])
      .catch((thrown: unknown) => {
        // A deferred constraint speaks up now; which change it means, only applying in order tells.
        if (this.last && thrown instanceof PgError && isDataError(thrown))
          throw new ApplyRefused(this.last, thrown);
        throw thrown;
      });
    this.isOpen = false;
    if (rows.at(-2) !== 1) throw new AppError('FENCED', { theirs: 'another', ours: this.options.fence });
    this.writes++;
    if (end !== null) positions.advance(end.endLsn);
  }

  /** Records a position up to which the source had nothing for us: written first, reported second (P9). */
  async recordIdle(lsn: Lsn): Promise<void> {
    if (lsn <= this.recorded && this.positions.behind.length === 0) return;
    await this.commit({ endLsn: lsn, commits: 0, accounts: new Map() });
  }

  async rollback(): Promise<void> {
    if (!this.isOpen) return;
    this.isOpen = false;
    if (!this.session.isEnded) await this.pipeline.run([ROLLBACK]);
  }

  /**
   * Locks the progress row, and only where it still says what this lane believes: a commit of ours whose answer was lost may arrive after
   * the row was read again, and its transactions must not be applied a second time.
   */
  private fenceCheck(): Statement {
    return {
      sql: `SELECT FROM _opendts.lane
             WHERE task_id = $1 AND lane = $2::int AND fence = $3::bigint AND writes = $4::bigint FOR NO KEY UPDATE`,
      values: [...this.identity(), byteText(String(this.writes))],
    };
  }

  private async explainFence(): Promise<AppError> {
    const sql = 'SELECT FROM _opendts.lane WHERE task_id = $1 AND lane = $2::int AND fence = $3::bigint';
    const [isOurs] = await this.pipeline.run([{ sql, values: this.identity() }]);
    return isOurs === 1
      ? new AppError('LANE_MOVED')
      : new AppError('FENCED', { theirs: 'another', ours: this.options.fence });
  }

  private progress(endLsn: Lsn, commits: number): Statement {
    return {
      sql: `UPDATE _opendts.lane SET end_lsn = $4::pg_lsn, commits = commits + $5::bigint, writes = writes + 1, updated_at = pg_catalog.now()
             WHERE task_id = $1 AND lane = $2::int AND fence = $3::bigint`,
      values: [...this.identity(), byteText(formatLsn(endLsn)), byteText(String(commits))],
    };
  }

  private identity(): ByteText[] {
    const { taskId, lane, fence } = this.options;
    return [byteText(taskId), byteText(String(lane)), byteText(String(fence))];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.pipeline.close();
    this.session.destroy();
    await Promise.resolve();
  }
}

/** Errors that pass by themselves: the window is read again after a pause. */
function isPassing(thrown: unknown): boolean {
  const state = sqlstateOf(thrown);
  return (
    state === undefined ||
    /^(08|40|53|57)/.test(state) ||
    state === SQLSTATE.lockNotAvailable ||
    state.startsWith('25P')
  );
}
