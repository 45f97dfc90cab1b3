/**
 * Takes the stream's items one after the other, collects changes in windows and has the applier apply them:
 *
 *   Begin            told to the intake, for whoever takes a snapshot meanwhile (I2)
 *   change           skip it iff Begin.final_lsn < the position of its table (P10); is its unit's copy past it already (I1)? else into the window
 *   Commit           the window is complete: hand it over when the target is free and nothing more waits or it is worth it, or it is full (P7)
 *   keepalive        once nothing is in flight: record the position, then report it (P9)
 */
import { toAppError } from '../../base/errors/app-error.ts';
import type { Begin, Change, RowChange, Truncate } from '../change/change.ts';
import { LSN_ZERO, type Lsn } from '../change/lsn.ts';
import type { Relation } from '../change/relation.ts';
import { RowArena } from '../change/row-arena.ts';
import { ddlEventOf } from '../source/helpers/ddl-event.ts';
import type { StreamItem } from '../source/change-reader.ts';
import type { Planned } from '../target/apply/sql/apply-sql.ts';
import type { TargetTable } from '../target/apply/sql/target-table.ts';
import { Window } from '../target/apply/window/window.ts';
import { FollowedTables } from './followed-tables.ts';
import { flush } from './flush.ts';
import { HandOver } from './hand-over.ts';
import type { StreamEnd, StreamRun } from './stream-run.ts';
import { truncate } from './truncate.ts';
import { Unit } from './unit.ts';
import { waitAside } from './wait-aside.ts';
import { isEnough, isTooMuch } from './window-size.ts';
import { chunksNotInCopy, isRepeated, notInCopy, type TableCopy } from './visibility.ts';

const IDLE_RECORD_MS = 2_000;
const NEVER = (1n << 64n) as Lsn;

/** A transaction being received. `repeated`: applied in an earlier run, but perhaps not to tables that have stopped since. */
interface Open {
  readonly begin: Begin;
  readonly repeated: boolean;
}

export class StreamLoop {
  readonly spec: StreamRun;
  readonly target = new HandOver();
  window: Window;
  private readonly arena = new RowArena();
  private transactions = 0;
  private open: Open | null = null;
  private pendingEnd: Lsn | null = null;
  private commitTime: bigint | null = null;
  /** How far the source has read, by its last keepalive. */
  private heard: Lsn | null = null;
  private lastRecorded = 0;
  private isAlone = false;
  readonly tables: FollowedTables;
  newestFinalLsn: Lsn = LSN_ZERO;
  /** Of the newest transaction that the target has been given something of. */
  handedFinalLsn: Lsn = LSN_ZERO;

  constructor(spec: StreamRun) {
    this.spec = spec;
    this.tables = new FollowedTables(spec);
    this.window = new Window(this.inOrder, LSN_ZERO, this.arena);
  }

  /** While replaying after a failed window, one source transaction is one window and one change one statement. */
  get inOrder(): boolean {
    return this.newestFinalLsn <= this.spec.orderedUntil && this.spec.orderedUntil > LSN_ZERO;
  }

  async run(): Promise<StreamEnd> {
    const { reader, intake, wantsRefresh } = this.spec;
    for (;;) {
      if (this.open === null && (wantsRefresh() || this.isAtGoal)) return this.endHere();
      const item = reader.takeQueued();
      if (item === null) {
        await this.pause();
        continue;
      }
      for (let opening = intake.opening; opening !== null; opening = intake.opening)
        await this.waitFor(opening);
      const waits = this.take(item);
      if (waits !== null) await waits;
    }
  }

  /** Nothing more is here. What is complete goes to the target as soon as that is free. */
  private async pause(): Promise<void> {
    const { reader, signal } = this.spec;
    const isBetween = this.open === null && !this.target.isBusy;
    if (isBetween && this.pendingEnd !== null) return this.finish();
    if (isBetween && this.heard !== null) return this.idle(this.heard);
    const ready = reader.ready(signal);
    await (this.target.isBusy ? Promise.race([ready, this.target.settled()]) : ready);
  }

