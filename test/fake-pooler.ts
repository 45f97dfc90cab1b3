/** What may stand between us and a server, as a proxy on a port of its own: a pooler with process ids of its own, or a load balancer. */
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import type { ConnInfo } from '../src/engine/pg/conninfo/conninfo.ts';

export interface FakePooler extends AsyncDisposable {
  /** The same login, through the proxy. */
  through(info: ConnInfo): ConnInfo;
}

const BACKEND_KEY_DATA = 'K'.charCodeAt(0);
const READY_FOR_QUERY = 'Z'.charCodeAt(0);

/** `ports`: each connection goes to the next of them. `ownPids`: tells clients another process id than the server's. */
export async function fakePooler(ports: readonly number[], ownPids: boolean): Promise<FakePooler> {
  const sockets = new Set<Socket>();
  let next = 0;
  const server = createServer({ noDelay: true }, (client) => {
    const upstream = connect(ports[next++ % ports.length]!, '127.0.0.1');
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy()).on('close', () => other.destroy());
    }
    client.pipe(upstream);
    if (ownPids) passWithOtherPid(upstream, client);
    else upstream.pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    through: (info) => ({
      ...info,
      hosts: [{ host: '127.0.0.1', address: null, port, password: null }],
      ssl: { ...info.ssl, mode: 'disable' },
    }),
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Changes one message of the answer to the login and lets all else pass. */
function passWithOtherPid(upstream: Socket, client: Socket): void {
  let rest: Buffer | null = Buffer.alloc(0);
  upstream.on('data', (bytes: Buffer) => {
    if (rest === null) return void client.write(bytes);
    rest = Buffer.concat([rest, bytes]);
    while (rest !== null && rest.length >= 5 && rest.length > rest.readInt32BE(1)) {
      const message: Buffer = rest.subarray(0, 1 + rest.readInt32BE(1));
      rest = rest.subarray(message.length);
      if (message[0] === BACKEND_KEY_DATA) message.writeInt32BE(1, 5);
      client.write(message);
      if (message[0] !== READY_FOR_QUERY) continue;
      client.write(rest);
      rest = null;
    }
  });
}
