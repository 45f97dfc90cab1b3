/** The change stream against a walsender made of a few lines here: what a real one does only in bad hours. */
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { sleep } from '../../../base/runtime/sleep.ts';
import { lsnFrom } from '../../change/lsn.ts';
import { Session } from '../session.ts';
import { pgoutputDecoder } from '../pgoutput/decoder.ts';
import { SlotStream, type StreamItem } from './stream.ts';

const NEVER = new AbortController().signal;

function message(type: string, ...parts: readonly (Buffer | string)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part as string)));
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

function int64(value: bigint): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64BE(value);
  return buffer;
}

const walData = (start: bigint, data: Buffer | string) =>
  message('d', 'w', int64(start), int64(start), int64(0n), data);
const keepalive = (end: bigint, asks: boolean) =>
  message('d', 'k', int64(end), int64(0n), asks ? '\x01' : '\0');
const begin = (lsn: bigint) =>
  walData(lsn, Buffer.concat([Buffer.from('B'), int64(lsn), int64(0n), Buffer.from([0, 0, 0, 1])]));
const READY = message('Z', 'I');

interface Status {
  readonly written: bigint;
  readonly flushed: bigint;
  readonly applied: bigint;
}

/** A walsender that says only what the test makes it say. `statuses` are those received so far. */
interface Source extends AsyncDisposable {
  readonly statuses: readonly Status[];
  say(...messages: readonly Buffer[]): void;
  cut(): void;
  readonly stream: SlotStream;
}

