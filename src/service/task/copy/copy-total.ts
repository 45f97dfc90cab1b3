/** The full copy as a whole: what its tables come to, and how long the rest takes. */
import type { CopyProgress } from '../../../contract/progress.ts';
import { Pace } from './time-left.ts';
import type { TableLine } from './table-line.ts';

/** The first packets say little: rows are not alike, and what is on its way is measured by statistics. */
const TELLING_BYTES = 1_000_000;

export class CopyTotal {
  private readonly lines: readonly TableLine[];
  private readonly pace: Pace;

  /** Made when the copy begins: what was done before says nothing of its speed. */
  constructor(lines: readonly TableLine[]) {
    this.lines = lines;
    this.pace = new Pace({ atMs: performance.now(), done: this.work().done });
  }

  progress(): CopyProgress {
    const { done, total } = this.work();
    const moved = this.lines.map((line) => line.moved);
    return {
      share: total > 0 ? done / total : 1,
      rows: moved.reduce((sum, { rows }) => sum + rows, 0n),
      rowsEstimate: this.estimate((line) => line.rowsToCome),
      bytes: moved.reduce((sum, { bytes }) => sum + bytes, 0n),
      bytesEstimate: this.bytesEstimate(),
      chunksDone: this.lines.reduce((sum, { chunksDone }) => sum + chunksDone, 0),
      chunksTotal: this.lines.reduce((sum, { chunksTotal }) => sum + chunksTotal, 0),
      etaSeconds: this.pace.left({ atMs: performance.now(), done }, total),
    };
  }

  /** As bytes on disk; what a failed table lacks is not waited for. */
  private work(): { readonly done: number; readonly total: number } {
    let [done, total] = [0, 0];
    for (const line of this.lines) {
      const weight = Number(line.weight);
      const { share } = line;
      done += weight * share;
      total += weight * (line.stage === 'failed' ? share : 1);
    }
    return { done, total };
  }

  /** What a byte on disk has come to on its way so far stands for the tables that have not told themselves. */
  private bytesEstimate(): bigint | null {
    let [wire, disk] = [0, 0];
    for (const line of this.lines) {
      wire += Number(line.moved.bytes);
      disk += Number(line.diskBytes) * line.share;
    }
    const isTelling = disk > 0 && wire >= TELLING_BYTES;
    const wirePerDisk = isTelling ? wire / disk : null;
    return this.estimate((line) => line.bytesToCome(wirePerDisk));
  }

  private estimate(of: (line: TableLine) => bigint | null): bigint | null {
    let total = 0n;
    for (const line of this.lines) {
      const one = of(line);
      if (one === null) return null;
      total += one;
    }
    return total;
  }
}
