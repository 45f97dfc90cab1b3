/**
 * A change reader that hands out only what the task follows: changes of the chosen operations, of rows that pass their table's filter.
 * What is left out becomes a `filtered` item, so that every change stays accounted for. Order is kept. Changes that must be judged are
 * judged together with all that have arrived behind them: one round trip, however long the queue.
 */
import { AppError } from '../../base/errors/app-error.ts';
import { OPERATIONS, type Operation } from '../../contract/task-spec.ts';
import { sizeOf, type Change, type RowChange, type Truncate } from '../change/change.ts';
import type { Lsn } from '../change/lsn.ts';
import type { Relation } from '../change/relation.ts';
import type { ChangeReader, StreamItem } from './change-reader.ts';
import {
  filteredChange,
  joinFilter,
  questionsAbout,
  type JoinedFilter,
  type Questions,
} from './filter-change.ts';
import type { FilterVerdicts, Question } from './filter-verdicts.ts';
import type { RowFilter } from './row-filter.ts';

/** What is followed of one table. */
export interface Followed {
  readonly operations: ReadonlySet<Operation>;
  /** Null: all rows. */
  readonly filter: RowFilter | null;
}

export function followsAll(operations: ReadonlySet<Operation>): boolean {
  return OPERATIONS.every((operation) => operations.has(operation));
}

/** Nothing is left out. */
export function isEverything({ operations, filter }: Followed): boolean {
  return filter === null && followsAll(operations);
}

const MOST_ITEMS = 10_000;
const MOST_BYTES = 4 * 1024 * 1024;

export class FilteredReader implements ChangeReader {
  private readonly reader: ChangeReader;
  private readonly followed: ReadonlyMap<number, Followed>;
  private readonly verdicts: FilterVerdicts;
  private readonly joined = new WeakMap<Relation, JoinedFilter>();
  /** Judged, in order; what is before `head` has been handed out. */
  private settled: StreamItem[] = [];
  private head = 0;
  /** The first one that nobody has judged. */
  private held: StreamItem | null = null;
  /** The source is being asked, about the held item and others behind it. */
  private judging: Promise<void> | null = null;

  /** `followed` by oid; tables that are not in it are left to whoever reads. Reader and verdicts belong to it. */
  constructor(reader: ChangeReader, followed: ReadonlyMap<number, Followed>, verdicts: FilterVerdicts) {
    this.reader = reader;
    this.followed = followed;
    this.verdicts = verdicts;
  }

  takeQueued(): StreamItem | null {
    for (;;) {
      const item = this.settled[this.head];
      if (item) {
        this.head++;
        return item;
      }
      this.settled = [];
      this.head = 0;
      if (this.judging !== null) return null;
      this.held ??= this.reader.takeQueued();
      if (this.held === null || !this.settle(this.held)) return null;
      this.held = null;
    }
  }

  async ready(signal: AbortSignal): Promise<void> {
    if (this.head < this.settled.length) return;
    if (this.held === null && this.judging === null) {
      await this.reader.ready(signal);
      return;
    }
    // What has failed stays, and is thrown whenever somebody asks: the changes that it was about have been taken.
    this.judging ??= this.judgeQueued(signal).then(() => {
      this.judging = null;
    });
    await this.judging;
  }

  confirm(lsn: Lsn): void {
    this.reader.confirm(lsn);
  }

  askForPosition(): void {
    this.reader.askForPosition();
  }

  /** Judges the held item and what has arrived behind it, up to a bound. */
  private async judgeQueued(signal: AbortSignal): Promise<void> {
    const batch: StreamItem[] = [];
    const questions: Question[] = [];
    let bytes = 0;
    for (let item = this.held; item !== null; item = this.reader.takeQueued()) {
      batch.push(item);
      questions.push(...this.questionsOf(item));
      bytes += bytesOf(item);
      if (batch.length >= MOST_ITEMS || bytes >= MOST_BYTES) break;
    }
    this.held = null;
    try {
      await this.verdicts.learn(questions, signal);
    } catch (thrown) {
      if (!isAboutAChange(thrown)) throw thrown;
      return this.judgeEach(batch, signal);
    }
    for (const item of batch) if (!this.settle(item)) throw new Error('a change was not judged');
  }

