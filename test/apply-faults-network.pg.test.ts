/** A network that breaks while changes are followed: it goes on by itself, and in the end each change has been applied once. */
import { describe, expect, it } from 'vitest';
import { breaking, disturbed, expectExact, openBooks, retries, writersOn } from './apply-faults.ts';
import { freshPair } from './database.ts';
import { follow, pause } from './follow.ts';
import { migrate } from './migration.ts';
import { proxyBefore } from './tcp-proxy.ts';
import { STREAM_TABLES } from '../scripts/faults/stream-tables.ts';

const SIDES = ['source', 'target'] as const;

describe.concurrent.each(SIDES)('connections to the %s', (side) => {
  it('that are cut again and again', async () => {
    await using pair = await freshPair(17, 18, STREAM_TABLES);
    const { proxy, options } = await proxyBefore(pair, side);
    await using _ = proxy;
    await disturbed(pair, {
      ...options,
      disturb: breaking(4, async () => {
        await proxy.until(() => true);
        proxy.cut();
      }),
    });
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
        const old = proxy.links();
        expect(proxy.silence()).toBeGreaterThan(0);
        while (retries(seen) === 0) await pause(20);
        // At last their ends hear of it, as by TCP keepalives.
        proxy.cut((link) => old.includes(link));
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
    const windows = new Set<bigint>();
    let transactions = 0n;
    const events = await disturbed(pair, {
      ...options,
      // Applied in order each transaction takes two round trips.
      load: { pauseMs: 100, shares: { bulk: 0.005, moves: 0 } },
      disturb: async ({ migration }) => {
        const applied = () => migration.progress().transactionsApplied;
        proxy.delay(200);
        const before = applied();
        windows.add(before);
        const watched = (async () => {
          for (; applied() < before + 60n; await pause(20)) windows.add(applied());
        })();
        // With a pause, in which the source says how far it has come.
        for (let n = 0; n < 60; n++) {
          await pair.source.session.query(`INSERT INTO written VALUES (-1, ${n})`);
          await pause(30);
        }
        await watched;
        transactions = applied() - before;
      },
    });
    expect(retries(events)).toBe(0);
    if (side === 'target') expect(transactions).toBeGreaterThan(2n * BigInt(windows.size));
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

it.concurrent('a stream that never comes to rest ends where it is told to', async () => {
  await using pair = await freshPair(18, 18, STREAM_TABLES);
  const { proxy, options } = await proxyBefore(pair, 'target');
  await using _ = proxy;
  const following = await follow(pair.source, pair.target, options);
  await using books = await openBooks(pair);
  // Something is always on its way to the target, and more has come before that is answered.
  proxy.delay(100);
  const writers = writersOn(pair.source, { pauseMs: 5, shares: { bulk: 0, moves: 0 } });
  await pause(2_000);
  expect((await following.catchUp()).outcome).toBe('caught-up');
  await writers.stop();
  await migrate(pair.source, pair.target);
  await expectExact(pair, books);
});
