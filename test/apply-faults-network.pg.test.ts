/** A network that breaks while changes are followed: it goes on by itself, and in the end each change has been applied once. */
import { describe, expect, it } from 'vitest';
import { disturbed, retries } from './apply-faults.ts';
import { freshPair } from './database.ts';
import { pause } from './follow.ts';
import { proxyBefore } from './tcp-proxy.ts';
import { STREAM_TABLES } from '../scripts/faults/stream-tables.ts';

const SIDES = ['source', 'target'] as const;

describe.concurrent.each(SIDES)('connections to the %s', (side) => {
  it('that are cut again and again', async () => {
    await using pair = await freshPair(17, 18, STREAM_TABLES);
    const { proxy, options } = await proxyBefore(pair, side);
    await using _ = proxy;
    const events = await disturbed(pair, {
      ...options,
      disturb: async () => {
        for (let round = 0; round < 5; round++) {
          await proxy.until(({ received }) => received > 0);
          expect(proxy.cut()).toBeGreaterThan(0);
          await pause(100 + Math.random() * 700);
        }
      },
    });
    expect(retries(events)).toBeGreaterThan(1);
  });

  it('that are half-open: bytes vanish, and neither end hears of it', async () => {
    await using pair = await freshPair(18, 17, STREAM_TABLES);
    await pair.source.session.query(`ALTER DATABASE ${pair.source.name} SET wal_sender_timeout = '1s'`);
    const { proxy, options } = await proxyBefore(pair, side);
    await using _ = proxy;
    const events = await disturbed(pair, {
      ...options,
      silentMs: 500,
      disturb: async ({ events: seen }) => {
        expect(proxy.silence()).toBeGreaterThan(0);
        while (retries(seen) === 0) await pause(20);
      },
    });
    expect(retries(events)).toBeGreaterThan(0);
  });

  it('that are gone for seconds, old ones and new ones', async () => {
    await using pair = await freshPair(15, 17, STREAM_TABLES);
    await pair.source.session.query(`ALTER DATABASE ${pair.source.name} SET wal_sender_timeout = '1s'`);
    const { proxy, options } = await proxyBefore(pair, side, { connectTimeoutSeconds: 1 });
    await using _ = proxy;
    await disturbed(pair, {
      ...options,
      silentMs: 500,
      disturb: async () => {
        expect(proxy.silence({ newOnes: true })).toBeGreaterThan(0);
        await pause(4_000);
        proxy.heal();
      },
    });
  });

  it('that take 200 ms each way: windows grow, and the stream keeps up', async () => {
    await using pair = await freshPair(17, 17, STREAM_TABLES);
    const { proxy, options } = await proxyBefore(pair, side);
    await using _ = proxy;
    /** How much had been applied after each window. */
    const applied = new Set<number>();
    const events = await disturbed(pair, {
      ...options,
      // Applied in order each transaction takes two round trips.
      load: { shares: { bulk: 0.005, moves: 0 } },
      disturb: async ({ migration }) => {
        proxy.delay(200);
        for (let poll = 0; poll < 200; poll++) {
          applied.add(Number(migration.progress().transactionsApplied));
          await pause(20);
        }
      },
    });
    expect(retries(events)).toBe(0);
    const transactions = Math.max(...applied) - Math.min(...applied);
    if (side === 'target') expect(transactions).toBeGreaterThan(2 * (applied.size - 1));
    else expect(transactions).toBeGreaterThan(0);
  });
});

it.concurrent('answers of the target that vanish while commits arrive: what is committed is not applied again', async () => {
  await using pair = await freshPair(17, 18, STREAM_TABLES);
  const { proxy, options } = await proxyBefore(pair, 'target');
  await using _ = proxy;
  const events = await disturbed(pair, {
    ...options,
    silentMs: 400,
    disturb: async ({ events: seen }) => {
      for (let round = 1; round <= 2; round++) {
        const old = round === 1 ? [] : proxy.links();
        // One that applies: others say little.
        await proxy.until((link) => !old.includes(link) && link.sent > 20_000);
        expect(proxy.holdAnswers()).toBeGreaterThan(0);
        while (retries(seen) < round) await pause(20);
      }
    },
  });
  expect(retries(events)).toBeGreaterThan(1);
});
