/**
 * Reads a slot of test_decoding as changes. A transaction is handed out whole only after it is certain that the tables stood under their
 * names when it was made: at its COMMIT, where the catalog was read under a snapshot that does not see it, the names are looked at once
 * more. One look serves all transactions that are visible by then.
 */
import { AppError } from '../../../base/errors/app-error.ts';
import { sleep } from '../../../base/runtime/sleep.ts';
import type { Lsn } from '../../change/lsn.ts';
import type { Session } from '../session.ts';
import type { SlotStream, StreamItem } from '../slot/stream.ts';
import type { TestDecoder } from './decode.ts';
import type { Unjudged } from './known-tables.ts';
import { readPlacement, type WantedTable } from './described-table.ts';
import { isCommit, type TextMessage } from './text-message.ts';

const LOOK_AGAIN_MS = 20;

export interface TextReaderParts {
  readonly stream: SlotStream<TextMessage>;
  readonly decoder: TestDecoder;
  readonly control: Session;
  readonly tables: readonly WantedTable[];
}

export class TextReader implements AsyncDisposable {
  private readonly parts: TextReaderParts;
  /** A COMMIT whose transaction no look at the names has seen yet. */
  private held: TextMessage | null = null;
  private looking: Promise<void> | null = null;

  constructor(parts: TextReaderParts) {
    this.parts = parts;
  }

  takeQueued(): StreamItem | Unjudged | null {
    const { stream, decoder } = this.parts;
    const more = decoder.rest.shift();
    if (more) return more;
    const item = this.held ?? stream.takeQueued();
    if (item === null) return null;
    if (item.kind === 'keepalive') {
      decoder.passed(item.walEnd);
      return item;
    }
    const isSettled = !isCommit(item.text) || decoder.isSeen;
    this.held = isSettled ? null : item;
    return isSettled ? decoder.decode(item) : null;
  }

  async ready(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.held === null) return this.parts.stream.ready(signal);
    this.looking ??= this.look(signal).finally(() => (this.looking = null));
    await this.looking;
    signal.throwIfAborted();
  }

  private async look(signal: AbortSignal): Promise<void> {
    const { control, tables, decoder } = this.parts;
    const placement = await readPlacement(control, tables);
    if (placement.print !== decoder.print) throw new AppError('RELATION_STALE');
    decoder.look(placement.snapshot);
    // A commit may be in the log before anybody sees it, as while it waits for a standby.
    if (!decoder.isSeen) await sleep(LOOK_AGAIN_MS, signal);
  }

  confirm(lsn: Lsn): void {
    this.parts.stream.confirm(lsn);
  }

  askForPosition(): void {
    this.parts.stream.askForPosition();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.parts.stream[Symbol.asyncDispose]();
  }
}
