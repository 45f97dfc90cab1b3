/**
 * Cuts a byte stream into protocol messages (type byte, length, payload) without copying where a message lies in one chunk.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */

/** Called once per message; `payload` is a view that stays valid. */
export type OnFrame = (type: number, payload: Buffer) => void;

const HEADER = 5;

export class FrameReader {
  /** An unfinished message: exactly its own length once the header is known. */
  private partial: Buffer | null = null;
  private filled = 0;

  feed(chunk: Buffer, onFrame: OnFrame): void {
    let offset = 0;
    while (offset < chunk.length) {
      if (this.partial) {
        offset = this.continuePartial(this.partial, chunk, offset, onFrame);
        continue;
      }
      const left = chunk.length - offset;
      const total = left >= HEADER ? 1 + chunk.readUInt32BE(offset + 1) : 0;
      if (total === 0 || total > left) {
        this.partial = Buffer.allocUnsafe(total === 0 ? HEADER : total);
        this.filled = chunk.copy(this.partial, 0, offset);
        return;
      }
      onFrame(chunk[offset] ?? 0, chunk.subarray(offset + HEADER, offset + total));
      offset += total;
    }
  }

  get isPartial(): boolean {
    return this.partial !== null;
  }

  /** Where in `chunk` the message ends that begins at `offset` or is unfinished; the chunk's end where that is not known yet. */
  endOfMessage(chunk: Buffer, offset: number): number {
    if (this.partial && this.partial.length > HEADER)
      return Math.min(chunk.length, offset + this.partial.length - this.filled);
    if (this.partial) return Math.min(chunk.length, offset + HEADER - this.filled);
    if (chunk.length - offset < HEADER) return chunk.length;
    return Math.min(chunk.length, offset + 1 + chunk.readUInt32BE(offset + 1));
  }

  private continuePartial(partial: Buffer, chunk: Buffer, offset: number, onFrame: OnFrame): number {
    const taken = chunk.copy(
      partial,
      this.filled,
      offset,
      Math.min(chunk.length, offset + partial.length - this.filled),
    );
    this.filled += taken;
    if (this.filled < partial.length) return offset + taken;
    const total = 1 + partial.readUInt32BE(1);
    if (total > partial.length) {
      // Only the header was known so far: grow to the whole message.
      this.partial = Buffer.allocUnsafe(total);
      partial.copy(this.partial);
    } else {
      this.partial = null;
      onFrame(partial[0] ?? 0, partial.subarray(HEADER));
    }
    return offset + taken;
  }
}