  /** Between two transactions: what is complete is applied first. A busy source may never leave a moment with nothing in flight. */
  private async endHere(): Promise<StreamEnd> {
    const { applier, wantsRefresh } = this.spec;
    await this.finish();
    await this.target.give(() => flush(this.spec));
    await this.target.settled();
    // First: whoever wants a refresh has something to add that the goal does not know of yet.
    return wantsRefresh() ? { kind: 'refresh' } : { kind: 'reached', lsn: applier.recorded };
  }

  private get isAtGoal(): boolean {
    const { applier, until } = this.spec;
    const goal = until();
    return goal !== null && applier.recorded >= goal && applier.positions.behind.length === 0;
  }

  /** Null where nothing is to be waited for: most items are such, and a promise for each would cost more than taking it. */
  private take(item: StreamItem): Promise<void> | null {
    const { applier, intake } = this.spec;
    switch (item.kind) {
      case 'begin':
        intake.received(item.xid);
        this.open = { begin: item, repeated: isRepeated(item, applier.recorded) };
        this.newestFinalLsn = item.finalLsn;
        // A window folds or keeps order as a whole; it changes its way only between transactions.
        if (this.window.size === 0 && this.pendingEnd === null)
          this.window = new Window(this.inOrder, item.finalLsn, this.arena);
        return null;
      case 'insert':
      case 'update':
      case 'delete':
      case 'truncate':
        return this.takeChange(item);
      case 'filtered':
      case 'unjudged':
        if (this.open && this.admit(item.relation, this.open)) this.tables.leaveOut(item);
        return null;
      case 'commit': {
        const repeated = this.open?.repeated ?? false;
        this.tables.assertFit();
        this.open = null;
        if (repeated && applier.positions.behind.length === 0) return null;
        if (!repeated) {
          this.transactions++;
          this.commitTime = item.commitTime;
        }
        this.pendingEnd = item.endLsn;
        // More transactions join a window while it is small; in order, each is one of its own, and one given in part ends as a whole.
        const isPart = this.handedFinalLsn === this.newestFinalLsn;
        return this.inOrder || isPart || isEnough(this, this.target.isBusy) ? this.finish() : null;
      }
      case 'keepalive':
        // A source that keeps up sends one behind each commit: it ends no window, and waits until what came before it is applied.
        if (this.open === null) this.heard = item.walEnd;
        return null;
      case 'relation':
      case 'other':
    }
    return null;
  }

  private takeChange(change: Change): Promise<void> | null {
    const { open, window } = this;
    if (!open) throw toAppError(new Error('a change outside a transaction'));
    window.received++;
    const waits = change.kind === 'truncate' ? this.takeTruncate(change, open) : this.takeRow(change, open);
    // A transaction larger than a window goes into the open target transaction in parts.
    if (waits !== null) return waits.then(() => (isTooMuch(this) ? this.applyPart() : undefined));
    return isTooMuch(this) ? this.applyPart() : null;
  }

  private takeRow(change: RowChange, open: Open): Promise<void> | null {
    const copy = this.admit(change.relation, open);
    if (!copy) return this.notice(change, open);
    const left = notInCopy(copy, change, open.begin);
    if (left instanceof Unit) return this.takeLater(left, { copy, change, open });
    this.add(change.relation, left);
    return null;
  }

  /** A change that is not ours may tell of a DDL command. */
  private notice(change: RowChange, { begin }: Open): null {
    const event = ddlEventOf(change);
    if (event === null) return null;
    const { positions, recorded } = this.spec.applier;
    const isTold = this.tables.see(event, (table) => begin.finalLsn >= (positions.of(table) ?? NEVER));
    if (isTold && begin.finalLsn >= recorded) this.spec.onDdl?.(event, begin.finalLsn);
    return null;
  }

  private async takeLater(
    unit: Unit,
    { copy, change, open }: { copy: TableCopy; change: RowChange; open: Open },
  ): Promise<void> {
    let left: RowChange | Unit | null = unit;
    while (left instanceof Unit) {
      await this.waitFor(left.settled());
      left = notInCopy(copy, change, open.begin);
    }
    this.add(change.relation, left);
  }

