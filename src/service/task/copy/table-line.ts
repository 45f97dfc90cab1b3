/** What one table has come to in a running migration: its chunks, its rows, its changes. */
import type { TableProgress, TableStage } from '../../../contract/progress.ts';
import type { TableInfo } from '../../../engine/pg/catalog/tables/tables.ts';
import type { DoneChunk } from '../../../engine/target/books/done-chunks.ts';
import { Pace } from './time-left.ts';

/** How the progress book knows a chunk. */
export interface ChunkLabel {
  readonly table: string;
  readonly id: string;
}

interface Amount {
  readonly rows: bigint;
  readonly bytes: bigint;
}

interface Sums {
  /** Of this run, and of all. */
  readonly own: Amount;
  readonly all: Amount;
  readonly skipped: bigint;
}

const NOTHING: Amount = { rows: 0n, bytes: 0n };

/** A table costs round trips even when it is empty; as if it had so many bytes. */
const LEAST_WEIGHT = 64n * 1024n;
/** An attempt that runs on past what was expected is not done for that. */
const ALMOST = 0.99;
/** From here on what has passed of a table tells what all of it will come to. */
const TELLING_SHARE = 0.05;

export class TableLine {
  readonly table: string;
  stage: TableStage = 'waiting';
  format: 'binary' | 'text' | null = null;
  inserts = 0n;
  updates = 0n;
  deletes = 0n;
  chunksTotal = 1;
  /** Done in this run, and by an earlier one: shown together, but only the first count in this run's totals. */
  private readonly done = new Map<string, DoneChunk>();
  private earlier: readonly DoneChunk[] = [];
  /** Of the chunks; counted when somebody looks, since a table may have many. */
  private counted: Sums | null = null;
  /** Attempts under way, by chunk. */
  private readonly passing = new Map<string, Amount>();
  private pace: Pace | null = null;
  readonly rowsEstimate: bigint | null;
  /** On disk. */
  readonly diskBytes: bigint;

  constructor(table: string, { estimatedRows, bytes }: Pick<TableInfo, 'estimatedRows' | 'bytes'>) {
    this.table = table;
    this.diskBytes = bytes;
    // Servers before 14 say 0 of a table that was never analyzed.
    const isUnknown = estimatedRows < 0 || (estimatedRows === 0 && bytes > LEAST_WEIGHT);
    this.rowsEstimate = isUnknown ? null : BigInt(Math.round(estimatedRows));
  }

  /** What the books say now: chunks that were taken back are not done any more. */
  planned(chunks: readonly (DoneChunk | null)[]): void {
    const inBooks = new Set(chunks.map((chunk) => chunk?.id));
    for (const id of this.done.keys()) if (!inBooks.has(id)) this.done.delete(id);
    this.earlier = chunks.filter((chunk) => chunk !== null && !this.done.has(chunk.id)) as DoneChunk[];
    this.chunksTotal = chunks.length;
    this.passing.clear();
    this.pace = null;
    this.settle();
  }

  begin(id: string): void {
    this.pace ??= new Pace({ atMs: performance.now(), done: this.share });
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
    this.counted = null;
    if (this.stage === 'failed') return;
    const isCopied = this.chunksDone === this.chunksTotal;
    this.stage = isCopied ? 'copied' : this.passing.size > 0 ? 'copying' : 'waiting';
  }

  private get sums(): Sums {
    if (this.counted === null) {
      const own = sum(this.done.values());
      const skipped = this.chunks.reduce((total, chunk) => total + chunk.skipped, 0n);
      this.counted = { own, all: sum([own, ...this.earlier]), skipped };
    }
    return this.counted;
  }

  private get chunks(): readonly DoneChunk[] {
    return [...this.done.values(), ...this.earlier];
  }

  get chunksDone(): number {
    return this.done.size + this.earlier.length;
  }

  /** Rows and bytes that this run has copied; bytes on their way count, rows only once they are committed. */
  get copied(): Amount {
    const { rows, bytes } = this.sums.own;
    return { rows, bytes: bytes + sum(this.passing.values()).bytes };
  }

  /** Rows of the source that the target had already (conflict mode ignore). */
  get skipped(): bigint {
    return this.sums.skipped;
  }

  /** Some of it was read under a later snapshot than the slot's; where changes are followed. */
  get isLater(): boolean {
    return this.chunks.some(({ snapshot }) => snapshot !== null);
  }

  /** What it counts for in the copy as a whole. */
  get weight(): bigint {
    return this.diskBytes + LEAST_WEIGHT;
  }

  /** Between 0 and 1: how much of the table is done, chunks on their way counted by what they should hold. */
  get share(): number {
    let chunks = this.chunksDone;
    if (this.passing.size > 0) {
      const { rows, bytes } = this.chunkExpected;
      for (const amount of this.passing.values()) {
        // What is no table passes without rows.
        const byRows = rows > 0 && (amount.rows > 0n || bytes === 0);
        const share = byRows ? Number(amount.rows) / rows : bytes > 0 ? Number(amount.bytes) / bytes : 0;
        chunks += Math.min(ALMOST, share);
      }
    }
    return this.chunksTotal === 0 ? 1 : chunks / this.chunksTotal;
  }

  /** Rows as the chunks done so far had them, else as statistics have them; without any the bytes on disk are a rough measure. */
  private get chunkExpected(): { readonly rows: number; readonly bytes: number } {
    const { all, skipped } = this.sums;
    const measured = this.chunksDone > 0 ? Number(all.rows + skipped) / this.chunksDone : 0;
    const rows = measured > 0 ? measured : Number(this.rowsEstimate ?? 0n) / this.chunksTotal;
    return { rows, bytes: Number(this.diskBytes) / this.chunksTotal };
  }

  /** What its rows will come to by statistics; by what they are once it is copied, or failed; null when unknown. */
  get rowsToCome(): bigint | null {
    const { rows } = this.moved;
    if (this.share >= 1 || this.stage === 'failed') return rows;
    return this.rowsEstimate !== null && this.rowsEstimate < rows ? rows : this.rowsEstimate;
  }

  /** The same of its bytes, by what has passed of it, else by what others come to for each byte on disk; null when neither tells. */
  bytesToCome(wirePerDisk: number | null): bigint | null {
    const { bytes } = this.moved;
    const { share } = this;
    if (share >= 1 || this.stage === 'failed') return bytes;
    const perTable =
      share >= TELLING_SHARE
        ? Number(bytes) / share
        : wirePerDisk === null
          ? null
          : Number(this.diskBytes) * wirePerDisk;
    return perTable === null ? null : bytes + BigInt(Math.round(perTable * (1 - share)));
  }

  /** By this run and earlier ones, and on their way. */
  get moved(): Amount {
    return sum([this.sums.all, ...this.passing.values()]);
  }

  progress(): TableProgress {
    const { moved, share } = this;
    const now = { atMs: performance.now(), done: share };
    return {
      table: this.table,
      stage: this.stage,
      rows: moved.rows,
      bytes: moved.bytes,
      skipped: this.sums.skipped,
      format: this.format,
      chunksDone: this.chunksDone,
      chunksTotal: this.chunksTotal,
      share,
      rowsEstimate: this.rowsEstimate,
      bytesEstimate: this.bytesToCome(null),
      etaSeconds: this.stage === 'copying' ? (this.pace?.left(now, 1) ?? null) : null,
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
