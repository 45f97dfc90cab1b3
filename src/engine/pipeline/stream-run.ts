/**
 * One run of the change stream into one lane: from the recorded position until stopped, reached, or broken. Never rejects: it returns
 * how it ended, and the supervisor decides what happens next.
 *
 *   Begin            skip the transaction iff Begin.final_lsn < recorded (P10)
 *   change           is its unit's copy past it already (I1)? else into the window
 *   Commit           the window is complete: apply it when nothing more waits or it is large (P7)
 *   keepalive        nothing in flight: record the position, then report it (P9)
 */
import { toAppError } from '../../base/errors/app-error.ts';
import type { Begin, Change, RowChange, Truncate } from '../change/change.ts';
import { LSN_ZERO, type Lsn } from '../change/lsn.ts';
import { displayName, nameKey, type Relation } from '../change/relation.ts';
import type { ChangeReader, StreamItem } from '../source/change-reader.ts';
import { emptyAccount, type Account } from '../target/account.ts';
import { ApplyRefused, explainApply, RowCountDiffers, type Lane } from '../target/lane.ts';
import { joinTable, type TargetShape, type TargetTable } from '../target/target-table.ts';
import { Window } from '../target/window.ts';
import { chunksNotInCopy, NeedsRecopy, notInCopy, type TableCopy } from './visibility.ts';

export type StreamEnd =
  | { readonly kind: 'stopped' }
  | { readonly kind: 'reached'; readonly lsn: Lsn }
  /** A window did not go in as sets: read again from the recorded position, in order up to and with this commit (P11). */
  | { readonly kind: 'replay'; readonly orderedUntil: Lsn; readonly cause: unknown }
  /** Two ranges of a table's key must be copied again, under one snapshot (I3). */
  | { readonly kind: 'recopy'; readonly cause: NeedsRecopy }
  | { readonly kind: 'broken'; readonly cause: unknown };

/** What became durable with one commit of the target. */
export interface Durable {
  readonly transactions: number;
  readonly accounts: ReadonlyMap<string, Account>;
  readonly endLsn: Lsn;
  /** Microseconds since 2000-01-01 of the newest source commit in it; null for an idle position. */
  readonly commitTime: bigint | null;
}

export interface StreamRun {
  readonly reader: ChangeReader;
  readonly lane: Lane;
  /** By nameKey of the source table. A table that is not in here is not ours: its changes are filtered. */
  readonly copies: ReadonlyMap<string, TableCopy>;
  readonly shapes: ReadonlyMap<string, TargetShape>;
  readonly orderedUntil: Lsn;
  /** The position to stop at, once it is known. */
  readonly until: () => Lsn | null;
  readonly signal: AbortSignal;
  readonly onDurable: (durable: Durable) => void;
}

const MAX_WINDOW_CHANGES = 20_000;
const MAX_WINDOW_BYTES = 4 * 1024 * 1024;
const IDLE_RECORD_MS = 2_000;
const NUDGE_MS = 250;

export async function runStream(run: StreamRun): Promise<StreamEnd> {
  const loop = new StreamLoop(run);
  const nudge = setInterval(() => {
    if (run.until() !== null) run.reader.askForPosition();
  }, NUDGE_MS);
  try {
    return await loop.run();
  } catch (thrown) {
    if (run.signal.aborted) return { kind: 'stopped' };
    if (thrown instanceof NeedsRecopy) return { kind: 'recopy', cause: thrown };
    if (!(thrown instanceof RowCountDiffers || thrown instanceof ApplyRefused))
      return { kind: 'broken', cause: thrown };
    if (loop.inOrder) return { kind: 'broken', cause: explainApply(thrown) };
    return { kind: 'replay', orderedUntil: loop.newestFinalLsn, cause: thrown };
  } finally {
    clearInterval(nudge);
    await run.lane.rollback().catch(() => {});
  }
}

/** A transaction being received. `repeated`: applied in an earlier run. */
interface Open {
  readonly begin: Begin;
  readonly repeated: boolean;
}

