/** Counts what a running migration does, in memory, for whoever looks; the truth that survives is in the target. */
import type {
  IndexBuild,
  MigrationProgress,
  MigrationSummary,
  Phase,
  SlotProgress,
  TableStage,
} from '../../contract/progress.ts';
import { displayName } from '../../engine/change/relation.ts';
import type { TableInfo } from '../../engine/pg/catalog/tables/tables.ts';
import { LSN_ZERO, type Lsn } from '../../engine/change/lsn.ts';
import { commitMs, DelayMeter, type ClockReading } from '../../engine/source/delay-meter.ts';
import type { HeartbeatPosition } from '../../engine/source/helpers/heartbeat.ts';
import type { Applied } from '../../engine/pipeline/stream-run.ts';
import type { StoredAccount } from '../../engine/target/books/account.ts';
import type { DoneChunk } from '../../engine/target/books/done-chunks.ts';
import { isKept, type StoppedTable } from '../../engine/target/books/stopped-tables.ts';
import { CopyTotal } from './copy/copy-total.ts';
import { TableLine, type ChunkLabel } from './copy/table-line.ts';

/** A table that stands still, and the log that the source keeps for it alone. */
export type StandingTable = StoppedTable & { readonly keptBytes: bigint };

export class ProgressBook {
  taskId = '';
  phase: Phase = 'connect';
  indexesDone = 0;
  indexesTotal = 0;
  indexBuilds: readonly IndexBuild[] = [];
  copyMs = 0;
  streamMs = 0;
  lagBytes: bigint | null = null;
  deadLetters = 0n;
  slot: SlotProgress | null = null;
  /** Tables that stand still while the others go on. */
  stopped: readonly StoppedTable[] = [];
  private changes = 0n;
  private transactions = 0n;
  private readonly delay = new DelayMeter();
  private newestCommitMs: number | null = null;
  private recorded: Lsn = LSN_ZERO;
  private endOfLog: Lsn | null = null;
  private readonly lines = new Map<string, TableLine>();
  /** Lines of what is copied and is no table: not counted with the tables, nor their rows with those of tables. */
  private readonly others = new Set<TableLine>();
  private copy: CopyTotal | null = null;
  private readonly started = performance.now();

  register(tables: readonly TableInfo[]): void {
    for (const table of tables) this.lines.set(displayName(table), new TableLine(displayName(table), table));
  }

  /** A line of something that is copied besides the tables; once for each name. */
  registerOther(name: string, size: Pick<TableInfo, 'estimatedRows' | 'bytes'>): void {
    if (this.lines.has(name)) return;
    const line = new TableLine(name, size);
    this.lines.set(name, line);
    this.others.add(line);
  }

  /** Changes applied by earlier runs belong to the tables' lines, not to this run's totals. */
  restore(accounts: readonly StoredAccount[]): void {
    for (const account of accounts) {
      const line = this.lines.get(account.table);
      if (line)
        Object.assign(line, { inserts: account.inserts, updates: account.updates, deletes: account.deletes });
    }
  }

  /** What the books on the target say of the table's chunks. */
  planned(table: string, chunks: readonly (DoneChunk | null)[]): void {
    this.lines.get(table)?.planned(chunks);
  }

  /** All tables are planned, and the first chunks are about to start. */
  beginCopy(): void {
    this.copy = new CopyTotal([...this.lines.values()]);
  }

  format(table: string, format: 'binary' | 'text'): void {
    this.update(table, (line) => (line.format = format));
  }

  copying({ table, id }: ChunkLabel): void {
    this.lines.get(table)?.begin(id);
  }

  passing({ table, id }: ChunkLabel, passed: { rows: number; bytes: number }): void {
    this.lines.get(table)?.pass(id, passed);
  }

  voided({ table, id }: ChunkLabel): void {
    this.lines.get(table)?.void(id);
  }

  copied({ table }: ChunkLabel, done: DoneChunk): void {
    this.lines.get(table)?.finish(done);
  }

