/** What the stream looks up for every change, by the Relation it belongs to: names, the target table, and the account since the last commit. */
import { AppError, toAppError } from '../../base/errors/app-error.ts';
import type { RowChange } from '../change/change.ts';
import { displayName, nameKey, type QualifiedName, type Relation } from '../change/relation.ts';
import type { StreamItem } from '../source/change-reader.ts';
import type { DdlEvent } from '../source/helpers/ddl-event.ts';
import { emptyAccount, type Account } from '../target/books/account.ts';
import type { TableChange } from '../target/ddl/table-change.ts';
import { joinTable, type Shapes, type TargetTable } from '../target/apply/sql/target-table.ts';
import type { Folded } from '../target/apply/window/window.ts';
import { ddlSeen, differenceOf, misfit, shapeChange, type Misfit } from './ddl-seen.ts';
import type { StreamRun } from './stream-run.ts';

const COUNTER = { insert: 'inserts', update: 'updates', delete: 'deletes' } as const;

/** A table that cannot go on. */
export class TableFails extends Error {
  override readonly name = 'TableFails';
  readonly table: QualifiedName;
  readonly error: AppError;
  /** What its columns have become, where it is that. */
  readonly change: TableChange | null;
  /** Others that the same command has changed. */
  also: readonly QualifiedName[] = [];

  constructor(table: QualifiedName, error: AppError, change: TableChange | null = null) {
    super(error.message, { cause: error });
    this.table = table;
    this.error = error;
    this.change = change;
  }
}

interface Known {
  readonly name: QualifiedName;
  readonly key: string;
  readonly shown: string;
  table: TargetTable | null;
  /** Among `accounts`. */
  account: Account | null;
  accounts: ReadonlyMap<string, Account> | null;
}

export class FollowedTables {
  private readonly shapes: Shapes;
  private readonly names: ReadonlyMap<number, QualifiedName>;
  private readonly known = new WeakMap<Relation, Known>();
  private readonly repeatsDdl: boolean;
  /** Tables, by key, that do not fit what a command of the open transaction has made of them. */
  private readonly misfits = new Map<string, Misfit>();
  private accounts = new Map<string, Account>();

  constructor({ shapes, names, ddl }: Pick<StreamRun, 'shapes' | 'names' | 'ddl'>) {
    this.shapes = shapes;
    this.names = names;
    this.repeatsDdl = ddl === 'apply';
  }

  private get(relation: Relation): Known {
    const known = this.known.get(relation);
    if (known) return known;
    const name = this.names.get(relation.oid) ?? relation;
    const one: Known = {
      name,
      key: nameKey(name),
      shown: displayName(name),
      table: null,
      account: null,
      accounts: null,
    };
    this.known.set(relation, one);
    return one;
  }

  /** What the task calls the table, whatever the source calls it by now. */
  name(relation: Relation): QualifiedName {
    return this.get(relation).name;
  }

  /** nameKey of that name. */
  key(relation: Relation): string {
    return this.get(relation).key;
  }

  /** Throws TableFails when the target table does not fit any more. */
  join(relation: Relation): TargetTable {
    const known = this.get(relation);
    if (known.table) return known.table;
    const shape = this.shapes.get(known.key);
    if (!shape) throw toAppError(new Error(`no target table for ${known.shown}`));
    const misfitting = this.misfits.get(known.key);
    if (misfitting) throw this.failsAt(known, misfitting);
    try {
      return (known.table = joinTable(relation, shape));
    } catch (thrown) {
      if (!(thrown instanceof AppError)) throw thrown;
      const isAfterRows = this.account(relation).received > 1;
      const change = thrown.code === 'RELATION_CHANGED' ? shapeChange(relation, isAfterRows) : null;
      throw new TableFails(known.name, thrown, change);
    }
  }

  /** What a person must look at is the trouble of this table alone. */
  failing<T>(relation: Relation, work: () => T): T {
    try {
      return work();
    } catch (thrown) {
      throw thrown instanceof AppError ? new TableFails(this.name(relation), thrown) : thrown;
    }
  }

  /**
   * Remembers which tables that are at the command no longer fit: the next of their rows, or the end of the transaction, finds them so if
   * no other command comes between. True where the command is to be told: it stops none of ours.
   */
  see(event: DdlEvent, isAt: (table: QualifiedName) => boolean): boolean {
    let isTold = this.repeatsDdl && event.kind === 'index' && event.tables.length === 0;
    for (const table of event.tables) {
      const name = this.names.get(table.oid);
      const key = name && nameKey(name);
      const shape = key === undefined ? undefined : this.shapes.get(key);
      if (!name || key === undefined || !shape) continue;
      const before = this.misfits.get(key);
      // A part of the table was dropped that has no columns.
      if (table.columns === null && before) continue;
      this.misfits.delete(key);
      const difference = isAt(name) ? differenceOf(table, shape, this.repeatsDdl) : null;
      if (difference === null) isTold = true;
      else {
        const afterRows = (this.accounts.get(displayName(name))?.received ?? 0) > 0;
        this.misfits.set(key, misfit({ event, table, difference }, before, afterRows));
      }
    }
    return isTold;
  }

  /** At the end of a transaction. Throws TableFails for a table that does not fit. */
  assertFit(): void {
    for (const [key, one] of this.misfits) {
      const name = this.shapes.get(key)?.source;
      if (name) throw this.failsAt({ name, shown: displayName(name) }, one);
    }
  }

  private failsAt({ name, shown }: Pick<Known, 'name' | 'shown'>, one: Misfit): TableFails {
    const fails = new TableFails(name, ddlSeen(one.event, shown, one.difference), one.change);
    const others = [...this.misfits].filter(([, other]) => other !== one && other.event === one.event);
    fails.also = others.flatMap(([key]) => this.shapes.get(key)?.source ?? []);
    return fails;
  }

  account(relation: Relation): Account {
    const known = this.get(relation);
    if (known.account !== null && known.accounts === this.accounts) return known.account;
    const account = this.accounts.get(known.shown) ?? emptyAccount();
    this.accounts.set(known.shown, account);
    known.account = account;
    known.accounts = this.accounts;
    return account;
  }

  /** What the task does not follow is only counted. Throws TableFails where that could not be found out: then the table cannot go on. */
  leaveOut(item: Extract<StreamItem, { kind: 'filtered' | 'unjudged' }>): void {
    if (item.kind === 'unjudged') {
      // A command that its filter does not fit is met before.
      const known = this.get(item.relation);
      const misfitting = this.misfits.get(known.key);
      throw misfitting ? this.failsAt(known, misfitting) : new TableFails(known.name, item.error);
    }
    this.account(item.relation).filtered++;
  }

  /** A change that the window has taken, or null where the copy has it already. */
  count(relation: Relation, taken: RowChange | null): void {
    const account = this.account(relation);
    if (taken === null) account.invisible++;
    else account[COUNTER[taken.kind]]++;
  }

  /** What became of changes that a window took. */
  tally(counts: ReadonlyMap<TargetTable, Folded>): void {
    for (const [{ relation }, { applied, folded }] of counts) {
      const account = this.account(relation);
      account.applied += applied;
      account.folded += folded;
    }
  }

  /** The accounts so far, by display name of the source table; new ones begin. */
  takeAccounts(): ReadonlyMap<string, Account> {
    const { accounts } = this;
    this.accounts = new Map();
    return accounts;
  }
}
