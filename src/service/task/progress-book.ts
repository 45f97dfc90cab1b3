/** Counts what a running migration does, in memory, for whoever looks; the truth that survives is in the target. */
import type { MigrationProgress, Phase, TableStage } from '../../contract/progress.ts';
import { displayName } from '../../engine/change/relation.ts';
import type { TableInfo } from '../../engine/pg/catalog/tables.ts';
import type { Durable } from '../../engine/pipeline/stream-run.ts';
import type { StoredAccount } from '../../engine/target/account.ts';
import type { DoneChunk } from '../../engine/target/done-chunks.ts';
import type { ChunkLabel } from './copy-plan.ts';
import { TableLine } from './table-line.ts';

const POSTGRES_EPOCH_MS = 946_684_800_000;

export class ProgressBook {
  taskId = '';
  phase: Phase = 'connect';
  indexesDone = 0;
  indexesTotal = 0;
  copyMs = 0;
  streamMs = 0;
  lagBytes: bigint | null = null;
  private changes = 0n;
  private transactions = 0n;
  private newestCommitMs: number | null = null;
  private readonly lines = new Map<string, TableLine>();
  private readonly started = performance.now();

  register(tables: readonly TableInfo[]): void {
    for (const table of tables) this.lines.set(displayName(table), new TableLine(displayName(table), table));
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
    for (const line of this.lines.values()) line.stage = stage;
  }

  durable({ transactions, accounts, commitTime }: Durable): void {
    this.transactions += BigInt(transactions);
    if (commitTime !== null) this.newestCommitMs = Number(commitTime / 1000n) + POSTGRES_EPOCH_MS;
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
    return this.sum((line) => line.copied.rows);
  }

  get bytesCopied(): bigint {
    return this.sum((line) => line.copied.bytes);
  }

  private sum(of: (line: TableLine) => bigint): bigint {
    let total = 0n;
    for (const line of this.lines.values()) total += of(line);
    return total;
  }

  get tableCount(): number {
    return this.lines.size;
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

  /** Age of the newest applied commit while behind; 0 in step; null when nothing is known. */
  private get lagSeconds(): number | null {
    if (this.lagBytes === null) return null;
    if (this.lagBytes === 0n) return 0;
    return this.newestCommitMs === null
      ? null
      : Math.max(0, Math.round((Date.now() - this.newestCommitMs) / 100) / 10);
  }

  snapshot(): MigrationProgress {
    return {
      taskId: this.taskId,
      phase: this.phase,
      tables: [...this.lines.values()].map((line) => line.progress()),
      rowsCopied: this.rowsCopied,
      bytesCopied: this.bytesCopied,
      indexesDone: this.indexesDone,
      indexesTotal: this.indexesTotal,
      changesApplied: this.changes,
      transactionsApplied: this.transactions,
      lagBytes: this.lagBytes,
      lagSeconds: this.lagSeconds,
      elapsedMs: this.elapsedMs,
    };
  }
}
