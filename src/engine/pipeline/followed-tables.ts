/** What the stream looks up for every change, by the Relation it belongs to: names, the target table, and the account since the last commit. */
import { AppError, toAppError } from '../../base/errors/app-error.ts';
import type { RowChange } from '../change/change.ts';
import { displayName, nameKey, type QualifiedName, type Relation } from '../change/relation.ts';
import type { StreamItem } from '../source/change-reader.ts';
import type { DdlEvent } from '../source/helpers/ddl-event.ts';
import { emptyAccount, type Account } from '../target/account.ts';
import { joinTable, type TargetShape, type TargetTable } from '../target/target-table.ts';
import type { Folded } from '../target/window.ts';
import { ddlSeen, differenceOf } from './ddl-seen.ts';
import type { StreamRun } from './stream-run.ts';

const COUNTER = { insert: 'inserts', update: 'updates', delete: 'deletes' } as const;

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
  private readonly shapes: ReadonlyMap<string, TargetShape>;
  private readonly names: ReadonlyMap<number, QualifiedName>;
  private readonly known = new WeakMap<Relation, Known>();
  private accounts = new Map<string, Account>();

  constructor({ shapes, names }: Pick<StreamRun, 'shapes' | 'names'>) {
    this.shapes = shapes;
    this.names = names;
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
    return (known.table = this.failing(relation, () => joinTable(relation, shape)));
  }

  /** What a person must look at is the trouble of this table alone. */
  failing<T>(relation: Relation, work: () => T): T {
    try {
      return work();
    } catch (thrown) {
      throw thrown instanceof AppError ? new TableFails(this.name(relation), thrown) : thrown;
    }
  }

  /** Throws TableFails where a table that is at the command no longer fits. False when it concerns no table of ours. */
  assertFits(event: DdlEvent, isAt: (table: QualifiedName) => boolean): boolean {
    let concerns = false;
    for (const table of event.tables) {
      const name = this.names.get(table.oid);
      const shape = name && this.shapes.get(nameKey(name));
      if (!shape) continue;
      concerns = true;
      const difference = isAt(name) ? differenceOf(table, shape) : null;
      if (difference !== null) throw new TableFails(name, ddlSeen(event, displayName(name), difference));
    }
    return concerns;
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
    if (item.kind === 'unjudged') throw new TableFails(this.name(item.relation), item.error);
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
