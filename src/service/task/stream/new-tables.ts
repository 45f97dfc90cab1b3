/**
 * Tables that come into the selection while the task runs: created, or renamed (or moved to a schema) so that it matches them. Each is published,
 * created on the target, copied beside the stream and followed (data-plane I1, I2); the others are not stopped for it.
 */
import { AppError, toAppError } from '../../../base/errors/app-error.ts';
import { displayName, nameKey } from '../../../engine/change/relation.ts';
import { readTables, type TableInfo } from '../../../engine/pg/catalog/tables/tables.ts';
import type { Session } from '../../../engine/pg/session.ts';
import type { Followed } from '../../../engine/source/filtered-reader.ts';
import { nextXid } from '../../../engine/source/snapshot-holder.ts';
import { membership, selectTables } from '../../../engine/selection/selection.ts';
import { forgetSteps } from '../../../engine/target/books/schema-steps.ts';
import { addTaskTables } from '../../../engine/target/books/task-row.ts';
import { newTaskTables } from '../known-columns.ts';
import { readBooks } from '../copy/copy-books.ts';
import { readKeysOfBothEnds } from '../copy/range-units.ts';
import { readFollowed } from '../followed.ts';
import { failedFor } from '../schema/notes.ts';
import { runPhases } from '../schema/run-phases.ts';
import { keysOnly, planFor } from '../schema-stage.ts';
import { publishTables } from '../source/source-objects.ts';
import { mappingOf, nameTargets, warn, type TaskRun } from '../task-run.ts';
import type { Together } from './beside.ts';
import { boundsOf, placeKnown, setApart } from './parts.ts';

/** One text for the tables of a database: another text, other tables. Cheap enough to be asked every few seconds. */
export async function fingerprintTables(source: Session): Promise<string> {
  const parent =
    source.version >= 100_000
      ? "CASE WHEN c.relispartition THEN (SELECT h.inhparent::text FROM pg_catalog.pg_inherits h WHERE h.inhrelid = c.oid) ELSE '' END"
      : "''";
  const { print } = await source.one(
    `SELECT count(*)::text || ' ' || COALESCE(sum(pg_catalog.hashtext(c.oid::text || ' ' || n.nspname || '.' || c.relname || ' ' || COALESCE(${parent}, ''))::bigint), 0)::text AS print
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'`,
  );
  return print ?? '';
}

/** Looks for new tables beside the stream, which takes in what is ready between two of its runs. */
export class NewTables implements AsyncDisposable {
  private readonly run: TaskRun;
  private looking: Promise<void> | null = null;
  private ready: TableInfo[] = [];
  /** What is followed of the tables that came in, by oid. */
  private readonly followed = new Map<number, Followed>();
  private hasFailed = false;
  /** The tables of the source, as fingerprintTables, at the last look that began. */
  private seen: string | null = null;
  private session: Session | null = null;

  constructor(run: TaskRun) {
    this.run = run;
    const { followedOf } = run;
    run.followedOf = (table) => this.followed.get(table.oid) ?? followedOf(table);
  }

  /** Tables are published and stand on the target. */
  get areReady(): boolean {
    return this.ready.length > 0;
  }

  /**
   * One look at a time, and none at the same tables again (`now`: as fingerprintTables has them, where that is known): thousands take a
   * second. Never rejects: what cannot be done now is tried at the next look.
   */
  look(now: string | null): Promise<void> {
    if (this.looking === null && now === this.seen && now !== null && !this.hasFailed)
      return Promise.resolve();
    this.looking ??= this.find(now)
      .catch((thrown: unknown) => this.sayLater(thrown))
      .finally(() => (this.looking = null));
    return this.looking;
  }

  /** Between two runs of the stream. True when something is to be copied now. */
  async takeIn({ intake, copies }: Together): Promise<boolean> {
    // A look that goes on meanwhile may find more: those come next.
    const fresh = [...this.ready];
    if (fresh.length === 0) return false;
    const { run } = this;
    const target = await run.ends.target();
    // Changes from before the publication had them are in no stream: the copy has to see them all.
    intake.settleFrom(await nextXid(await run.ends.source()));
    const bounds = await boundsOf(await run.ends.source(), run.request, fresh);
    const mapping = mappingOf(run.request, [...run.selected, ...fresh], run);
    const taken = newTaskTables(fresh, new Map(), mapping, { apart: run.apart, bounds });
    await addTaskTables(target, run, taken);
    const books = await readBooks(target, run.taskId, fresh.filter(hasRows));
    const keys = await readKeysOfBothEnds(run);
    // At once: a copy that begins a pass meanwhile knows all of them or none.
    this.ready = this.ready.filter((table) => !fresh.includes(table));
    take(run, fresh);
    copies.load(books, keys);
    warn(run, `new on the source, and part of the migration from now on: ${names(fresh)}`);
    return true;
  }

  /** Of its own: a lock may have to be waited for, and tried again. */
  private async openSource(): Promise<Session> {
    this.session = await this.run.ends.openSource('tables');
    return this.session;
  }

