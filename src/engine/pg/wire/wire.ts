/**
 * A connection's socket, taken over from the driver for raw traffic (COPY, replication, pipelined statements) and given back
 * when the server is ready for the next command. While it is taken the driver sees no byte.
 */
import type { Duplex } from 'node:stream';

export interface WireHandler {
  chunk(bytes: Buffer): void;
  /** Once, when the connection ends in any way; nothing follows. */
  closed(error: Error): void;
}

export class Wire {
  private handler: WireHandler | null = null;
  private endedBy: Error | null = null;
  /** Said by whoever uses it: the server is to say something now. */
  answerDue = false;
  private readonly socket: Duplex;
  private readonly giveBack: () => void;
  private readonly onData = (bytes: Buffer) => this.handler?.chunk(bytes);
  private readonly onError = (error: Error) => this.finish(error);
  private readonly onClose = () => this.finish(new Error('Connection terminated unexpectedly'));

  constructor(socket: Duplex, giveBack: () => void) {
    this.socket = socket;
    this.giveBack = giveBack;
    socket.on('data', this.onData);
    socket.on('error', this.onError);
    socket.on('close', this.onClose);
    if (socket.destroyed) this.endedBy = new Error('Connection terminated unexpectedly');
  }

  private finish(error: Error): void {
    if (this.endedBy) return;
    this.endedBy = error;
    this.handler?.closed(error);
  }

  /** Who receives the bytes from now on. Told at once if the connection is already gone. */
  listen(handler: WireHandler | null): void {
    this.handler = handler;
    if (handler && this.endedBy) handler.closed(this.endedBy);
  }

  /** False when the socket's buffer is full: wait for `onDrain` before writing much more. */
  write(bytes: Buffer): boolean {
    return this.socket.write(bytes);
  }

  /**
   * As `write`, of bytes that nobody looks at afterwards: once they are sent their memory is given back at once. Node reads into a new
   * buffer of 64 kB each time; waiting for the collector to free them costs a full collection every 30 MB.
   */
  give(bytes: Buffer): boolean {
    const { buffer } = bytes;
    // Nobody else has a view of it then; small buffers share theirs.
    const isWhole = buffer instanceof ArrayBuffer && buffer.byteLength === bytes.length;
    return isWhole ? this.socket.write(bytes, (error) => (error ? null : free(buffer))) : this.write(bytes);
  }

  onDrain(listener: () => void): void {
    this.socket.once('drain', listener);
  }

  /**
   * Leaves what arrives in the system's buffer until `letRead`, which then gives it in large pieces; `pause` goes on reading until the
   * stream's own buffer is full. Node offers this only on its handle: without it nothing is held.
   */
  holdReads(): void {
    this.handle()?.readStop?.();
  }

  letRead(): void {
    this.handle()?.readStart?.();
  }

  private handle(): { readStop?(): void; readStart?(): void } | null {
    return (this.socket as { _handle?: { readStop?(): void; readStart?(): void } })._handle ?? null;
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  /** Hands the socket back to the driver; only after ReadyForQuery. */
  release(): void {
    this.handler = null;
    this.socket.off('data', this.onData);
    this.socket.off('error', this.onError);
    this.socket.off('close', this.onClose);
    this.giveBack();
  }
}

/** https://tc39.es/ecma262/#sec-arraybuffer.prototype.transfer */
function free(buffer: ArrayBuffer): void {
  if (!buffer.detached) buffer.transfer(0);
}
