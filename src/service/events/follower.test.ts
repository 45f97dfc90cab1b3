import { describe, expect, it } from 'vitest';
import { Follower } from './follower.ts';

const gone = (number: number, taskId: string) => ({
  number,
  taskId,
  event: { kind: 'gone', id: taskId } as const,
});

describe('a client that reads slowly', () => {
  it('is told the newest of each task alone, in the order of the numbers, and that it knows all once it does', async () => {
    const follower = new Follower(null);
    const over = new AbortController();
    for (const [number, id] of ['a', 'b', 'c'].entries()) follower.tell(gone(number, id));
    const events = follower.events(over.signal);
    const next = async () => {
      const { value } = await events.next();
      return value && `${value.number} ${value.event.kind === 'gone' ? value.event.id : value.event.kind}`;
    };
    expect(await next()).toBe('0 a');
    for (let number = 10; number < 1000; number++) follower.tell(gone(number, 'b'));
    follower.tell(gone(1000, 'a'));
    expect([await next(), await next(), await next()]).toEqual(['2 c', '999 b', 'null ready']);
    expect(await next()).toBe('1000 a');
    const later = next();
    follower.tell(gone(1001, 'd'));
    expect(await later).toBe('1001 d');
    const last = events.next();
    over.abort();
    expect((await last).done).toBe(true);
  });
});
