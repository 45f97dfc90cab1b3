/**
 * Applies windows of changes to the target through one lane or several side by side (data-plane P9, P12), and keeps the positions.
 *
 * The first lane's position is the applier's: everything before it is applied to every table. A window that goes through the first lane
 * alone is one target transaction. One that is spread is a transaction a lane: the others commit first, each writing down which tables it
 * is ahead for, the first commits last. A crash between leaves those tables ahead, and what comes again of them is passed over (P10).
 *
 * Commits do not wait for the target's disk: a target that crashes forgets the newest together with their positions, and they come again.
 * One every few seconds does wait, and with it everything before it is on disk; only then may the source forget it (P9).
 */
import type { AppError } from '../../../base/errors/app-error.ts';
import type { Failpoints } from '../../../base/runtime/failpoint.ts';
import type { Lsn } from '../../change/lsn.ts';
import type { QualifiedName } from '../../change/relation.ts';
import { isShortOfConnections } from '../../pg/connect-failure.ts';
import type { Session } from '../../pg/session.ts';
import type { Statement } from '../../pg/wire/pipeline.ts';
import { accountStatement } from '../books/account.ts';
import { ApplyRefused, RowCountDiffers } from './apply-failure.ts';
import type { Planned } from './sql/apply-sql.ts';
import { atOnce } from './sql/at-once.ts';
import { Durability } from './durability.ts';
import { DeadLetters } from '../letters/dead-letters.ts';
import { Lane, type GoesWith, type Progress } from './lane.ts';
import { aheadText, NOT_AHEAD, takeLaneRows, type LaneRows } from '../books/lane-rows.ts';
import { Positions } from './positions.ts';
import { sourcesOf, spread, takeOut } from './spread.ts';
import { positionOnly, type Accounts, type WindowEnd } from './window-end.ts';
import {
  catchUpStatement,
  readLetterTables,
  readStoppedTables,
  stopStatement,
  type StoppedTable,
} from '../books/stopped-tables.ts';

export interface ApplierOptions {
  readonly taskId: string;
  readonly fence: bigint;
  /** Most lanes side by side. The sessions of all but the first are opened when a window is spread for the first time. */
  readonly lanes: number;
  readonly openSession: () => Promise<Session>;
  readonly failpoints: Failpoints;
}

/** What is recorded of a task when its applier begins. */
interface Books {
  readonly read: LaneRows;
  readonly stopped: readonly StoppedTable[];
  readonly letters: DeadLetters;
}

async function readBooks(session: Session, options: ApplierOptions): Promise<Books> {
  const read = await takeLaneRows(session, options);
  const stopped = await readStoppedTables(session, options.taskId);
  const letters = new DeadLetters(options.taskId, await readLetterTables(session, options.taskId));
  return { read, stopped, letters };
}

/** What one lane does of a window that is spread. */
interface Share {
  readonly lane: Lane;
  readonly planned: readonly Planned[];
}

export class Applier implements AsyncDisposable {
  private readonly options: ApplierOptions;
  /** By lane, when it was taken. */
  private readonly writes: readonly bigint[];
  private readonly lanes: Lane[];
  readonly positions: Positions;
  private readonly letters: DeadLetters;
  private readonly durability: Durability;
  /** The target had no session left for another lane. */
  private isShort = false;

  private constructor(options: ApplierOptions, first: Lane, { read, stopped, letters }: Books) {
    this.options = options;
    this.lanes = [first];
    this.writes = read.writes;
    this.positions = new Positions(read.recorded, stopped, read.ahead);
    this.letters = letters;
    this.durability = new Durability(this.positions);
  }

  /** Opens the first lane where the books say. Throws FENCED when the task has another owner. */
  static async open(options: ApplierOptions): Promise<Applier> {
    const session = await options.openSession();
    let books: Books;
    try {
      books = await readBooks(session, options);
    } catch (thrown) {
      session.destroy();
      throw thrown;
    }
    const first = await Lane.open(session, { ...options, lane: 0, writes: at(books.read.writes, 0) });
    return new Applier(options, first, books);
  }

