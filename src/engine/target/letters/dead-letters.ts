/**
 * Dead letters (data-plane P11): of tables for which a person has chosen so, a change that the target refuses in order too is kept in
 * `_opendts.dead_letter`, in the target transaction of the changes around it, and counted (I6); the rest goes on.
 *
 * Many changes share a savepoint and a round trip. Where one fails, all since the savepoint is undone; those before it are applied again,
 * under a savepoint of their own, and the letter stands behind them. So whatever was written before a letter has a smaller transaction id
 * than it, and what comes after a larger one: that tells later whether its row has been written since.
 */
import type { RowChange } from '../../change/change.ts';
import { displayName, nameKey, type QualifiedName } from '../../change/relation.ts';
import { PgError } from '../../pg/pg-error.ts';
import type { Pipeline, Statement } from '../../pg/wire/pipeline.ts';
import type { Account } from '../books/account.ts';
import { ApplyRefused, explainApply, refusalOf, RowCountDiffers } from '../apply/apply-failure.ts';
import type { Planned } from '../apply/sql/apply-sql.ts';
import { letterStatements, type Refusal } from './dead-letter-sql.ts';

const constant = (sql: string): Statement => ({ sql, values: [] });
const SAVEPOINT = constant('SAVEPOINT opendts_part');
const RELEASE = constant('RELEASE SAVEPOINT opendts_part');
const BACK = constant('ROLLBACK TO SAVEPOINT opendts_part');

const KINDS = ['insert', 'update', 'delete'] as const;
const COUNTER = { insert: 'inserts', update: 'updates', delete: 'deletes' } as const;

/** The statements of one change. */
type Group = readonly [Planned, ...Planned[]];

interface Failure {
  /** Which of the groups. */
  readonly at: number;
  readonly reason: RowCountDiffers | ApplyRefused;
}

export class DeadLetters {
  private readonly taskId: string;
  private readonly tables: ReadonlyMap<string, QualifiedName>;
  /** How many of the open transaction, by display name of the source table. */
  private readonly kept = new Map<string, Record<RowChange['kind'], number>>();

  /** `tables`, by nameKey of the source: those whose refused changes become letters. */
  constructor(taskId: string, tables: ReadonlyMap<string, QualifiedName>) {
    this.taskId = taskId;
    this.tables = tables;
  }

  /** Also what other source tables bring to the same target table: its rows are to be older or newer than a letter. */
  concern(planned: readonly Planned[]): boolean {
    const { tables } = this;
    if (tables.size === 0) return false;
    return planned.some(({ table }) => table.sources.some((source) => tables.has(nameKey(source))));
  }

  private isKept({ table, change }: Planned): boolean {
    return change !== undefined && this.tables.has(nameKey(table.source));
  }

  /** In the open transaction. Throws what stops a table, or ends the run; the transaction is then to be rolled back. */
  async apply(pipeline: Pipeline, planned: readonly Planned[]): Promise<void> {
    const groups = groupsOf(planned);
    let before: Statement[] = [];
    // All at once while nothing fails; behind a failure few at a time, and more again as long as they pass.
    let size = groups.length;
    let isPrefix = false;
    for (let from = 0; from < groups.length;) {
      const some = groups.slice(from, from + size);
      const failure = await attempt(pipeline, before, some);
      if (failure === null) {
        before = [RELEASE];
        from += some.length;
        size = isPrefix ? 1 : size * 2;
        isPrefix = false;
        continue;
      }
      const { at, reason } = failure;
      const culprit = some[at]?.[0];
      if (!culprit || !this.isKept(culprit) || !isForData(reason)) throw reason;
      before = [BACK, RELEASE];
      size = Math.max(at, 1);
      isPrefix = at > 0;
      if (isPrefix) continue;
      before.push(SAVEPOINT, ...letterStatements(this.taskId, culprit, explanationOf(reason)), RELEASE);
      this.count(culprit);
      from++;
    }
    if (before.length > 0) await pipeline.run(before);
  }

  private count({ table, change }: Planned): void {
    const name = displayName(table.source);
    const kept = this.kept.get(name) ?? { insert: 0, update: 0, delete: 0 };
    if (change) kept[change.change.kind]++;
    this.kept.set(name, kept);
  }

  /** What was counted as applied and has become a letter is counted as dead. */
  settle(accounts: ReadonlyMap<string, Account>): void {
    for (const [table, kept] of this.kept) {
      const account = accounts.get(table);
      if (!account) throw new Error(`no account of ${table}`);
      for (const kind of KINDS) {
        account.applied -= kept[kind];
        account.dead += kept[kind];
        account[COUNTER[kind]] -= kept[kind];
      }
    }
    this.forget();
  }

  /** The transaction is rolled back. */
  forget(): void {
    this.kept.clear();
  }
}

function groupsOf(planned: readonly Planned[]): Group[] {
  const groups: [Planned, ...Planned[]][] = [];
  for (const one of planned) {
    const last = groups.at(-1);
    if (last && one.change !== undefined && last[0].change === one.change) last.push(one);
    else groups.push([one]);
  }
  return groups;
}

/** Runs the groups under a savepoint, which stays; returns the first that failed, or null. */
async function attempt(
  pipeline: Pipeline,
  before: readonly Statement[],
  groups: readonly Group[],
): Promise<Failure | null> {
  const statements = groups.flat();
  const first = before.length + 1;
  const groupOf = (planned: Planned) => groups.findIndex((group) => group.includes(planned));
  let rows: number[];
  try {
    rows = await pipeline.run([...before, SAVEPOINT, ...statements]);
  } catch (thrown) {
    const at = thrown instanceof PgError ? thrown.statementIndex : undefined;
    const planned = at === undefined ? undefined : statements[at - first];
    const reason = refusalOf(thrown, planned);
    if (!planned || !(reason instanceof ApplyRefused)) throw reason;
    return { at: groupOf(planned), reason };
  }
  for (const [at, planned] of statements.entries()) {
    const found = rows[first + at] ?? -1;
    if (planned.expect !== null && found !== planned.expect)
      return { at: groupOf(planned), reason: new RowCountDiffers(planned, found) };
  }
  return null;
}

function isForData(reason: RowCountDiffers | ApplyRefused): boolean {
  return reason instanceof RowCountDiffers || reason.isForData;
}

function explanationOf(reason: RowCountDiffers | ApplyRefused): Refusal {
  const { code, message } = explainApply(reason);
  const cause = reason.cause instanceof PgError ? reason.cause : null;
  return { code, reason: message, sqlstate: cause?.sqlstate ?? '' };
}
