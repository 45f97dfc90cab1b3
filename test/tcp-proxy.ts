/**
 * A network that can break, between a migration and one of its servers: forwards connections to a host and port, and cuts them, falls
 * silent, slows down or heals when a test says so.
 */
import { connect as dial, createServer, type AddressInfo, type Socket } from 'node:net';
import type { ConnInfo, Side } from '../src/engine/pg/conninfo/conninfo.ts';
import type { DatabasePair } from './database.ts';
import type { RunOptions } from './migration.ts';

/** One forwarded connection and what has passed on it. */
export interface ProxyLink {
  /** Bytes from client to server, and back. */
  readonly sent: number;
  readonly received: number;
}

export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** The same connection, by way of the proxy. */
  through(info: ConnInfo): ConnInfo;
  /** Ends connections with a reset, on both sides; returns how many. All of them unless told which. */
  cut(which?: (link: ProxyLink) => boolean): number;
  /**
   * Half-open: the sockets stay, no byte passes any more, and neither side hears when the other goes. Returns how many connections that
   * are. With `newOnes`, connections made from now on are accepted and silent too.
   */
  silence(options?: { which?: (link: ProxyLink) => boolean; newOnes?: boolean }): number;
  /** What the client sends still arrives, the answers do not; returns how many connections that are. */
  holdAnswers(which?: (link: ProxyLink) => boolean): number;
  /** The client is told by a reset that its connections are over, the server hears nothing; returns how many. */
  abandon(which?: (link: ProxyLink) => boolean): number;
  /** What was held back goes on. */
  heal(): void;
  /** At most so many bytes a second on each connection and in each direction; null is without limit. */
  limit(bytesPerSecond: number | null): void;
  /** From now on each byte arrives so much later, in each direction; not to be taken back. */
  delay(ms: number): void;
  links(): readonly ProxyLink[];
  /** Resolves once a connection is one of these. */
  until(which: (link: ProxyLink) => boolean): Promise<void>;
}

const TICK_MS = 20;

/** What the network does to each connection at the moment. */
interface Conditions {
  bytesPerSecond: number | null;
  delayMs: number;
}

class Link implements ProxyLink {
  sent = 0;
  received = 0;
  silent = false;
  readonly client: Socket;
  readonly server: Socket;
  private readonly timers = new Set<NodeJS.Timeout>();
  private readonly held = new Set<Socket>();

  constructor(client: Socket, server: Socket, conditions: Readonly<Conditions>) {
    this.client = client;
    this.server = server;
    this.forward(client, server, { count: (bytes) => (this.sent += bytes), conditions });
    this.forward(server, client, { count: (bytes) => (this.received += bytes), conditions });
  }

  private forward(
    from: Socket,
    to: Socket,
    { count, conditions }: { count: (bytes: number) => void; conditions: Readonly<Conditions> },
  ): void {
    from.on('data', (bytes) => {
      count(bytes.length);
      const { bytesPerSecond: limit, delayMs } = conditions;
      // Timers of equal length fire in the order in which they were set, so bytes keep theirs.
      if (delayMs > 0) {
        this.later(() => !to.destroyed && to.write(bytes), delayMs);
        return;
      }
      const isFull = !to.write(bytes);
      if (isFull) to.once('drain', () => this.resume(from));
      else if (limit !== null) this.later(() => this.resume(from), (bytes.length / limit) * 1000);
      if (isFull || limit !== null) from.pause();
    });
    from.on('end', () => this.later(() => to.end(), conditions.delayMs));
    from.on('error', () => reset(to));
    from.on('close', () => {
      if (!this.silent) this.later(() => to.destroy(), conditions.delayMs);
    });
  }

  private later(work: () => void, ms: number): void {
    if (ms === 0) {
      work();
      return;
    }
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      work();
    }, ms);
    this.timers.add(timer);
  }

  private resume(socket: Socket): void {
    if (this.silent) this.held.add(socket);
    else socket.resume();
  }

  silence(): void {
    this.silent = true;
    for (const socket of [this.client, this.server]) {
      this.held.add(socket);
      socket.pause();
    }
  }

  holdAnswers(): void {
    this.silent = true;
    this.held.add(this.server);
    this.server.pause();
  }

  heal(): void {
    this.silent = false;
    for (const socket of this.held) socket.resume();
    this.held.clear();
  }

  abandon(): void {
    this.silence();
    reset(this.client);
  }

  cut(): void {
    for (const timer of this.timers) clearTimeout(timer);
    reset(this.client);
    reset(this.server);
  }
}

/** A socket whose end waits behind unsent bytes cannot be reset: Node would keep it, and never end itself. */
function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

/** Listens on a port of its own. */
export async function startProxy(host: string, port: number): Promise<TcpProxy> {
  const links = new Set<Link>();
  const conditions: Conditions = { bytesPerSecond: null, delayMs: 0 };
  let isSilent = false;
  const listener = createServer((client) => {
    const server = dial(port, host);
    client.setNoDelay(true);
    server.setNoDelay(true);
    const link = new Link(client, server, conditions);
    links.add(link);
    client.once('close', () => {
      if (!link.silent) links.delete(link);
    });
    server.once('close', () => links.delete(link));
    if (isSilent) link.silence();
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const own = (listener.address() as AddressInfo).port;
  const chosen = (which: (link: ProxyLink) => boolean = () => true) => [...links].filter(which);
  const cut: TcpProxy['cut'] = (which) => {
    const some = chosen(which);
    for (const link of some) link.cut();
    return some.length;
  };
  return {
    port: own,
    through: (info) => ({
      ...info,
      hosts: info.hosts.map((one) => ({ ...one, host: '127.0.0.1', address: null, port: own })),
    }),
    cut,
    silence: ({ which, newOnes = false } = {}) => {
      isSilent = newOnes;
      const some = chosen(which);
      for (const link of some) link.silence();
      return some.length;
    },
    holdAnswers: (which) => {
      const some = chosen(which);
      for (const link of some) link.holdAnswers();
      return some.length;
    },
    abandon: (which) => {
      const some = chosen(which);
      for (const link of some) link.abandon();
      return some.length;
    },
    heal: () => {
      isSilent = false;
      for (const link of links) link.heal();
    },
    limit: (bytesPerSecond) => {
      conditions.bytesPerSecond = bytesPerSecond;
    },
    delay: (ms) => {
      conditions.delayMs = ms;
    },
    links: () => [...links],
    until: async (which) => {
      while (chosen(which).length === 0) await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    },
    [Symbol.asyncDispose]: async () => {
      cut();
      await new Promise<void>((resolve) => listener.close(() => resolve()));
    },
  };
}

/** The pair with a network between us and one side: `options` are those of a migration that goes through it. */
export async function proxyBefore(
  pair: Pick<DatabasePair, 'source' | 'target'>,
  side: Side,
  change: Partial<ConnInfo> = {},
): Promise<{ proxy: TcpProxy; options: RunOptions }> {
  const [host] = pair[side].info.hosts;
  const proxy = await startProxy('127.0.0.1', host?.port ?? 0);
  const info = { ...proxy.through(pair[side].info), ...change };
  return { proxy, options: side === 'source' ? { sourceInfo: info } : { targetInfo: info } };
}
