/**
 * Where packed rows wait: a few large buffers, used again and again. Each where it came in would keep the 64 kB of a whole read alive for
 * one row, and as a string of its own it would be work for the collector, which took a third of our time.
 */
import { PackedRow } from './packed-row.ts';

const BLOCK_BYTES = 1024 * 1024;
/** Kept for the next rows. */
const KEPT_BLOCKS = 8;

export class RowArena {
  private readonly blocks: Buffer[] = [];
  private block = 0;
  private at = 0;

  /** The row, safe from whatever becomes of the bytes that it came in, until `clear`. */
  keep({ bytes, begin, end }: PackedRow): PackedRow {
    const size = end - begin;
    const block = this.roomFor(size);
    const { at } = this;
    bytes.copy(block, at, begin, end);
    this.at = at + size;
    return new PackedRow(block, at, at + size);
  }

  /** Forgets all rows: none of them may be looked at any more. */
  clear(): void {
    this.block = 0;
    this.at = 0;
    this.blocks.splice(KEPT_BLOCKS);
  }

  private roomFor(size: number): Buffer {
    for (;;) {
      const block = (this.blocks[this.block] ??= Buffer.allocUnsafeSlow(Math.max(BLOCK_BYTES, size)));
      if (this.at + size <= block.length) return block;
      this.block++;
      this.at = 0;
    }
  }
}
