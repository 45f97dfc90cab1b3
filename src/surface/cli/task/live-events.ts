/** Live events of a server, as a stream of bytes brings them. */
import { EVENT_OPERATIONS, type LiveEvent } from '../../../contract/api/event-operations.ts';

export interface SeenEvent {
  /** Where to go on from behind it; null: where it was. */
  readonly id: string | null;
  /** Null: only that the stream is alive. */
  readonly event: LiveEvent | null;
}

/** Ends with the stream. What a newer server tells and is not known here counts as a sign of life. */
export async function* readEvents(bytes: ReadableStream<Uint8Array>): AsyncGenerator<SeenEvent, void> {
  let text = '';
  for await (const part of bytes.pipeThrough(new TextDecoderStream())) {
    text += part;
    const blocks = text.split(/\r?\n\r?\n/);
    text = blocks.pop() ?? '';
    for (const block of blocks) yield eventIn(block);
  }
}

function eventIn(block: string): SeenEvent {
  const field = (name: string) => new RegExp(`^${name}: ?(.*)$`, 'm').exec(block)?.[1]?.trimEnd() ?? null;
  const parsed = EVENT_OPERATIONS['event.follow'].output.safeParse(parseJson(field('data') ?? ''));
  return { id: field('id'), event: parsed.success ? parsed.data : null };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
