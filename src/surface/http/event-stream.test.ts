/** A client that takes nothing is cut off; one that takes slowly is not. */
import { connect, type AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { fastify } from 'fastify';
import { expect, it } from 'vitest';
import { sendEvents } from './event-stream.ts';

it('cuts off whoever takes nothing, and whoever takes little gets all in its order', async () => {
  const made = new Map<string, number>();
  const ends = new Map<string, PromiseWithResolvers<void>>([
    ['/stuck', Promise.withResolvers()],
    ['/slow', Promise.withResolvers()],
  ]);
  async function* events(of: string) {
    try {
      for (let number = 0; number < (of === '/slow' ? 300 : 100_000); number++) {
        made.set(of, number);
        yield { id: String(number), event: { kind: 'x', filler: 'x'.repeat(50_000) } };
      }
    } finally {
      ends.get(of)?.resolve();
    }
  }
  const app = fastify();
  app.get('/:which', (request, reply) => sendEvents(reply, events(request.url), 400));
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  const ask = (path: string) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    return socket;
  };
  const stuck = ask('/stuck').pause();
  const slow = ask('/slow');
  let text = '';
  slow.on('data', (bytes) => {
    text += bytes.toString('latin1').replaceAll(/x{10,}/g, '');
    slow.pause();
    void delay(2).then(() => slow.resume());
  });
  await Promise.all([...ends.values()].map(({ promise }) => promise));
  await expect.poll(() => text, { timeout: 20_000 }).toContain('id: 299\n');
  expect([...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id))).toEqual([...Array(300).keys()]);
  // Nothing was made that had nowhere to go.
  expect(made.get('/stuck')).toBeLessThan(1000);
  stuck.destroy();
  slow.destroy();
  await app.close();
}, 60_000);