async function start(walSenderTimeoutMs = 60_000): Promise<Source> {
  const statuses: Status[] = [];
  const streaming = Promise.withResolvers<Socket>();
  const server = createServer((socket) => {
    let step = 0;
    let rest: Buffer = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      step++;
      if (step === 1) socket.write(Buffer.concat([message('R', Buffer.alloc(4)), READY]));
      else if (step === 2) {
        socket.write(message('W', Buffer.alloc(3)));
        streaming.resolve(socket);
      } else {
        rest = Buffer.concat([rest, bytes]);
        for (
          ;
          rest.length >= 5 && rest.length > rest.readUInt32BE(1);
          rest = rest.subarray(rest.readUInt32BE(1) + 1)
        ) {
          if (rest[0] === 0x63) socket.write(Buffer.concat([message('c'), READY]));
          if (rest[0] === 0x64)
            statuses.push({
              written: rest.readBigUInt64BE(6),
              flushed: rest.readBigUInt64BE(14),
              applied: rest.readBigUInt64BE(22),
            });
        }
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const session = await Session.open({ host: '127.0.0.1', port, user: 'u', database: 'd' }, 'source');
  const stream = SlotStream.start(session, {
    slot: 's',
    decoder: pgoutputDecoder('p'),
    from: lsnFrom(100n),
    safe: lsnFrom(100n),
    walSenderTimeoutMs,
  });
  const socket = await streaming.promise;
  return {
    statuses,
    stream,
    say: (...messages) => socket.write(Buffer.concat(messages)),
    cut: () => socket.destroy(),
    [Symbol.asyncDispose]: async () => {
      await stream[Symbol.asyncDispose]();
      socket.destroy();
      server.close();
    },
  };
}

async function failureOf(stream: SlotStream): Promise<{ seen: StreamItem['kind'][]; thrown: unknown }> {
  const seen: StreamItem['kind'][] = [];
  for (;;) {
    try {
      seen.push((await stream.next(NEVER)).kind);
    } catch (thrown) {
      return { seen, thrown };
    }
  }
}

describe('a change stream', () => {
  it('hands out what came before a message that it cannot understand, then the failure, and nothing behind it', async () => {
    await using source = await start();
    source.say(begin(200n), walData(201n, '?'), begin(300n));
    await sleep(50);
    source.say(begin(400n), keepalive(500n, false));
    await sleep(50);
    const { seen, thrown } = await failureOf(source.stream);
    expect(seen).toEqual(['begin']);
    expect(thrown).toMatchObject({ code: 'STREAM_BROKEN' });
  });

  it('takes messages larger than all that may wait, one after the other', async () => {
    await using source = await start();
    const { stream } = source;
    const large = Buffer.concat([Buffer.from('M'), Buffer.alloc(20 * 1024 * 1024)]);
    for (const at of [1n, 2n, 3n]) source.say(begin(at), walData(at, large));
    for (const at of [1n, 2n, 3n]) {
      expect(await stream.next(NEVER)).toMatchObject({ kind: 'begin', finalLsn: lsnFrom(at) });
      expect(await stream.next(NEVER)).toEqual({ kind: 'other' });
    }
  });

  it('reports as flushed only what was confirmed, whatever it received', async () => {
    await using source = await start(1_000);
    source.say(begin(5_000n), keepalive(9_000n, true));
    await sleep(400);
    expect(source.statuses.length).toBeGreaterThan(0);
    for (const status of source.statuses)
      expect(status).toEqual({ written: 9_000n, flushed: 100n, applied: 100n });
    source.stream.confirm(lsnFrom(4_000n));
    source.stream.confirm(lsnFrom(3_000n));
    await sleep(500);
    expect(source.statuses.at(-1)).toEqual({ written: 9_000n, flushed: 4_000n, applied: 4_000n });
    expect(source.statuses.every(({ flushed }) => flushed === 100n || flushed === 4_000n)).toBe(true);
  });

  it('answers a source that asks, soon and although nobody reads', async () => {
    await using source = await start();
    expect(source.statuses).toEqual([]);
    source.say(keepalive(700n, true));
    await sleep(300);
    expect(source.statuses).toHaveLength(1);
  });

  it('keeps only the last of the keepalives that nobody has read yet', async () => {
    await using source = await start();
    source.say(keepalive(700n, false), keepalive(800n, false), begin(850n), keepalive(900n, false));
    await sleep(50);
    const items = [1, 2, 3].map(() => source.stream.takeQueued());
    expect(items).toMatchObject([
      { kind: 'keepalive', walEnd: 800n },
      { kind: 'begin', finalLsn: 850n },
      { kind: 'keepalive', walEnd: 900n },
    ]);
    expect(source.stream.takeQueued()).toBeNull();
  });

  it('gives a silent source up after two of its timeouts, having asked it before', async () => {
    await using source = await start(500);
    const { thrown } = await failureOf(source.stream);
    expect(thrown).toMatchObject({ code: 'SOURCE_SILENT' });
    expect(source.statuses.length).toBeGreaterThan(2);
  });

  it('ends with CONNECTION_LOST when the connection is cut, after what had come', async () => {
    await using source = await start();
    source.say(begin(200n));
    await sleep(50);
    source.cut();
    const { seen, thrown } = await failureOf(source.stream);
    expect(seen).toEqual(['begin']);
    expect(thrown).toMatchObject({ code: 'CONNECTION_LOST' });
  });

  it('ends with the error of the server when it gives one', async () => {
    await using source = await start();
    source.say(message('E', 'SERROR\0', 'C42704\0', 'Mpublication does not exist\0', '\0'));
    expect((await failureOf(source.stream)).thrown).toMatchObject({
      sqlstate: '42704',
      message: 'publication does not exist',
    });
  });

  it('reports its last position when it is closed', async () => {
    const source = await start();
    source.stream.confirm(lsnFrom(150n));
    await source[Symbol.asyncDispose]();
    expect(source.statuses.at(-1)).toEqual({ written: 150n, flushed: 150n, applied: 150n });
  });

  it('stops waiting when the signal aborts', async () => {
    await using source = await start();
    const reason = new Error('stop');
    await expect(source.stream.next(AbortSignal.abort(reason))).rejects.toBe(reason);
    const stop = new AbortController();
    const waiting = source.stream.next(stop.signal);
    stop.abort(reason);
    await expect(waiting).rejects.toBe(reason);
  });
});
