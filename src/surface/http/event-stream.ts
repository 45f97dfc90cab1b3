/** An answer that goes on: server-sent events, sent as fast as the client takes them. One that takes nothing for a while is cut off. */
import type { FastifyReply } from 'fastify';
import { Readable } from 'node:stream';

export interface SentEvent {
  readonly id: string | null;
  readonly event: { readonly kind: string };
}

const STUCK_MS = 30_000;
/** A browser waits so long before it connects again. */
const RETRY_MS = 2_000;

/** `events` gives null where something must be sent for the connection to stay. */
export function sendEvents(
  reply: FastifyReply,
  events: AsyncIterable<SentEvent | null>,
  stuckMs = STUCK_MS,
): FastifyReply {
  const stream = Readable.from(lines(events), { objectMode: false, highWaterMark: 16 * 1024 });
  const { socket } = reply.raw;
  let passed = -1;
  const watch = setInterval(() => {
    const now = socket?.bytesWritten ?? 0;
    // What the system has taken and the client has not counts as written, once.
    if (reply.raw.writableNeedDrain && now === passed) socket?.destroy();
    passed = now;
  }, stuckMs);
  stream.once('close', () => clearInterval(watch));
  return reply.type('text/event-stream').header('x-accel-buffering', 'no').send(stream);
}

async function* lines(events: AsyncIterable<SentEvent | null>): AsyncGenerator<string, void> {
  yield `retry: ${RETRY_MS}\n\n`;
  for await (const sent of events) yield sent === null ? ': still here\n\n' : eventLines(sent);
}

function eventLines({ id, event }: SentEvent): string {
  const known = id === null ? '' : `id: ${id}\n`;
  return `${known}event: ${event.kind}\ndata: ${JSON.stringify(event)}\n\n`;
}
