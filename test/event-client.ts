/** A client of the event stream, as a browser is one: it reads what comes and remembers the last id. */

export interface SeenEvent {
  readonly id: string | null;
  /** The document; tests look into it as they like. */
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly data: any;
}

export interface EventClient extends AsyncDisposable {
  readonly status: number;
  readonly events: readonly SeenEvent[];
  readonly lastId: string | null;
  /** Resolves when the stream has ended, however. */
  readonly ended: Promise<void>;
  /** Waits until the events satisfy it. */
  until(isEnough: (events: readonly SeenEvent[]) => boolean, ms?: number): Promise<void>;
}

export interface EventRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly lastId?: string | null;
}

export async function followEvents({ url, headers, lastId = null }: EventRequest): Promise<EventClient> {
  const stop = new AbortController();
  const response = await fetch(url, {
    headers: { ...headers, ...(lastId === null ? {} : { 'last-event-id': lastId }) },
    signal: stop.signal,
  });
  const events: SeenEvent[] = [];
  let waiting = Promise.withResolvers<void>();
  const seen = { lastId, isOver: false };
  const read = async () => {
    let text = '';
    const decoder = new TextDecoder();
    for await (const bytes of response.body ?? []) {
      text += decoder.decode(bytes, { stream: true });
      const blocks = text.split('\n\n');
      text = blocks.pop() ?? '';
      for (const block of blocks) {
        const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1];
        const data = field('data');
        if (data === undefined) continue;
        const id = field('id') ?? null;
        if (id !== null) seen.lastId = id;
        events.push({ id, data: JSON.parse(data) });
      }
      waiting.resolve();
      waiting = Promise.withResolvers();
    }
  };
  const ended = read()
    .catch(() => {})
    .then(() => {
      seen.isOver = true;
      waiting.resolve();
    });
  return {
    status: response.status,
    events,
    get lastId() {
      return seen.lastId;
    },
    ended,
    until: async (isEnough, ms = 30_000) => {
      const deadline = Date.now() + ms;
      while (!isEnough(events)) {
        if (seen.isOver || Date.now() > deadline)
          throw new Error(
            `${seen.isOver ? 'ended' : 'waited too long'} after ${JSON.stringify(events.slice(-5))}`,
          );
        const timer = Promise.withResolvers<void>();
        const timeout = setTimeout(timer.resolve, 200);
        await Promise.race([waiting.promise, timer.promise]);
        clearTimeout(timeout);
      }
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await ended;
    },
  };
}