class StreamLoop {
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
    const { reader, signal } = this.spec;
    for (;;) {
      const end = this.reached();
      if (end) return end;
      const item = await reader.next(signal);
      await this.take(item);
    }
  }

  private reached(): StreamEnd | null {
    const until = this.spec.until();
    if (until === null || this.open || this.pendingEnd !== null || this.spec.lane.recorded < until)
      return null;
    return { kind: 'reached', lsn: this.spec.lane.recorded };
  }

  private async take(item: StreamItem): Promise<void> {
    switch (item.kind) {
      case 'begin':
        this.open = { begin: item, repeated: item.finalLsn < this.spec.lane.recorded };
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
        if (repeated) return;
        this.transactions++;
        this.pendingEnd = item.endLsn;
        this.commitTime = item.commitTime;
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
    if (change.kind === 'truncate') this.takeTruncate(change, open);
    else this.takeRow(change, open);
    // A transaction larger than a window goes into the open target transaction in parts.
    if (this.isFull()) await this.applyWindow();
  }

  private takeRow(change: RowChange, open: Open): void {
    const copy = this.copyOf(change.relation, open);
    if (!copy) return;
    const left = notInCopy(copy, change, open.begin);
    const account = this.account(displayName(change.relation));
    if (left === null) {
      account.invisible++;
      return;
    }
    this.window.add(this.join(change.relation), left);
    account[COUNTER[left.kind]]++;
  }

  private takeTruncate(change: Truncate, open: Open): void {
    const whole: TargetTable[] = [];
    for (const relation of change.relations) {
      const copy = this.copyOf(relation, open);
      if (!copy) continue;
      const chunks = chunksNotInCopy(copy, open.begin);
      if (chunks.length === 0) this.account(displayName(relation)).invisible++;
      else if (copy.cut === null || chunks.length === copy.units.length) whole.push(this.join(relation));
      else this.window.emptyRanges(this.join(relation), copy.cut, chunks);
    }
    if (whole.length > 0) this.window.truncate(whole, change);
  }

  /** Counts the change as received and returns the table's copy, or null when the change is not to be looked at further. */
  private copyOf(relation: Relation, open: Open): TableCopy | null {
    const account = this.account(displayName(relation));
    account.received++;
    const copy = this.spec.copies.get(nameKey(relation));
    if (open.repeated) account.repeated++;
    else if (!copy) account.filtered++;
    else return copy;
    return null;
  }

  private join(relation: Relation): TargetTable {
    const known = this.joined.get(relation);
    if (known) return known;
    const shape = this.spec.shapes.get(nameKey(relation));
    if (!shape) throw toAppError(new Error(`no target table for ${displayName(relation)}`));
    const table = joinTable(relation, shape);
    this.joined.set(relation, table);
    return table;
  }

  private account(table: string): Account {
    const account = this.accounts.get(table) ?? emptyAccount();
    this.accounts.set(table, account);
    return account;
  }

  private isFull(): boolean {
    return this.window.size >= MAX_WINDOW_CHANGES || this.window.bytes >= MAX_WINDOW_BYTES;
  }

  private async applyWindow(): Promise<void> {
    const { planned, counts } = this.window.drain();
    for (const [table, { applied, folded }] of counts) {
      const account = this.account(displayName(table.relation));
      account.applied += applied;
      account.folded += folded;
    }
    await this.spec.lane.apply(planned, this.inOrder);
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
    const durable: Durable = {
      transactions: this.transactions,
      accounts: this.accounts,
      endLsn: this.pendingEnd,
      commitTime: this.commitTime,
    };
    await lane.commit({ endLsn: this.pendingEnd, commits: this.transactions, accounts: this.accounts });
    this.pendingEnd = null;
    this.transactions = 0;
    this.accounts = new Map();
    reader.confirm(lane.recorded);
    onDurable(durable);
  }

  /** Nothing is in flight: the position is recorded now and then, and at once where it is the one we wait for. */
  private async idle(walEnd: Lsn): Promise<void> {
    const { lane, reader, until, onDurable } = this.spec;
    if (this.open || this.pendingEnd !== null || walEnd <= lane.recorded) return;
    const goal = until();
    const isGoal = goal !== null && lane.recorded < goal && walEnd >= goal;
    if (!isGoal && performance.now() - this.lastIdle < IDLE_RECORD_MS) return;
    this.lastIdle = performance.now();
    await lane.recordIdle(walEnd);
    reader.confirm(lane.recorded);
    onDurable({ transactions: 0, accounts: new Map(), endLsn: walEnd, commitTime: null });
  }
}

const COUNTER = { insert: 'inserts', update: 'updates', delete: 'deletes' } as const;