  /** What of a change is not in the copy. */
  private add(relation: Relation, left: RowChange | null): void {
    if (left !== null) this.window.add(this.tables.join(relation), left);
    this.tables.count(relation, left);
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
      if (chunks.length === 0) this.tables.account(relation).invisible++;
      else if (copy.cut === null || chunks.length === copy.units.length)
        whole.push(this.tables.join(relation));
      else this.window.emptyRanges(this.tables.join(relation), copy.cut, chunks);
    }
    await truncate(whole, change, { ...this.spec, window: this.window, tables: this.tables });
  }

  /** Something beside the stream is to happen first. The open target transaction is kept from looking idle. */
  private waitFor(event: Promise<void>): Promise<void> {
    const { applier, signal } = this.spec;
    return waitAside(event, signal, async () => {
      if (!this.target.isBusy) await applier.keepAlive();
    });
  }

  /**
   * Counts the change as received and returns the table's copy, or null when the change is not to be looked at further. What a table that
   * stands still would get is not counted: it comes again.
   */
  private admit(relation: Relation, open: Open): TableCopy | null {
    const { applier, copies } = this.spec;
    const copy = copies.get(this.tables.key(relation));
    const position = applier.positions.of(this.tables.name(relation));
    if (position === null) return null;
    const account = this.tables.account(relation);
    account.received++;
    if (isRepeated(open.begin, position)) account.repeated++;
    else if (copy) return copy;
    else account.filtered++;
    return null;
  }

  private async collect(): Promise<readonly Planned[]> {
    const { throttle } = this.spec;
    const paid = throttle.paid();
    if (paid !== null) await this.waitFor(paid);
    throttle.spend(this.window.size, this.window.bytes);
    this.isAlone = this.inOrder || this.window.isLarge;
    const { planned, counts } = this.window.drain();
    this.tables.tally(counts);
    return planned;
  }

  private async hand(work: () => Promise<void>): Promise<void> {
    const { isAlone, newestFinalLsn } = this;
    await this.target.settled();
    this.spec.signal.throwIfAborted();
    this.handedFinalLsn = newestFinalLsn;
    await this.target.give(work);
    if (isAlone) await this.target.settled(); // in order, or large: nothing is collected meanwhile
  }

  private async applyPart(): Promise<void> {
    const planned = await this.collect();
    await this.hand(() => this.spec.applier.applyPart(planned, this.inOrder));
  }

  private async finish(): Promise<void> {
    const { applier, reader, onApplied } = this.spec;
    const { inOrder, pendingEnd: endLsn, commitTime, transactions } = this;
    if (endLsn === null) return;
    const planned = await this.collect();
    const accounts = this.tables.takeAccounts();
    this.pendingEnd = null;
    this.transactions = 0;
    await this.hand(async () => {
      await applier.applyWindow(planned, inOrder, { endLsn, commits: transactions, accounts });
      this.lastRecorded = performance.now();
      reader.confirm(applier.durable);
      onApplied({ transactions, accounts, endLsn: applier.recorded, commitTime });
    });
  }

  /** Nothing is in flight: the position is recorded now and then, and at once where it is the one we wait for. */
  private async idle(walEnd: Lsn): Promise<void> {
    const { applier, reader, until, onApplied } = this.spec;
    this.heard = null;
    const isBehind = applier.positions.behind.length > 0 && walEnd >= applier.recorded;
    this.spec.onReached?.(walEnd);
    if (walEnd <= applier.recorded && !isBehind) return;
    const goal = until() ?? NEVER;
    const isGoal = isBehind || (applier.recorded < goal && walEnd >= goal);
    if (!isGoal && performance.now() - this.lastRecorded < IDLE_RECORD_MS) return;
    this.lastRecorded = performance.now();
    await applier.recordIdle(walEnd);
    reader.confirm(applier.durable);
    onApplied({ transactions: 0, accounts: new Map(), endLsn: applier.recorded, commitTime: null });
  }
}
