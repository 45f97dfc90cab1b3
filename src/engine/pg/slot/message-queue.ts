/**
 * The messages of a stream between the socket and whoever takes them: kept as the bytes that came, so that what waits costs no more than
 * its length. Chunks are cut where a message ends; a message that lies in several is put together.
 */
const HEADER = 5;

export class MessageQueue {
  /** Where the message taken last lies: `bytes[start]` is the first byte behind its header. */
  bytes: Buffer = Buffer.alloc(0);
  start = 0;
  end = 0;
  /** Type byte of the message taken last. */
  type = 0;
  /** Of whole messages only. What was taken is given up at once: a large row must not stay until the next compaction. */
  private pieces: (Buffer | null)[] = [];
  private head = 0;
  private unread = 0;
  /** The beginning of a message: exactly its own length once the header is known. */
  private partial: Buffer | null = null;
  private filled = 0;

  /** Bytes held. */
  get size(): number {
    return this.unread + this.filled;
  }

  /** Of them, the bytes of messages that can be taken. */
  get whole(): number {
    return this.unread;
  }

  /** Length of the message that has begun; 0 where that is not known. */
  get coming(): number {
    return this.partial !== null && this.partial.length > HEADER ? this.partial.length : 0;
  }

  /** Takes a chunk in; `onMessage` is told of each message that is now whole: where it begins, header included. */
  push(chunk: Buffer, onMessage: (bytes: Buffer, at: number) => void): void {
    let offset = 0;
    while (this.partial !== null && offset < chunk.length)
      offset = this.fill(this.partial, chunk, offset, onMessage);
    let end = offset;
    while (end + HEADER <= chunk.length) {
      const next = end + 1 + chunk.readUInt32BE(end + 1);
      if (next > chunk.length) break;
      onMessage(chunk, end);
      end = next;
    }
    if (end > offset) this.keep(chunk.subarray(offset, end));
    if (end === chunk.length) return;
    const left = chunk.length - end;
    this.partial = Buffer.allocUnsafe(left < HEADER ? HEADER : 1 + chunk.readUInt32BE(end + 1));
    this.filled = chunk.copy(this.partial, 0, end);
  }

  /** Moves on to the next whole message; false when there is none. */
  next(): boolean {
    if (this.end >= this.bytes.length && !this.nextPiece()) return false;
    const { bytes, end } = this;
    this.type = bytes[end] ?? 0;
    this.start = end + HEADER;
    this.end = end + 1 + bytes.readUInt32BE(end + 1);
    this.unread -= this.end - end;
    return true;
  }

  /** Type byte and first byte of the message that `next` would move on to; 0 where there is none. */
  peek(): { readonly type: number; readonly kind: number } {
    const isHere = this.end < this.bytes.length;
    const bytes = isHere ? this.bytes : this.pieces[this.head];
    const at = isHere ? this.end : 0;
    return { type: bytes?.[at] ?? 0, kind: bytes?.[at + HEADER] ?? 0 };
  }

  get isEmpty(): boolean {
    return this.unread === 0;
  }

  /** Forgets everything that has not been taken. */
  clear(): void {
    this.pieces = [];
    this.head = 0;
    this.unread = 0;
    this.filled = 0;
    this.partial = null;
    this.end = this.bytes.length;
  }

  private keep(piece: Buffer): void {
    this.pieces.push(piece);
    this.unread += piece.length;
  }

  private nextPiece(): boolean {
    const piece = this.pieces[this.head];
    if (!piece) return false;
    this.pieces[this.head++] = null;
    if (this.head === this.pieces.length || this.head > 1024) {
      this.pieces = this.pieces.slice(this.head);
      this.head = 0;
    }
    this.bytes = piece;
    this.end = 0;
    return true;
  }

  private fill(
    partial: Buffer,
    chunk: Buffer,
    offset: number,
    onMessage: (bytes: Buffer, at: number) => void,
  ): number {
    const taken = chunk.copy(partial, this.filled, offset, offset + partial.length - this.filled);
    this.filled += taken;
    if (this.filled < partial.length) return offset + taken;
    const total = 1 + partial.readUInt32BE(1);
    if (total > partial.length) {
      // Only the header was known so far: grow to the whole message.
      this.partial = Buffer.allocUnsafe(total);
      partial.copy(this.partial);
    } else {
      this.partial = null;
      this.filled = 0;
      onMessage(partial, 0);
      this.keep(partial);
    }
    return offset + taken;
  }
}
