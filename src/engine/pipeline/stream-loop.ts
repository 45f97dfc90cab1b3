/**
 * Takes the stream's items one after the other, collects changes in windows and has the lane apply them:
 *
 *   Begin            told to the intake, for whoever takes a snapshot meanwhile (I2)
 *   change           skip it iff Begin.final_lsn < the position of its table (P10); is its unit's copy past it already (I1)? else into the window
 *   Commit           the window is complete: apply it when nothing more waits or it is large (P7)
 *   keepalive        nothing in flight: record the position, then report it (P9)
 */
import { AppError, toAppError } from '../../base/errors/app-error.ts';
import { sleep } from '../../base/runtime/sleep.ts';
import type { Begin, Change, RowChange, Truncate } from '../change/change.ts';
import { LSN_ZERO, type Lsn } from '../change/lsn.ts';
import { displayName, nameKey, type QualifiedName, type Relation } from '../change/relation.ts';
import type { StreamItem } from '../source/change-reader.ts';
import { emptyAccount, type Account } from '../target/account.ts';
import { joinTable, type TargetTable } from '../target/target-table.ts';
import { Window } from '../target/window.ts';
import type { Durable, StreamEnd, StreamRun } from './stream-run.ts';
import { Unit } from './unit.ts';
import { chunksNotInCopy, notInCopy, type TableCopy } from './visibility.ts';

const MAX_WINDOW_CHANGES = 20_000;
const MAX_WINDOW_BYTES = 4 * 1024 * 1024;
const IDLE_RECORD_MS = 2_000;
/** Well within the limit after which a lane's idle transaction is ended. */
const KEEP_ALIVE_MS = 30_000;

/** A table that cannot go on. */
export class TableFails extends Error {
  override readonly name = 'TableFails';
  readonly table: QualifiedName;
  readonly error: AppError;

  constructor(table: QualifiedName, error: AppError) {
    super(error.message, { cause: error });
    this.table = table;
    this.error = error;
  }
}

/** A transaction being received. `repeated`: applied in an earlier run, but perhaps not to tables that have stopped since. */
interface Open {
  readonly begin: Begin;
  readonly repeated: boolean;
}

export class StreamLoop {
  private readonly spec: StreamRun;
  private window: Window;
  private accounts = new Map<string, Account>();
  private transactions = 0;
  private open: Open | null = null;
  private pendingEnd: Lsn | null = null;
  private commitTime: bigint | null = null;
  private lastIdle = 0;
  private readonly joined = new WeakMap<Relation, TargetTable>();
  newestFinalLsn: Lsn = LSN_ZERO;

  constructor(spec: StreamRun) {
    this.spec = spec;
    this.window = new Window(this.inOrder);
  }

  /** While replaying after a failed window, one source transaction is one window and one change one statement. */
  get inOrder(): boolean {
    return this.newestFinalLsn <= this.spec.orderedUntil && this.spec.orderedUntil > LSN_ZERO;
  }

  async run(): Promise<StreamEnd> {
    const { reader, signal, wantsRefresh } = this.spec;
    for (;;) {
      // First: whoever wants a refresh has something to add that the goal does not know of yet.
      if (this.isBetween && wantsRefresh()) return { kind: 'refresh' };
      const end = this.reached();
      if (end) return end;
      const item = await reader.next(signal);
      await this.take(item);
    }
  }

  /** No transaction is open, and nothing waits to be applied. */
  private get isBetween(): boolean {
    return this.open === null && this.pendingEnd === null;
  }

  private reached(): StreamEnd | null {
    const { lane, until } = this.spec;
    const goal = until();
    if (goal === null || !this.isBetween || lane.recorded < goal || lane.positions.behind.length > 0)
      return null;
    return { kind: 'reached', lsn: lane.recorded };
  }

  private async take(item: StreamItem): Promise<void> {
    const { lane, intake, signal } = this.spec;
    for (let opening = intake.opening; opening !== null; opening = intake.opening)
      await this.waitFor(opening);
    signal.throwIfAborted();
    switch (item.kind) {
      case 'begin':
        intake.received(item.xid);
        this.open = { begin: item, repeated: item.finalLsn < lane.recorded };
        this.newestFinalLsn = item.finalLsn;
        // A window folds or keeps order as a whole; it changes its way only between transactions.
        if (this.window.size === 0 && this.pendingEnd === null) this.window = new Window(this.inOrder);
        return;
      case 'insert':
      case 'update':
      case 'delete':
      case 'truncate':
        return this.takeChange(item);
      case 'commit': {
        const repeated = this.open?.repeated ?? false;
        this.open = null;
        if (repeated && lane.positions.behind.length === 0) return;
        if (!repeated) {
          this.transactions++;
          this.commitTime = item.commitTime;
        }
        this.pendingEnd = item.endLsn;
        return this.finishIfDue();
      }
      case 'keepalive':
        return this.idle(item.walEnd);
      case 'relation':
      case 'other':
        return;
    }
  }

  private async takeChange(change: Change): Promise<void> {
    const { open } = this;
    if (!open) throw toAppError(new Error('a change outside a transaction'));
    if (change.kind === 'truncate') await this.takeTruncate(change, open);
    else await this.takeRow(change, open);
    // A transaction larger than a window goes into the open target transaction in parts.
    if (this.isFull()) await this.applyWindow();
  }

  private async takeRow(change: RowChange, open: Open): Promise<void> {
    const copy = this.admit(change.relation, open);
    if (!copy) return;
    let left = notInCopy(copy, change, open.begin);
    while (left instanceof Unit) {
      await this.waitFor(left.settled());
      left = notInCopy(copy, change, open.begin);
    }
    const account = this.account(change.relation);
    if (left === null) {
      account.invisible++;
      return;
    }
    this.window.add(this.join(change.relation), left);
    account[COUNTER[left.kind]]++;
  }

