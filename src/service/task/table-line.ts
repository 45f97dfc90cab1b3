/** What one table has come to in a running migration: its chunks, its rows, its changes. */
import type { TableProgress, TableStage } from '../../contract/progress.ts';
import type { TableInfo } from '../../engine/pg/catalog/tables.ts';
import type { DoneChunk } from '../../engine/target/done-chunks.ts';

interface Amount {
  readonly rows: bigint;
  readonly bytes: bigint;
}

const NOTHING: Amount = { rows: 0n, bytes: 0n };

export class TableLine {
  stage: TableStage = 'waiting';
  format: 'binary' | 'text' | null = null;
  inserts = 0n;
  updates = 0n;
  deletes = 0n;
  private chunksTotal = 1;
  /** Done in this run, and by an earlier one: shown together, but only the first count in this run's totals. */
  private readonly done = new Map<string, DoneChunk>();
  private earlier: readonly DoneChunk[] = [];
  /** Attempts under way, by chunk. */
  private readonly passing = new Map<string, Amount>();
  private readonly table: string;
  private readonly rowsEstimate: bigint | null;
  /** On disk. */
  readonly bytesEstimate: bigint;

  constructor(table: string, { estimatedRows, bytes }: TableInfo) {
    this.table = table;
    this.rowsEstimate = estimatedRows < 0 ? null : BigInt(Math.round(estimatedRows));
    this.bytesEstimate = bytes;
  }

  /** What the books say now: chunks that were taken back are not done any more. */
  planned(chunks: readonly (DoneChunk | null)[]): void {
    const inBooks = new Set(chunks.map((chunk) => chunk?.id));
    for (const id of this.done.keys()) if (!inBooks.has(id)) this.done.delete(id);
    this.earlier = chunks.filter((chunk) => chunk !== null && !this.done.has(chunk.id)) as DoneChunk[];
    this.chunksTotal = chunks.length;
    this.passing.clear();
    this.settle();
  }

  begin(id: string): void {
    this.passing.set(id, NOTHING);
    this.stage = 'copying';
  }

  pass(id: string, { rows, bytes }: { rows: number; bytes: number }): void {
    const before = this.passing.get(id) ?? NOTHING;
    this.passing.set(id, { rows: before.rows + BigInt(rows), bytes: before.bytes + BigInt(bytes) });
  }

  void(id: string): void {
    this.passing.delete(id);
    this.settle();
  }

  finish(done: DoneChunk): void {
    this.passing.delete(done.id);
    this.done.set(done.id, done);
    this.settle();
  }

  private settle(): void {
    if (this.stage === 'failed') return;
    const isCopied = this.done.size + this.earlier.length === this.chunksTotal;
    this.stage = isCopied ? 'copied' : this.passing.size > 0 ? 'copying' : 'waiting';
  }

  /** Rows and bytes that this run has copied; bytes on their way count, rows only once they are committed. */
  get copied(): Amount {
    const done = sum(this.done.values());
    return { rows: done.rows, bytes: done.bytes + sum(this.passing.values()).bytes };
  }

  /** Between 0 and 1: how much of the table is done, chunks on their way counted by the rows they should have. */
  get share(): number {
    const perChunk = Number(this.rowsEstimate ?? 0n) / this.chunksTotal;
    let chunks = this.done.size + this.earlier.length;
    for (const { rows } of this.passing.values())
      chunks += perChunk > 0 ? Math.min(0.99, Number(rows) / perChunk) : 0;
    return chunks / this.chunksTotal;
  }

  progress(): TableProgress {
    const all = [...this.done.values(), ...this.earlier];
    const [settled, passing] = [sum(all), sum(this.passing.values())];
    return {
      table: this.table,
      stage: this.stage,
      rows: settled.rows + passing.rows,
      bytes: settled.bytes + passing.bytes,
      skipped: all.reduce((total, { skipped }) => total + skipped, 0n),
      format: this.format,
      chunksDone: all.length,
      chunksTotal: this.chunksTotal,
      rowsEstimate: this.rowsEstimate,
      inserts: this.inserts,
      updates: this.updates,
      deletes: this.deletes,
    };
  }
}

function sum(amounts: Iterable<Amount>): Amount {
  let { rows, bytes } = NOTHING;
  for (const amount of amounts) {
    rows += amount.rows;
    bytes += amount.bytes;
  }
  return { rows, bytes };
}