  failed(table: string): void {
    this.update(table, (line) => (line.stage = 'failed'));
  }

  /** All tables are where the phase says. */
  all(stage: TableStage): void {
    for (const line of this.lines.values())
      line.stage = stage === 'streaming' && this.others.has(line) ? 'copied' : stage;
  }

  /** The source's clock, and where its log ended after that. */
  sourceAt(reading: ClockReading, end: Lsn): void {
    this.endOfLog = end;
    this.delay.sourceAt(reading, end);
  }

  reached(lsn: Lsn): void {
    this.delay.applied(lsn, null, Date.now());
  }

  applied({ transactions, accounts, commitTime, endLsn }: Applied): void {
    this.transactions += BigInt(transactions);
    this.recorded = endLsn;
    this.delay.applied(endLsn, commitTime, Date.now());
    if (commitTime !== null) this.newestCommitMs = commitMs(commitTime);
    for (const [table, account] of accounts) {
      this.changes += BigInt(account.applied + account.folded);
      this.update(table, (line) => {
        line.inserts += BigInt(account.inserts);
        line.updates += BigInt(account.updates);
        line.deletes += BigInt(account.deletes);
      });
    }
  }

  private update(table: string, change: (line: TableLine) => void): void {
    const line = this.lines.get(table);
    if (line) change(line);
  }

  get rowsCopied(): bigint {
    return this.sum((line) => (this.others.has(line) ? 0n : line.copied.rows));
  }

  get bytesCopied(): bigint {
    return this.sum((line) => line.copied.bytes);
  }

  /** What is worth telling of the tables at the end. */
  accounts(): Pick<MigrationSummary, 'formats' | 'kept' | 'copiedLater'> {
    const lines = [...this.lines.values()];
    const inFormat = (format: string) =>
      lines.filter((line) => line.format === format && line.chunksDone > 0).length;
    return {
      formats: { binary: inFormat('binary'), text: inFormat('text') },
      kept: lines
        .filter(({ skipped }) => skipped > 0n)
        .map(({ table, skipped }) => ({ table, rows: skipped })),
      copiedLater: lines.filter(({ isLater }) => isLater).map(({ table }) => table),
    };
  }

  private sum(of: (line: TableLine) => bigint): bigint {
    let total = 0n;
    for (const line of this.lines.values()) total += of(line);
    return total;
  }

  get tableCount(): number {
    return this.lines.size - this.others.size;
  }

  get changesApplied(): bigint {
    return this.changes;
  }

  get transactionsApplied(): bigint {
    return this.transactions;
  }

  get elapsedMs(): number {
    return Math.round(performance.now() - this.started);
  }

  /** What the heartbeat tells the people at the source. */
  get position(): HeartbeatPosition {
    return { commitMs: this.newestCommitMs, endOfLog: this.endOfLog, recorded: this.recorded };
  }

  /** A source that does not answer may have gone on. */
  private get delayMs(): number | null {
    const delay = this.lagBytes === null ? null : this.delay.delayMs(Date.now());
    return delay === null ? null : Math.round(delay);
  }

  standing(): StandingTable[] {
    return this.stopped.map((one) => {
      const keeps = isKept(one) && this.recorded > one.endLsn;
      return { ...one, keptBytes: keeps ? this.recorded - one.endLsn : 0n };
    });
  }

  snapshot(): MigrationProgress {
    return {
      taskId: this.taskId,
      phase: this.phase,
      tables: [...this.lines.values()].map((line) => line.progress()),
      rowsCopied: this.rowsCopied,
      bytesCopied: this.bytesCopied,
      copy: this.copy?.progress() ?? null,
      indexesDone: this.indexesDone,
      indexesTotal: this.indexesTotal,
      indexBuilds: this.indexBuilds,
      changesApplied: this.changes,
      transactionsApplied: this.transactions,
      deadLetters: this.deadLetters,
      lagBytes: this.lagBytes,
      delayMs: this.delayMs,
      slot: this.slot,
      elapsedMs: this.elapsedMs,
    };
  }
}
