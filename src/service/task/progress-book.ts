/** Counts what a running migration does, in memory, for whoever looks; the truth that survives is in the target. */
import type { MigrationProgress, Phase, TableProgress, TableStage } from '../../contract/progress.ts';
import { displayName } from '../../engine/change/relation.ts';
import type { TableInfo } from '../../engine/pg/catalog/tables.ts';
import type { Durable } from '../../engine/pipeline/stream-run.ts';
import type { StoredAccount } from '../../engine/target/account.ts';

interface Line {
  stage: TableStage;
  rows: bigint;
  bytes: bigint;
  /** Copied by an earlier run: shown, but not part of this run's totals. */
  isEarlier: boolean;
  /** Of the attempt under way. */
  passing: bigint;
  readonly rowsEstimate: bigint | null;
  inserts: bigint;
  updates: bigint;
  deletes: bigint;
}

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
  private readonly lines = new Map<string, Line>();
  private readonly started = performance.now();

  register(tables: readonly TableInfo[]): void {
    for (const table of tables) {
      const rowsEstimate = table.estimatedRows < 0 ? null : BigInt(Math.round(table.estimatedRows));
      this.lines.set(displayName(table), {
        stage: 'waiting',
        rows: 0n,
        bytes: 0n,
        isEarlier: false,
        passing: 0n,
        rowsEstimate,
        inserts: 0n,
        updates: 0n,
        deletes: 0n,
      });
    }
  }

  /** Changes applied by earlier runs belong to the tables' lines, not to this run's totals. */
  restore(accounts: readonly StoredAccount[]): void {
    for (const account of accounts) {
      const line = this.lines.get(account.table);
      if (line)
        Object.assign(line, { inserts: account.inserts, updates: account.updates, deletes: account.deletes });
    }
  }

  copying(table: string): void {
    this.update(table, (line) => (line.stage = 'copying'));
  }

  passing(table: string, bytes: number): void {
    this.update(table, (line) => (line.passing += BigInt(bytes)));
  }

  voided(table: string): void {
    this.update(table, (line) => {
      line.passing = 0n;
      line.stage = 'waiting';
    });
  }

  copied(table: string, rows: bigint, bytes: bigint): void {
    this.update(table, (line) => Object.assign(line, { stage: 'copied', rows, bytes, passing: 0n }));
  }

  copiedEarlier(table: string, rows: bigint, bytes: bigint): void {
    this.update(table, (line) => {
      // What this run copied itself stays its own.
      if (line.stage === 'waiting') Object.assign(line, { stage: 'copied', rows, bytes, isEarlier: true });
    });
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

  private update(table: string, change: (line: Line) => void): void {
    const line = this.lines.get(table);
    if (line) change(line);
  }

  get rowsCopied(): bigint {
    return this.sum((line) => (line.isEarlier ? 0n : line.rows));
  }

  get bytesCopied(): bigint {
    return this.sum((line) => (line.isEarlier ? 0n : line.bytes + line.passing));
  }

  private sum(of: (line: Line) => bigint): bigint {
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
    const tables = [...this.lines].map(([table, line]): TableProgress => {
      const { stage, rows, rowsEstimate, inserts, updates, deletes } = line;
      return {
        table,
        stage,
        rows,
        bytes: line.bytes + line.passing,
        rowsEstimate,
        inserts,
        updates,
        deletes,
      };
    });
    return {
      taskId: this.taskId,
      phase: this.phase,
      tables,
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
