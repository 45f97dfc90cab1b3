/** Applying changes at a limited rate (E4), changed while it runs. */
import { expect, it } from 'vitest';
import { freshPair } from './database.ts';
import { follow, pause } from './follow.ts';
import { compare } from './migration.ts';
import { NO_STREAM_LIMITS } from '../src/engine/pipeline/stream-throttle.ts';

it('keeps to its rows a second within five percent over ten seconds, in one large transaction too, and goes on at full speed when the limit is lifted', async () => {
  await using pair = await freshPair(17, 15, 'CREATE TABLE t (id int PRIMARY KEY, v text)');
  const { source, target } = pair;
  const running = await follow(source, target, {
    streamLimits: { rowsPerSecond: 2_000, bytesPerSecond: null },
  });
  const applied = () => Number(running.migration.progress().changesApplied);
  for (let from = 0; from < 40_000; from += 10)
    await source.session.query(`INSERT INTO t SELECT i, 'v' FROM generate_series(${from}, ${from + 9}) i`);
  await source.session.query("UPDATE t SET v = 'w' WHERE id < 10000");
  // Between two readings the clock that counts is that of the changes.
  while (applied() < 2_000) await pause(20);
  const [before, started] = [applied(), performance.now()];
  await pause(10_000);
  const rate = (applied() - before) / ((performance.now() - started) / 1000);
  expect(rate).toBeGreaterThan(1_900);
  expect(rate).toBeLessThan(2_100);
  running.migration.limitStream(NO_STREAM_LIMITS);
  await running.catchUp();
  expect((await compare(source, target)).differing).toEqual([]);
}, 60_000);