  private async takeTruncate(change: Truncate, open: Open): Promise<void> {
    const whole: TargetTable[] = [];
    for (const relation of change.relations) {
      const copy = this.admit(relation, open);
      if (!copy) continue;
      let chunks = chunksNotInCopy(copy, open.begin);
      while (chunks instanceof Unit) {
        await this.waitFor(chunks.settled());
        chunks = chunksNotInCopy(copy, open.begin);
      }
      if (chunks.length === 0) this.account(relation).invisible++;
      else if (copy.cut === null || chunks.length === copy.units.length) whole.push(this.join(relation));
      else this.window.emptyRanges(this.join(relation), copy.cut, chunks);
    }
    if (whole.length > 0) this.window.truncate(whole, change);
  }

  /** Something beside the stream is to happen first. The open target transaction is kept from looking idle. */
  private async waitFor(event: Promise<void>): Promise<void> {
    const { lane, signal } = this.spec;
    const over = new AbortController();
    const done = event.finally(() => over.abort());
    const paused = AbortSignal.any([signal, over.signal]);
    while (!paused.aborted) {
      await Promise.race([done, sleep(KEEP_ALIVE_MS, paused)]);
      if (!paused.aborted) await lane.keepAlive();
    }
    signal.throwIfAborted();
  }

  /**
   * Counts the change as received and returns the table's copy, or null when the change is not to be looked at further. What a table that
   * stands still would get is not counted: it comes again.
   */
  private admit(relation: Relation, open: Open): TableCopy | null {
    const { lane, copies } = this.spec;
    const name = this.nameOf(relation);
    const copy = copies.get(nameKey(name));
    const position = lane.positions.of(name);
    if (position === null) return null;
    const account = this.account(relation);
    account.received++;
    if (open.begin.finalLsn < position) account.repeated++;
    else if (copy) return copy;
    else account.filtered++;
    return null;
  }

  private join(relation: Relation): TargetTable {
    const known = this.joined.get(relation);
    if (known) return known;
    const shape = this.spec.shapes.get(nameKey(this.nameOf(relation)));
    if (!shape) throw toAppError(new Error(`no target table for ${displayName(relation)}`));
    try {
      const table = joinTable(relation, shape);
      this.joined.set(relation, table);
      return table;
    } catch (thrown) {
      throw thrown instanceof AppError ? new TableFails(this.nameOf(relation), thrown) : thrown;
    }
  }

  /** What the task calls the table, whatever the source calls it by now. */
  nameOf(relation: Relation): QualifiedName {
    return this.spec.names.get(relation.oid) ?? relation;
  }

  private account(relation: Relation): Account {
    const table = displayName(this.nameOf(relation));
    const account = this.accounts.get(table) ?? emptyAccount();
    this.accounts.set(table, account);
    return account;
  }

  private isFull(): boolean {
    const { size, bytes } = this.window;
    return size >= MAX_WINDOW_CHANGES || bytes >= MAX_WINDOW_BYTES || this.spec.throttle.isFull(size, bytes);
  }

  private async applyWindow(): Promise<void> {
    const { throttle, lane } = this.spec;
    const paid = throttle.paid();
    if (paid !== null) await this.waitFor(paid);
    throttle.spend(this.window.size, this.window.bytes);
    const { planned, counts } = this.window.drain();
    for (const [table, { applied, folded }] of counts) {
      const account = this.account(table.relation);
      account.applied += applied;
      account.folded += folded;
    }
    await lane.apply(planned, this.inOrder);
  }

  /** More transactions join the window while they are here already and it is small; in order, each is one of its own. */
  private async finishIfDue(): Promise<void> {
    if (this.inOrder || this.isFull()) return this.finish();
    const next = this.spec.reader.takeQueued();
    if (next === null) return this.finish();
    // A keepalive behind the commit must not overtake it.
    if (next.kind === 'keepalive') await this.finish();
    return this.take(next);
  }

  private async finish(): Promise<void> {
    const { lane, reader, onDurable } = this.spec;
    if (this.pendingEnd === null) return;
    await this.applyWindow();
    await lane.commit({ endLsn: this.pendingEnd, commits: this.transactions, accounts: this.accounts });
    const durable: Durable = {
      transactions: this.transactions,
      accounts: this.accounts,
      endLsn: lane.recorded,
      commitTime: this.commitTime,
    };
    this.pendingEnd = null;
    this.transactions = 0;
    this.accounts = new Map();
    reader.confirm(lane.positions.safe);
    onDurable(durable);
  }

  /** Nothing is in flight: the position is recorded now and then, and at once where it is the one we wait for. */
  private async idle(walEnd: Lsn): Promise<void> {
    const { lane, reader, until, onDurable } = this.spec;
    const isBehind = lane.positions.behind.length > 0 && walEnd >= lane.recorded;
    if (!this.isBetween || (walEnd <= lane.recorded && !isBehind)) return;
    this.spec.onReached?.(walEnd);
    const goal = until();
    const isGoal = isBehind || (goal !== null && lane.recorded < goal && walEnd >= goal);
    if (!isGoal && performance.now() - this.lastIdle < IDLE_RECORD_MS) return;
    this.lastIdle = performance.now();
    await lane.recordIdle(walEnd);
    reader.confirm(lane.positions.safe);
    onDurable({ transactions: 0, accounts: new Map(), endLsn: lane.recorded, commitTime: null });
  }
}

const COUNTER = { insert: 'inserts', update: 'updates', delete: 'deletes' } as const;