  private get first(): Lane {
    const [first] = this.lanes;
    if (!first) throw new Error('an applier has a lane');
    return first;
  }

  /** Everything before it is committed in the target, but for tables that have stopped. */
  get recorded(): Lsn {
    return this.positions.recorded;
  }

  /** Everything before it is on the target's disk, for all tables: what may be reported to the slot (P9). */
  get durable(): Lsn {
    return this.durability.lsn;
  }

  /** A commit may be in the target's memory only, for longer than it should. */
  get isFlushDue(): boolean {
    return this.durability.isDue && !this.first.isOpen;
  }

  /** Returns once all that has committed is on disk. */
  async flush(): Promise<void> {
    if (this.durability.isOwing) await this.applyWindow([], false, positionOnly(this.recorded));
  }

  /** While the stream waits for something, the open transaction is not to look forgotten. */
  keepAlive(): Promise<void> {
    return this.first.keepAlive();
  }

  /** The tables stand still from here on, until a person chooses; the others go on. `why`: what is known beside the error. */
  async stop(
    tables: readonly QualifiedName[],
    error: AppError,
    why: Pick<StoppedTable, 'choice' | 'change'> = { choice: null, change: null },
    goesWith: readonly Statement[] = [],
  ): Promise<void> {
    await this.rollback();
    const { positions, options, recorded } = this;
    const { code, message: reason } = error;
    const stopped = tables.map((table): StoppedTable => {
      return { table, endLsn: positions.placeOf(table), code, reason, ...why };
    });
    await this.applyPart([], false);
    const statements = [...stopped.map((one) => stopStatement(options.taskId, one)), ...goesWith];
    options.failpoints.pass('apply.between-apply-and-progress');
    await this.first.commit(statements, { endLsn: recorded, commits: 0, ahead: NOT_AHEAD, isDurable: true });
    options.failpoints.pass('apply.between-commit-and-ack');
    for (const one of stopped) positions.stop(one);
    this.durability.committed(true);
  }

  /**
   * Part of a window that is not complete, in the first lane's transaction, which stays open. Throws RowCountDiffers or ApplyRefused,
   * after which that is rolled back; other errors as they come.
   */
  applyPart(planned: readonly Planned[], inOrder: boolean): Promise<void> {
    if (inOrder && this.letters.concern(planned)) return this.first.applyWithLetters(planned, this.letters);
    return this.first.apply(planned, inOrder);
  }

  /** The rest of a window, and its end; returns once all of it has committed. Throws what `applyPart` throws; then the applier is done for. */
  async applyWindow(planned: readonly Planned[], inOrder: boolean, given: WindowEnd): Promise<void> {
    const isDurable = given.isDurable ?? this.durability.isLate;
    const end = { ...given, isDurable };
    const shares = inOrder || this.first.isOpen ? null : await this.share(planned);
    const small = inOrder || this.first.isOpen || shares !== null ? null : atOnce(planned);
    if (small !== null) await this.applyAtOnce(planned, small, end);
    else if (shares !== null) await this.applySpread(shares, end);
    else {
      await this.applyPart(planned, inOrder);
      await this.commitFirst(end);
    }
    this.positions.advance(end.endLsn);
    this.durability.committed(isDurable);
  }

  /** Records a position up to which the source had nothing for us: written first, reported second (P9). */
  async recordIdle(lsn: Lsn): Promise<void> {
    if (lsn <= this.recorded && this.positions.behind.length === 0) return;
    await this.applyWindow([], false, positionOnly(lsn));
  }

  /** The error a person gets for what failed in order too; all is rolled back. */
  async explain(thrown: RowCountDiffers | ApplyRefused): Promise<AppError> {
    await this.rollback();
    return this.first.explain(thrown);
  }

  async rollback(): Promise<void> {
    this.letters.forget();
    await Promise.all(this.lanes.map((lane) => lane.rollback()));
  }

