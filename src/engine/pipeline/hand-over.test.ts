/** What is given to the target while the stream goes on. */
import { describe, expect, it } from 'vitest';
import { HandOver } from './hand-over.ts';

describe('handing over', () => {
  it('lets one piece of work run while the giver goes on, and begins the next behind it', async () => {
    const events: string[] = [];
    const first = Promise.withResolvers<void>();
    const target = new HandOver();
    await target.give(async () => {
      events.push('first begins');
      await first.promise;
      events.push('first ends');
    });
    expect(target.isBusy).toBe(true);
    const giving = target.give(async () => {
      events.push('second begins');
      await Promise.resolve();
    });
    await Promise.resolve();
    events.push('giver waits');
    first.resolve();
    await giving;
    await target.settled();
    expect(target.isBusy).toBe(false);
    expect(events).toEqual(['first begins', 'giver waits', 'first ends', 'second begins']);
  });

  it('tells a failure to everybody who comes later, and begins nothing behind it', async () => {
    const failure = new Error('refused');
    const target = new HandOver();
    await target.give(() => Promise.reject(failure));
    let began = false;
    const next = target.give(async () => {
      began = true;
      await Promise.resolve();
    });
    await expect(next).rejects.toBe(failure);
    await expect(target.settled()).rejects.toBe(failure);
    expect(began).toBe(false);
    expect(target.isBusy).toBe(true);
    expect(await target.end()).toBe(failure);
    expect(await new HandOver().end()).toBeNull();
  });
});
