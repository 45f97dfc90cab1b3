/** The queue of a stream: what the network does to the borders of messages must not matter, and nothing may be held longer than needed. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MessageQueue } from './message-queue.ts';

interface Message {
  readonly type: number;
  readonly payload: readonly number[];
}

const messages = fc.array(
  fc.record({
    type: fc.integer({ min: 1, max: 255 }),
    payload: fc.oneof(
      { weight: 4, arbitrary: fc.array(fc.nat(255), { maxLength: 12 }) },
      { weight: 1, arbitrary: fc.array(fc.nat(255), { minLength: 250, maxLength: 600 }) },
    ),
  }),
  { maxLength: 12 },
);
/** Lengths of the chunks that the bytes arrive in, and how many messages are taken after each. */
const steps = fc.array(fc.tuple(fc.integer({ min: 1, max: 40 }), fc.nat(3)), { maxLength: 60 });

function encode(list: readonly Message[]): Buffer {
  return Buffer.concat(
    list.map(({ type, payload }) => {
      const head = Buffer.alloc(5);
      head.writeUInt8(type, 0);
      head.writeUInt32BE(payload.length + 4, 1);
      return Buffer.concat([head, Buffer.from(payload)]);
    }),
  );
}

function taken(queue: MessageQueue): Message {
  return { type: queue.type, payload: [...queue.bytes.subarray(queue.start, queue.end)] };
}

describe('a queue of messages', () => {
  it('hands out the same messages wherever the bytes are cut and whenever they are taken', () => {
    fc.assert(
      fc.property(messages, steps, (list, cuts) => {
        const bytes = encode(list);
        const queue = new MessageQueue();
        const told: number[] = [];
        const seen: Message[] = [];
        let at = 0;
        let length = 0;
        for (const [cut, takes] of [...cuts, [bytes.length, list.length] as const]) {
          const chunk = Buffer.from(bytes.subarray(at, at + cut));
          at += chunk.length;
          queue.push(chunk, (message, begin) => told.push(message[begin] ?? 0));
          for (let take = 0; take < takes && queue.next(); take++) {
            seen.push(taken(queue));
            length += 5 + queue.end - queue.start;
          }
          expect(queue.size).toBe(at - length);
          expect(queue.isEmpty).toBe(seen.length === told.length);
        }
        expect(seen).toEqual(list);
        expect(told).toEqual(list.map(({ type }) => type));
      }),
      { numRuns: 500 },
    );
  });

  it('shows what comes next without taking it', () => {
    const queue = new MessageQueue();
    const [first, second] = [encode([{ type: 1, payload: [10] }]), encode([{ type: 2, payload: [20] }])];
    queue.push(Buffer.concat([first, first]), () => {});
    queue.push(second, () => {});
    queue.next();
    expect(queue.peek()).toEqual({ type: 1, kind: 10 });
    queue.next();
    expect(queue.peek()).toEqual({ type: 2, kind: 20 });
    queue.next();
    expect(queue.peek()).toEqual({ type: 0, kind: 0 });
  });

  it('forgets all that was not taken, half a message too', () => {
    const queue = new MessageQueue();
    const message = encode([{ type: 1, payload: [1, 2, 3] }]);
    queue.push(Buffer.concat([message, message, message.subarray(0, 6)]), () => {});
    queue.next();
    queue.clear();
    expect([queue.next(), queue.size, queue.isEmpty]).toEqual([false, 0, true]);
    queue.push(message, () => {});
    expect(queue.next()).toBe(true);
    expect(taken(queue)).toEqual({ type: 1, payload: [1, 2, 3] });
  });
});