  private async applySpread(shares: readonly Share[], end: WindowEnd): Promise<void> {
    const [first, ...others] = shares;
    if (!first) return;
    await this.all(shares.map(({ lane, planned }) => lane.apply(planned, false)));
    const left = new Map(end.accounts);
    const commits = others.map(({ lane, planned }) => {
      const tables = sourcesOf(planned);
      const accounts = takeOut(left, tables);
      const { endLsn } = end;
      const ahead = aheadText(tables);
      return () => lane.commit(this.accounts(accounts), { endLsn, commits: 0, ahead, isDurable: false });
    });
    await this.all(commits.map((commit) => commit()));
    this.options.failpoints.pass('apply.between-lanes');
    await this.commitFirst({ ...end, accounts: left });
  }

  /** All of it, or everything that has not committed is rolled back. A refusal, which tells what to do, is thrown before other errors. */
  private async all(work: readonly Promise<void>[]): Promise<void> {
    const results = await Promise.allSettled(work);
    const failed = results.flatMap((result) =>
      result.status === 'rejected' ? [result.reason as unknown] : [],
    );
    if (failed.length === 0) return;
    await this.rollback().catch(() => {});
    throw failed.find((one) => one instanceof ApplyRefused || one instanceof RowCountDiffers) ?? failed[0];
  }

  private async applyAtOnce(
    planned: readonly Planned[],
    statements: readonly Statement[],
    end: WindowEnd,
  ): Promise<void> {
    const { progress, ...goesWith } = this.ending(end);
    await this.first.applyAtOnce(planned, statements, goesWith, progress);
    this.options.failpoints.pass('apply.between-commit-and-ack');
  }

  private async commitFirst(end: WindowEnd): Promise<void> {
    if (!this.first.isOpen) await this.applyPart([], false);
    const { account, others, progress } = this.ending(end);
    await this.first.commit(account === null ? others : [account, ...others], progress);
    this.options.failpoints.pass('apply.between-commit-and-ack');
  }

  /** What the first lane's transaction ends with. */
  private ending({
    endLsn,
    commits,
    accounts,
    isDurable = true,
  }: WindowEnd): GoesWith & { readonly progress: Progress } {
    const { positions, options } = this;
    this.letters.settle(accounts);
    options.failpoints.pass('apply.between-apply-and-progress');
    const behind = positions.behind.map(({ table }) => table);
    const isTogether = endLsn >= positions.recorded;
    const others =
      behind.length === 0 ? [] : [catchUpStatement(options.taskId, behind, { endLsn, isTogether })];
    const progress = { endLsn: positions.after(endLsn), commits, ahead: NOT_AHEAD, isDurable };
    return { account: accountStatement(options.taskId, accounts), others, progress };
  }

  private accounts(accounts: Accounts): Statement[] {
    const statement = accountStatement(this.options.taskId, accounts);
    return statement ? [statement] : [];
  }

  /** Null where the first lane does all. While tables are behind or ahead of the others it does. */
  private async share(planned: readonly Planned[]): Promise<Share[] | null> {
    const { positions, options, isShort, lanes } = this;
    if (!positions.areEven) return null;
    const shares = spread(planned, isShort ? lanes.length : options.lanes);
    if (shares === null) return null;
    await this.openLanes(shares.length);
    if (lanes.length < shares.length) return this.share(planned);
    return shares.map((share, index) => ({ lane: at(lanes, index), planned: share }));
  }

  private async openLanes(count: number): Promise<void> {
    const { options, lanes, writes } = this;
    try {
      for (let lane = lanes.length; lane < count; lane++) {
        const session = await options.openSession();
        lanes.push(await Lane.open(session, { ...options, lane, writes: at(writes, lane) }));
      }
    } catch (thrown) {
      if (!isShortOfConnections(thrown)) throw thrown;
      this.isShort = true;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.lanes.map((lane) => lane[Symbol.asyncDispose]()));
  }
}

function at<T>(list: readonly T[], index: number): T {
  const one = list[index];
  if (one === undefined) throw new Error(`no lane ${index}`);
  return one;
}
