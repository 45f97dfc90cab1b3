/** The network of one worker: what servers send it passes at so many bytes a second, over all its connections together. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { emptyBucket, spend, waitMs } from '../../../src/base/runtime/token-bucket.ts';

export interface NarrowRelay extends AsyncDisposable {
  /** The URI of a database as the worker reaches it. */
  through(uri: string): string;
}

export async function narrowRelay(server: string, bytesPerSecond: number): Promise<NarrowRelay> {
  const { hostname, port } = new URL(server);
  let bucket = emptyBucket(bytesPerSecond, performance.now());
  const open = new Set<Socket>();
  const listener = createServer((client) => {
    const there = connect(Number(port), hostname);
    for (const [from, to] of [
      [client, there],
      [there, client],
    ] as const) {
      open.add(from.setNoDelay(true));
      from.on('data', (bytes) => {
        const now = performance.now();
        if (from === there) bucket = spend(bucket, bytes.length, now);
        const wait = from === there ? waitMs(bucket, now) : 0;
        const isFull = !to.write(bytes);
        if (!isFull && wait === 0) return;
        from.pause();
        if (isFull) to.once('drain', () => from.resume());
        else setTimeout(() => from.resume(), wait);
      });
      from.on('end', () => to.end());
      from.on('error', () => to.destroy());
      from.on('close', () => open.delete(from));
    }
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const own = (listener.address() as AddressInfo).port;
  return {
    through: (uri) => {
      const url = new URL(uri);
      url.port = String(own);
      return url.href;
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of open) socket.destroy();
      await new Promise<void>((resolve) => listener.close(() => resolve()));
    },
  };
}