  private async find(now: string | null): Promise<void> {
    const { run, hasFailed, seen } = this;
    this.hasFailed = false;
    await using source = await this.openSource();
    this.seen = now ?? (await fingerprintTables(source));
    if (this.seen === seen && !hasFailed) return;
    const all = await readTables(source);
    sayRenamed(run, all);
    await placeKnown(run, all);
    const known = new Set([...run.selected, ...this.ready].map(({ oid }) => oid));
    const fresh = select(run, all).filter(({ oid }) => !known.has(oid) && !run.notPickedUp.has(oid));
    const isTaken = membership(run.selected);
    const again = fresh.filter(isTaken);
    if (again.length > 0)
      leaveOut(run, again, 'the target keeps what it has of the former table of that name');
    if (again.length === fresh.length) return;
    if (!run.request.types.has('full') || !run.request.types.has('schema')) {
      leaveOut(run, fresh, 'they are not picked up, because this task does not create and copy tables');
      return;
    }
    const wanted = setApart(
      run,
      fresh.filter((table) => !isTaken(table)),
      (unfit) => leaveOut(run, unfit, 'in a plain table an unlogged partition cannot stand beside others'),
    );
    await this.readRules(source, wanted);
    await this.createAll(wanted.filter((table) => !run.notPickedUp.has(table.oid)));
    for (const table of wanted) if (!run.notPickedUp.has(table.oid)) await this.publish(source, table);
  }

  /** What cannot be filtered as its rule says is left out. */
  private async readRules(source: Session, wanted: readonly TableInfo[]): Promise<void> {
    const { run } = this;
    const all = [...run.selected, ...this.ready, ...wanted];
    const { followedOf, problems } = await readFollowed(source, run.request, all);
    for (const { oid, problem } of problems) {
      const unfit = wanted.filter((table) => (table.rootOid ?? table.oid) === oid);
      if (unfit.length > 0)
        leaveOut(run, unfit, `they are not picked up: their filter cannot be used: ${problem}`);
    }
    for (const table of wanted)
      if (!run.notPickedUp.has(table.oid)) this.followed.set(table.oid, followedOf(table));
  }

  /** What cannot be created on the target is not published either. */
  private async createAll(fresh: readonly TableInfo[]): Promise<void> {
    const { run } = this;
    const open = await runPhases(run, keysOnly(await planFor(run, fresh), run), ['pre-data', 'index']);
    if (open.length === 0) return;
    const target = await run.ends.target();
    const ids = open.map(({ id }) => id);
    await target.transaction(() => forgetSteps(target, run, ids));
    leaveOut(run, fresh, `they are not picked up: ${failedFor(open).message} The next run tries again.`);
  }

  /** A table that somebody holds a lock on keeps nobody waiting but itself. */
  private async publish(source: Session, table: TableInfo): Promise<void> {
    const { run } = this;
    try {
      if (isFollowed(table)) await publishTables(run, source, [table]);
      this.ready.push(table);
    } catch (thrown) {
      if (thrown instanceof AppError && thrown.entry.retry !== 'later')
        leaveOut(run, [table], `it cannot be followed: ${thrown.message} ${thrown.remedy}`);
      else this.sayLater(thrown);
    }
  }

  /** Whoever holds a lock that a look waits for is not waited for. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.session?.destroy();
    await this.looking;
  }

  private sayLater(thrown: unknown): void {
    const { hooks, book } = this.run;
    this.hasFailed = true;
    if (hooks.signal.aborted) return;
    const message = `A new table cannot be picked up yet: ${toAppError(thrown).message}`;
    hooks.onEvent({ level: 'info', phase: book.phase, message });
  }
}

/** A table keeps its name on the target, whatever the source calls it by now. */
function sayRenamed(run: TaskRun, all: readonly TableInfo[]): void {
  const followed = new Map(run.followed.map((table) => [table.oid, table]));
  for (const table of all) {
    const known = followed.get(table.oid);
    if (!known || nameKey(known) === nameKey(table) || run.saidRenamed.has(nameKey(table))) continue;
    run.saidRenamed.add(nameKey(table));
    warn(
      run,
      `${displayName(known)} is called ${displayName(table)} on the source now; it is followed, and keeps its name on the target (${displayName(run.targetOf(known))})`,
    );
  }
}

function hasRows(table: TableInfo): boolean {
  return table.kind === 'r';
}

function isFollowed(table: TableInfo): boolean {
  return hasRows(table) && table.persistence !== 'unlogged';
}

function select(run: TaskRun, tables: readonly TableInfo[]): TableInfo[] {
  try {
    return selectTables(tables, run.request.tables, run.request.excludeTables);
  } catch (thrown) {
    // A pattern that matched at the start may match nothing any more.
    if (thrown instanceof AppError && thrown.code === 'NOTHING_SELECTED') return [];
    throw thrown;
  }
}

function leaveOut(run: TaskRun, tables: readonly TableInfo[], reason: string): void {
  for (const { oid } of tables) {
    run.notPickedUp.add(oid);
    run.apart.delete(oid);
  }
  warn(run, `new on the source: ${names(tables)}; ${reason}`);
}

function take(run: TaskRun, fresh: readonly TableInfo[]): void {
  run.selected = [...run.selected, ...fresh];
  run.tables = [...run.tables, ...fresh.filter(hasRows)];
  run.followed = [...run.followed, ...fresh.filter(isFollowed)];
  nameTargets(run);
  run.book.register(fresh.filter(hasRows));
}

function names(tables: readonly TableInfo[]): string {
  return tables.map(displayName).join(', ');
}