  /** The source cannot judge one of them: which, only asking one by one tells. */
  private async judgeEach(batch: readonly StreamItem[], signal: AbortSignal): Promise<void> {
    for (const item of batch) {
      try {
        await this.verdicts.learn(this.questionsOf(item), signal);
        this.settle(item);
      } catch (thrown) {
        if (!isAboutAChange(thrown) || !isRowChange(item)) throw thrown;
        this.settled.push({ kind: 'unjudged', relation: item.relation, error: thrown });
      }
    }
  }

  /** Puts what becomes of an item behind what is settled; false when the source must be asked first. */
  private settle(item: StreamItem): boolean {
    if (item.kind === 'truncate') this.settled.push(...this.truncated(item));
    else if (!isRowChange(item)) this.settled.push(item);
    else if (!this.isFollowed(item, item.relation)) this.settled.push(leftOut(item.relation));
    else {
      const settled = this.judged(item);
      if (settled === null) return false;
      this.settled.push(settled);
    }
    return true;
  }

  /** Null when the source must be asked first. */
  private judged(change: RowChange): StreamItem | null {
    try {
      const asked = this.questions(change);
      const passes = { old: this.answer(asked?.old), new: this.answer(asked?.new) };
      if (passes.old === undefined || passes.new === undefined) return null;
      return filteredChange(change, { old: passes.old, new: passes.new }) ?? leftOut(change.relation);
    } catch (thrown) {
      if (!isAboutAChange(thrown)) throw thrown;
      return { kind: 'unjudged', relation: change.relation, error: thrown };
    }
  }

  private answer(question: Question | null | undefined): boolean | undefined {
    return question ? this.verdicts.passes(question) : true;
  }

  private isFollowed({ kind }: Change, relation: Relation): boolean {
    return this.followed.get(relation.oid)?.operations.has(kind) ?? true;
  }

  private truncated(change: Truncate): StreamItem[] {
    const relations = change.relations.filter((relation) => this.isFollowed(change, relation));
    const others = change.relations.filter((relation) => !relations.includes(relation)).map(leftOut);
    return relations.length > 0 ? [{ ...change, relations }, ...others] : others;
  }

  private questionsOf(item: StreamItem): Question[] {
    if (!isRowChange(item)) return [];
    try {
      const asked = this.questions(item);
      return [asked?.old, asked?.new].filter((question) => question != null);
    } catch (thrown) {
      // Said where the change has its turn.
      if (isAboutAChange(thrown)) return [];
      throw thrown;
    }
  }

  /** Null where no filter applies. */
  private questions(change: RowChange): Questions | null {
    const { relation } = change;
    const followed = this.followed.get(relation.oid);
    if (!followed?.filter || !followed.operations.has(change.kind)) return null;
    const joined = this.joined.get(relation) ?? joinFilter(relation, followed.filter);
    this.joined.set(relation, joined);
    return questionsAbout(change, joined, followed.operations);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.verdicts[Symbol.asyncDispose]();
    await this.reader[Symbol.asyncDispose]();
  }
}

function leftOut(relation: Relation): StreamItem {
  return { kind: 'filtered', relation };
}

const ABOUT_A_CHANGE: ReadonlySet<string> = new Set(['FILTER_FAILED', 'FILTER_INVALID', 'RELATION_CHANGED']);

/** Its table cannot be followed; everything else can. */
function isAboutAChange(thrown: unknown): thrown is AppError {
  return thrown instanceof AppError && ABOUT_A_CHANGE.has(thrown.code);
}

function isRowChange(item: StreamItem): item is RowChange {
  return item.kind === 'insert' || item.kind === 'update' || item.kind === 'delete';
}

function bytesOf(item: StreamItem): number {
  if (!isRowChange(item)) return 0;
  const { old, row } = {
    old: item.kind === 'insert' ? null : item.old,
    row: item.kind === 'delete' ? null : item.new,
  };
  return sizeOf(old ?? []) + sizeOf(row ?? []);
}
