/** The frame reader: what the network does to the borders of messages must not matter. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameReader } from './frames.ts';

interface Message {
  readonly type: number;
  readonly payload: Uint8Array;
}

const messages = fc.array(
  fc.record({
    type: fc.integer({ min: 1, max: 255 }),
    payload: fc.oneof(
      { weight: 4, arbitrary: fc.uint8Array({ maxLength: 12 }) },
      { weight: 1, arbitrary: fc.uint8Array({ minLength: 250, maxLength: 600 }) },
    ),
  }),
  { maxLength: 12 },
);
/** Lengths of the pieces that the bytes arrive in; what is left comes as one. */
const cuts = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 60 });

function encode(list: readonly Message[]): Buffer {
  return Buffer.concat(
    list.map(({ type, payload }) => {
      const head = Buffer.alloc(5);
      head.writeUInt8(type, 0);
      head.writeUInt32BE(payload.length + 4, 1);
      return Buffer.concat([head, payload]);
    }),
  );
}

/** Copies, so that a message cannot look whole by sharing memory with its neighbour. */
function cut(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let at = 0;
  for (const length of lengths) {
    if (at >= bytes.length) break;
    pieces.push(Buffer.from(bytes.subarray(at, at + length)));
    at += length;
  }
  if (at < bytes.length) pieces.push(Buffer.from(bytes.subarray(at)));
  return pieces;
}

function read(pieces: readonly Buffer[]): { list: Message[]; reader: FrameReader } {
  const list: Message[] = [];
  const reader = new FrameReader();
  for (const piece of pieces)
    reader.feed(piece, (type, payload) => list.push({ type, payload: new Uint8Array(payload) }));
  return { list, reader };
}

describe('the frame reader', () => {
  it('hands out the same messages wherever the bytes are cut', () => {
    fc.assert(
      fc.property(messages, cuts, (list, lengths) => {
        const { list: seen, reader } = read(cut(encode(list), lengths));
        expect(seen).toEqual(list);
        expect(reader.isPartial).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  it('hands out the same messages byte by byte', () => {
    fc.assert(
      fc.property(messages, (list) => {
        const bytes = encode(list);
        expect(read(cut(bytes, Array<number>(bytes.length).fill(1))).list).toEqual(list);
      }),
    );
  });

  it('is partial exactly when the bytes so far end inside a message', () => {
    fc.assert(
      fc.property(messages, (list) => {
        const bytes = encode(list);
        const ends = new Set([0]);
        let at = 0;
        for (const { payload } of list) ends.add((at += payload.length + 5));
        const reader = new FrameReader();
        for (let offset = 0; offset < bytes.length; offset++) {
          reader.feed(bytes.subarray(offset, offset + 1), () => {});
          expect(reader.isPartial).toBe(!ends.has(offset + 1));
        }
      }),
    );
  });

  it('never gives an end behind the message that is read, so feeding up to it delivers one message at most', () => {
    fc.assert(
      fc.property(messages, cuts, (list, lengths) => {
        const seen: Message[] = [];
        const reader = new FrameReader();
        for (const piece of cut(encode(list), lengths)) {
          for (let offset = 0; offset < piece.length;) {
            const before = seen.length;
            const end = reader.endOfMessage(piece, offset);
            expect(end).toBeGreaterThan(offset);
            expect(end).toBeLessThanOrEqual(piece.length);
            reader.feed(piece.subarray(offset, end), (type, payload) =>
              seen.push({ type, payload: new Uint8Array(payload) }),
            );
            expect(seen.length - before).toBeLessThanOrEqual(1);
            // A message that came to its end leaves nothing of the next one in the reader.
            if (seen.length > before) expect(reader.isPartial).toBe(false);
            offset = end;
          }
        }
        expect(seen).toEqual(list);
      }),
      { numRuns: 500 },
    );
  });
});
