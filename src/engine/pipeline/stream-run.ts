/**
 * One run of the change stream into the target: from the recorded position until stopped, reached, or broken. Never rejects: it returns
 * how it ended, and the supervisor decides what happens next.
 */
import type { AppError } from '../../base/errors/app-error.ts';
import type { DdlMode } from '../../contract/task-spec.ts';
import type { Lsn } from '../change/lsn.ts';
import { nameKey, type QualifiedName } from '../change/relation.ts';
import type { DdlEvent } from '../source/helpers/ddl-event.ts';
import type { ChangeReader } from '../source/change-reader.ts';
import type { Account } from '../target/books/account.ts';
import { ApplyRefused, RowCountDiffers } from '../target/apply/apply-failure.ts';
import type { Applier } from '../target/apply/applier.ts';
import { changeText } from '../target/ddl/table-change.ts';
import type { Shapes, TargetTable } from '../target/apply/sql/target-table.ts';
import type { Intake } from './intake.ts';
import type { StreamThrottle } from './stream-throttle.ts';
import { TableFails } from './followed-tables.ts';
import { flushWhenDue } from './flush.ts';
import { StreamLoop } from './stream-loop.ts';
import { NeedsRecopy, type TableCopy } from './visibility.ts';

export type StreamEnd =
  | { readonly kind: 'stopped' }
  | { readonly kind: 'reached'; readonly lsn: Lsn }
  /** A window did not go in as sets: read again from the recorded position, in order up to and with this commit (P11). */
  | { readonly kind: 'replay'; readonly orderedUntil: Lsn; readonly cause: unknown }
  /** Two ranges of a table's key must be copied again, under one snapshot (I3). */
  | { readonly kind: 'recopy'; readonly cause: NeedsRecopy }
  /** A table cannot go on; that it stands still is recorded. `isRepeated`: until its change is made on the target. */
  | {
      readonly kind: 'table-stopped';
      readonly table: QualifiedName;
      readonly cause: AppError;
      readonly isRepeated: boolean;
    }
  /** Something about the tables has changed: begin again with what is true now. */
  | { readonly kind: 'refresh' }
  | { readonly kind: 'broken'; readonly cause: unknown };

/** What one commit of the target has applied. */
export interface Applied {
  readonly transactions: number;
  readonly accounts: ReadonlyMap<string, Account>;
  readonly endLsn: Lsn;
  /** Microseconds since 2000-01-01 of the newest source commit in it; null for an idle position. */
  readonly commitTime: bigint | null;
}

export interface StreamRun {
  readonly reader: ChangeReader;
  readonly applier: Applier;
  /** By nameKey of the source table. A table that is not in here is not ours: its changes are filtered. */
  readonly copies: ReadonlyMap<string, TableCopy>;
  readonly shapes: Shapes;
  /** What the task calls its tables, by their oid on the source, which may call them something else by now. */
  readonly names: ReadonlyMap<number, QualifiedName>;
  readonly intake: Intake;
  readonly throttle: StreamThrottle;
  /** A table that cannot be followed ends the whole. */
  readonly strict: boolean;
  /** True when the run should begin again, between two transactions. */
  readonly wantsRefresh: () => boolean;
  readonly orderedUntil: Lsn;
  /** The position to stop at, once it is known. */
  readonly until: () => Lsn | null;
  readonly signal: AbortSignal;
  readonly onApplied: (durable: Applied) => void;
  /** `apply`: a table whose columns change is to be given them on the target, and indexes are repeated. */
  readonly ddl: DdlMode;
  /** A DDL command on a table of ours that stops nothing, in the transaction that commits there. */
  readonly onDdl?: (event: DdlEvent, finalLsn: Lsn) => void;
  /** Of tables that go into one with others: each holds the rows still that its part says. */
  readonly areStillParts?: (tables: readonly TargetTable[]) => Promise<boolean>;
  /** Nothing that lies before is missing on the target, although it may not be recorded. */
  readonly onReached?: (lsn: Lsn) => void;
}

const NUDGE_MS = 250;
export async function runStream(run: StreamRun): Promise<StreamEnd> {
  const loop = new StreamLoop(run);
  const nudge = setInterval(() => {
    flushWhenDue(loop.target, run);
    if (run.until() !== null || run.wantsRefresh()) run.reader.askForPosition();
  }, NUDGE_MS);
  try {
    return await loop.run();
  } catch (failure) {
    clearInterval(nudge);
    // What the target has been given comes first in the stream, and so does its failure.
    const thrown = (await loop.target.end()) ?? failure;
    if (run.signal.aborted) return { kind: 'stopped' };
    if (thrown instanceof NeedsRecopy) return { kind: 'recopy', cause: thrown };
    const isRefusal = thrown instanceof RowCountDiffers || thrown instanceof ApplyRefused;
    if (isRefusal && !loop.inOrder && (thrown instanceof RowCountDiffers || thrown.isForData))
      return { kind: 'replay', orderedUntil: loop.handedFinalLsn, cause: thrown };
    const fails = isRefusal
      ? new TableFails(loop.tables.name(thrown.planned.table.relation), await run.applier.explain(thrown))
      : thrown;
    if (!(fails instanceof TableFails)) return { kind: 'broken', cause: thrown };
    // In order the table stops exactly before the transaction that it cannot take.
    if (!isRefusal && !loop.inOrder)
      return { kind: 'replay', orderedUntil: loop.newestFinalLsn, cause: thrown };
    const isOver = run.strict && !(run.ddl === 'apply' && fails.change);
    return isOver ? { kind: 'broken', cause: fails.error } : await stopTable(run, fails);
  } finally {
    clearInterval(nudge);
    await loop.target.end();
    await run.applier.rollback().catch(() => {});
  }
}

/** Those that go into the same target table stop with it: their rows may pass from one to another. */
async function stopTable(run: StreamRun, fails: TableFails): Promise<StreamEnd> {
  const { applier, shapes, ddl } = run;
  const { table, error, change, also } = fails;
  const tables = [table, ...also].flatMap((one) => shapes.get(nameKey(one))?.sources ?? [one]);
  try {
    const isRepeated = ddl === 'apply' && change !== null;
    await applier.stop(distinct(tables), error, {
      choice: isRepeated ? 'auto' : null,
      change: change && changeText(change),
    });
    return { kind: 'table-stopped', table, cause: error, isRepeated };
  } catch (thrown) {
    return { kind: 'broken', cause: thrown };
  }
}

function distinct(tables: readonly QualifiedName[]): QualifiedName[] {
  return [...new Map(tables.map((table) => [nameKey(table), table])).values()];
}
