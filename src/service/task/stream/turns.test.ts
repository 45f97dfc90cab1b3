/** Copy and stream take turns. */
import { describe, expect, it } from 'vitest';
import { Turns } from './turns.ts';

const never = new AbortController().signal;

describe('the turns of copy and stream', () => {
  it('end a pass soon when the stream asks, and let none begin before the stream has had its turn', async () => {
    const turns = new Turns();
    const said: string[] = [];
    const first = turns.copy(never, async (enough) => {
      await new Promise((resolve) => enough.addEventListener('abort', resolve));
      said.push('pass ends');
    });
    expect(turns.ask()).toBe(false);
    const second = turns.copy(never, async () => void said.push('next pass'));
    await first;
    expect(turns.ask()).toBe(true);
    await turns.between(async () => void said.push('stream'));
    await second;
    expect(said).toEqual(['pass ends', 'stream', 'next pass']);
  });

  it('wait for a pass that fails as for any other, and a turn that fails is over', async () => {
    const turns = new Turns();
    const pass = turns.copy(never, () => Promise.reject(new Error('pass')));
    const turn = turns.between(() => Promise.reject(new Error('turn')));
    await expect(pass).rejects.toThrow('pass');
    await expect(turn).rejects.toThrow('turn');
    expect(await turns.copy(never, () => Promise.resolve('next'))).toBe('next');
  });

  it('do not keep a copy waiting that is to stop', async () => {
    const turns = new Turns();
    turns.ask();
    const stop = new AbortController();
    const pass = turns.copy(stop.signal, () => Promise.resolve());
    stop.abort(new Error('stopped'));
    await expect(pass).rejects.toThrow('stopped');
  });
});
