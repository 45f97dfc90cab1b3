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
  // All is written before the source has sent much of it, however slow its disk is.
  await source.session.query('SET synchronous_commit = off');
  await source.session.query(
    `DO $$ BEGIN FOR i IN 0..3999 LOOP INSERT INTO t SELECT g, 'v' FROM generate_series(i * 10, i * 10 + 9) g; COMMIT; END LOOP; END $$`,
  );
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
