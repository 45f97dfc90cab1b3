/** How far the applier has come: its own position, and those of tables that are ahead of it, have stopped or catch up. Changed only by what has committed. */
import type { Lsn } from '../../change/lsn.ts';
import { nameKey, type QualifiedName } from '../../change/relation.ts';
import type { Ahead } from '../books/lane-rows.ts';
import { isKept, type StoppedTable } from '../books/stopped-tables.ts';

export class Positions {
  private recordedLsn: Lsn;
  private readonly tables: Map<string, StoppedTable>;
  /** Of which a lane had committed more when the others broke off. */
  private readonly ahead: Map<string, Lsn>;

  constructor(recorded: Lsn, stopped: readonly StoppedTable[], ahead: readonly Ahead[]) {
    this.recordedLsn = recorded;
    this.ahead = new Map(ahead.map(({ table, endLsn }) => [nameKey(table), endLsn]));
    this.tables = new Map(stopped.map((one) => [nameKey(one.table), one]));
  }

  /** Everything before it is committed in the target, but for tables that have stopped. */
  get recorded(): Lsn {
    return this.recordedLsn;
  }

  /** Everything before it is committed in the target for all tables, but for those of which nothing is kept. */
  get safe(): Lsn {
    return this.lowest(this.stopped.filter(isKept));
  }

  /** Where the stream has to begin for the tables that do not stand still. */
  get start(): Lsn {
    return this.lowest(this.behind);
  }

  /** Of all that do not stand still. */
  get all(): readonly Lsn[] {
    return [this.recordedLsn, ...this.behind.map(({ endLsn }) => endLsn), ...this.ahead.values()];
  }

  /** All tables that do not stand still are at one position. */
  get areEven(): boolean {
    return this.ahead.size === 0 && this.behind.length === 0;
  }

  get stopped(): readonly StoppedTable[] {
    return [...this.tables.values()];
  }

  /** Stopped tables that catch up. */
  get behind(): readonly StoppedTable[] {
    return this.tables.size === 0 ? [] : this.stopped.filter(({ choice }) => choice === 'retry');
  }

  /** Transactions that begin before it are applied to this source table already. Null: the table stands still. */
  of(table: QualifiedName): Lsn | null {
    if (this.tables.size === 0 && this.ahead.size === 0) return this.recordedLsn;
    const stopped = this.tables.get(nameKey(table));
    if (stopped === undefined) return this.after(this.ahead.get(nameKey(table)) ?? this.recordedLsn);
    return stopped.choice === 'retry' ? stopped.endLsn : null;
  }

  /** Where it stands, whether it stands still or not. */
  placeOf(table: QualifiedName): Lsn {
    return this.tables.get(nameKey(table))?.endLsn ?? this.of(table) ?? this.recordedLsn;
  }

  /** The others stay where they are while tables that are behind them catch up. */
  after(endLsn: Lsn): Lsn {
    return endLsn > this.recordedLsn ? endLsn : this.recordedLsn;
  }

  /** Everything up to `endLsn` has committed. */
  advance(endLsn: Lsn): void {
    const isTogether = endLsn >= this.recordedLsn;
    for (const one of this.behind) {
      // One that is ahead of the others still is.
      if (isTogether) this.tables.delete(nameKey(one.table));
      else if (one.endLsn < endLsn) this.stop({ ...one, endLsn });
    }
    this.recordedLsn = this.after(endLsn);
    for (const [table, position] of this.ahead) if (position <= this.recordedLsn) this.ahead.delete(table);
  }

  stop(table: StoppedTable): void {
    this.tables.set(nameKey(table.table), table);
  }

  /** It begins anew with the others. */
  forget(table: QualifiedName): void {
    this.tables.delete(nameKey(table));
    this.ahead.delete(nameKey(table));
  }

  private lowest(stopped: readonly StoppedTable[]): Lsn {
    return stopped.reduce((low, { endLsn }) => (endLsn < low ? endLsn : low), this.recordedLsn);
  }
}
