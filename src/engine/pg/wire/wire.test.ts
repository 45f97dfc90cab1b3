/** What a taken socket does with the bytes it is given. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Wire } from './wire.ts';

const certificate = (name: string) => readFileSync(join(import.meta.dirname, '../../../../test/tls', name));

/** A wire, and the other end of its socket, which reads only when told. */
async function open(
  how: 'plain' | 'TLS' = 'plain',
): Promise<{ wire: Wire; far: Socket; [Symbol.dispose](): void }> {
  const isPlain = how === 'plain';
  const server = isPlain
    ? createServer({ pauseOnConnect: true })
    : createTlsServer({ key: certificate('server.key'), cert: certificate('server.crt') });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no address');
  const arrived = once(server, isPlain ? 'connection' : 'secureConnection');
  const where = { port: address.port, host: '127.0.0.1' };
  const near = isPlain ? connect(where) : connectTls({ ...where, rejectUnauthorized: false });
  const [far] = (await arrived) as [Socket];
  return {
    wire: new Wire(near, () => {}),
    far,
    [Symbol.dispose]: () => {
      near.destroy();
      far.destroy();
      server.close();
    },
  };
}

/** Bytes with a memory of their own, as they come from a socket. */
const alone = (length: number, byte: number) => Buffer.from(new ArrayBuffer(length)).fill(byte);

/** Reads until so many bytes are there. */
async function take(far: Socket, length: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let got = 0;
  far.on('data', (part) => {
    parts.push(part);
    got += part.length;
  });
  far.resume();
  while (got < length) await sleep(5);
  return Buffer.concat(parts);
}

describe('a wire that is given bytes', () => {
  it('gives their memory back once they are sent', async () => {
    using ends = await open();
    const bytes = alone(65_536, 7);
    ends.wire.give(bytes);
    const there = await take(ends.far, 65_536);
    expect(there.equals(alone(65_536, 7))).toBe(true);
    expect(bytes.length).toBe(0);
  });

  it.each(['plain', 'TLS'] as const)(
    'keeps them while they wait for the other end, and sends them whole (%s)',
    async (how) => {
      using ends = await open(how);
      const sent: Buffer[] = [];
      // More than the system takes while nobody reads.
      const count = 1_000;
      for (let at = 0; at < count; at++) {
        const bytes = alone(65_536, at % 251);
        sent.push(bytes);
        ends.wire.give(bytes);
      }
      await sleep(20);
      expect(sent.at(-1)?.length).toBe(65_536);
      const there = await take(ends.far, count * 65_536);
      for (let at = 0; at < count; at++) {
        const part = there.subarray(at * 65_536, (at + 1) * 65_536);
        if (!part.equals(alone(65_536, at % 251))) throw new Error(`piece ${at} differs`);
      }
      expect(sent.at(-1)?.length).toBe(0);
    },
  );

  it('leaves memory alone that others look at', async () => {
    using ends = await open();
    const whole = alone(4_096, 1);
    ends.wire.give(whole.subarray(0, 1_024));
    ends.wire.give(whole.subarray(1_024));
    await take(ends.far, 4_096);
    await sleep(5);
    expect(whole.length).toBe(4_096);
  });

  it('leaves the bytes of a connection that ended alone', async () => {
    using ends = await open();
    const bytes = alone(65_536, 3);
    ends.wire.listen({ chunk: () => {}, closed: () => {} });
    for (let at = 0; at < 300; at++) ends.wire.give(alone(65_536, 4));
    ends.wire.give(bytes);
    ends.far.destroy();
    await sleep(50);
    expect(bytes.every((byte) => byte === 3)).toBe(true);
    expect(bytes.length).toBe(65_536);
  });
});
