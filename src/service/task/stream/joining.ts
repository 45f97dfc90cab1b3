/**
 * Partitions that stand apart join the plain table of the others: once all tables are of one moment, and between two transactions of the
 * source, where no key can be in both. A row that moves from one partition to another would meet itself there else.
 */
import { AppError } from '../../../base/errors/app-error.ts';
import { displayName, nameKey, type QualifiedName } from '../../../engine/change/relation.ts';
import type { Lsn } from '../../../engine/change/lsn.ts';
import type { TableInfo } from '../../../engine/pg/catalog/tables/tables.ts';
import { isConnectionLoss, isDisturbance, PgError } from '../../../engine/pg/pg-error.ts';
import { endOfWal } from '../../../engine/pg/wal-position.ts';
import { objectId, objectName } from '../../../engine/schema/object-id.ts';
import type { Applier } from '../../../engine/target/apply/applier.ts';
import { holdFence } from '../../../engine/target/books/task-row.ts';
import { forgetSteps, readDoneSteps } from '../../../engine/target/books/schema-steps.ts';
import { isLeftOut } from '../../../engine/target/books/stopped-tables.ts';
import { placeTaskTable, readTaskTables } from '../../../engine/target/books/task-tables.ts';
import { openChunkWriter } from '../../../engine/target/copy/chunk-writer.ts';
import { moveOver, NotAlike } from '../../../engine/target/copy/move-over.ts';
import { readPartitionRoots } from '../../../engine/verify/partitions.ts';
import { warn, type TaskRun } from '../task-run.ts';
import { take } from './parts.ts';
import type { Rest } from './rest.ts';

const RETRY_MS = 2_000;

export class Joining {
  private readonly run: TaskRun;
  private readonly rest: Pick<Rest, 'reconciled' | 'leftBehind'>;
  private retryAt = 0;
  private readonly told = new Set<number>();

  constructor(run: TaskRun, rest: Pick<Rest, 'reconciled' | 'leftBehind'>) {
    this.run = run;
    this.rest = rest;
  }

  /** Not in step before all have joined, but for what is to be seen to first. */
  get isBusy(): boolean {
    return this.hasWork && this.run.book.stopped.every(isLeftOut);
  }

  private get hasWork(): boolean {
    return this.run.apart.size > 0 && this.rest.leftBehind === null;
  }

  /** The stream is to begin again. */
  isReady(recorded: Lsn): boolean {
    if (!this.hasWork || performance.now() < this.retryAt) return false;
    const from = this.rest.reconciled;
    if (from === null || recorded < from) return false;
    if (!this.run.apart.values().some((mark) => mark === null || mark <= recorded)) return false;
    if (this.run.followed.some((table) => this.run.apart.has(table.oid) && !this.isHeld(table))) return true;
    this.retryAt = performance.now() + RETRY_MS;
    return false;
  }

  private rootOf({ rootOid }: TableInfo): TableInfo | undefined {
    return this.run.selected.find(({ oid }) => oid === rootOid);
  }

  /** One of the two stands still. */
  private isHeld(table: TableInfo): boolean {
    const { book, targetOf } = this.run;
    if (book.stopped.length === 0) return false;
    const names = new Set([table, this.rootOf(table) ?? table].map((one) => nameKey(targetOf(one))));
    return book.stopped.some((one) => names.has(nameKey(targetOf(one.table))));
  }

  /** Between two runs of the stream. What cannot join now is tried again; what the target refuses stops. */
  async settle(applier: Pick<Applier, 'positions' | 'stop'>): Promise<void> {
    const { positions } = applier;
    const { recorded } = positions;
    if (!this.isReady(recorded)) return;
    const { run } = this;
    const source = await run.ends.source();
    const roots = await readPartitionRoots(source);
    for (const [oid, mark] of run.apart) if (mark === null) run.apart.set(oid, await endOfWal(source));
    if (!this.isReady(recorded)) return;
    this.retryAt = performance.now() + RETRY_MS;
    if (!positions.areEven) return;
    const isThere = (mark: Lsn | null | undefined) => mark != null && mark <= recorded;
    for (const table of run.followed.filter(({ oid }) => isThere(run.apart.get(oid)))) {
      const root = this.rootOf(table);
      // One that is no partition any more is found by who looks for new tables.
      if (!root || roots.get(table.oid) !== root.oid || this.isHeld(table)) continue;
      const refusal = await this.join(table, run.targetOf(root));
      if (refusal === null) continue;
      if (run.request.strict) throw refusal;
      await applier.stop([table], refusal);
      run.book.stopped = positions.stopped;
      const { message, remedy } = refusal;
      warn(
        run,
        `${message} ${remedy} Changes of ${displayName(table)} wait in the slot; the other tables go on.`,
      );
    }
  }

  /** Why it never will as things are; null where it has, or is tried again. */
  private async join(table: TableInfo, into: QualifiedName): Promise<AppError | null> {
    const { run } = this;
    try {
      await this.move(table, into);
    } catch (thrown) {
      const isServers = thrown instanceof PgError && !isConnectionLoss(thrown);
      if (!isServers && !(thrown instanceof NotAlike)) throw thrown;
      if (isServers && !isDisturbance(thrown))
        return new AppError('PARTITION_REFUSED', {
          table: displayName(table),
          into: displayName(into),
          problem: thrown.shown,
        });
      if (!this.told.has(table.oid))
        warn(
          run,
          `The rows of partition ${displayName(table)} cannot be put into ${displayName(into)} yet, which is tried again: ${thrown instanceof PgError ? thrown.shown : thrown.message}`,
        );
      this.told.add(table.oid);
      return null;
    }
    take(run, { oid: table.oid, rootOid: table.rootOid, isApart: false });
    run.hooks.failpoints.pass('join.after-commit');
    run.hooks.onEvent({
      level: 'info',
      phase: run.book.phase,
      message: `partition ${displayName(table)} of the source stands in ${displayName(into)} on the target now`,
    });
    return null;
  }

  private async move(table: TableInfo, into: QualifiedName): Promise<void> {
    const { run } = this;
    const { oid, rootOid } = table;
    await using writer = await openChunkWriter(() => run.ends.openTarget('join'));
    const { session } = writer;
    await session.transaction(async () => {
      await session.query("SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = '2s'");
      await holdFence(session, run.taskId, run.fence);
      // A commit of ours whose answer was lost counts.
      const recorded = (await readTaskTables(session, run.taskId)).find((one) => one.oid === oid);
      if (!recorded) throw new NotAlike('the task does not know it');
      if (!recorded.isApart) return;
      const from = run.targetOf(table);
      const indexes = await moveOver(session, run.taskId, { table, from, into });
      const done = await readDoneSteps(session, run.taskId);
      await forgetSteps(session, run, stepsOf(from, indexes, done));
      await placeTaskTable(session, run.taskId, { ...recorded, rootOid, isApart: false });
      run.hooks.failpoints.pass('join.before-commit');
    });
  }
}

/** What was made of a table that is gone: should another one of its name come, it is made again. */
function stepsOf(
  { schema, name }: QualifiedName,
  indexes: readonly string[],
  done: ReadonlySet<string>,
): string[] {
  const own = new Set([
    objectId('table', schema, name),
    ...indexes.map((index) => objectId('index', schema, index)),
  ]);
  return [...done].filter((step) => own.has(step) || step.includes(` ${objectName(schema, name)}.`));
}
