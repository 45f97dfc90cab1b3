/** What a migration tells of itself while it runs and at its end. */
import { expect, it } from 'vitest';
import type { CopyProgress } from '../src/contract/progress.ts';
import { freshDatabase } from './database.ts';
import { pause } from './follow.ts';
import { start } from './migration.ts';

const ROWS = 200_000;

it('the copy tells its share, rising to all, and a time left once it has gone on for a while', async () => {
  await using source = await freshDatabase(17);
  await using target = await freshDatabase(18);
  await source.session.query(`
    CREATE TABLE public.big (id int PRIMARY KEY, v text);
    INSERT INTO public.big SELECT i, 'value ' || i FROM generate_series(1, ${ROWS}) i;
    CREATE TABLE public.small (id int);
    INSERT INTO public.small VALUES (1);
    ANALYZE`);
  const migration = start(source, target, {
    types: ['schema', 'full'],
    // About eight seconds.
    limits: { queriesPerSecond: null, rowsPerSecond: ROWS / 8, bytesPerSecond: null },
  });
  const seen: CopyProgress[] = [];
  let isOver = false;
  void migration.finished.finally(() => (isOver = true));
  while (!isOver) {
    const { copy } = migration.progress();
    if (copy) seen.push(copy);
    await pause(100);
  }
  await migration.finished;
  seen.push(migration.progress().copy!);
  expect(seen.map(({ share }) => share)).toEqual(seen.map(({ share }) => share).toSorted((a, b) => a - b));
  expect(seen[0]).toMatchObject({ etaSeconds: null, rowsEstimate: BigInt(ROWS + 1), chunksTotal: 2 });
  const told = seen.filter(({ etaSeconds, share }) => etaSeconds !== null && share < 1);
  expect(told.length).toBeGreaterThan(3);
  // About three seconds are left when it is told first.
  for (const { etaSeconds } of told) expect(etaSeconds!.high).toBeLessThan(60);
  expect(seen.at(-1)).toMatchObject({ share: 1, rows: BigInt(ROWS + 1), etaSeconds: { low: 0, high: 0 } });
  expect(seen.at(-1)!.bytesEstimate).toBe(seen.at(-1)!.bytes);
});

it('the summary tells the formats, and the rows that the target kept for itself', async () => {
  await using source = await freshDatabase(15);
  await using target = await freshDatabase(18);
  await source.session.query(`
    CREATE TABLE public.item (id int PRIMARY KEY, v text);
    INSERT INTO public.item SELECT i, 'source' FROM generate_series(1, 100) i`);
  await target.session.query(`
    CREATE TABLE public.item (id int PRIMARY KEY, v text);
    INSERT INTO public.item SELECT i, 'target' FROM generate_series(1, 12) i`);
  const migration = start(source, target, { types: ['full'], conflict: 'ignore' });
  expect(await migration.finished).toMatchObject({
    rowsCopied: 88n,
    formats: { binary: 1, text: 0 },
    kept: [{ table: 'public.item', rows: 12n }],
  });
  expect(migration.progress().tables[0]).toMatchObject({ rows: 88n, skipped: 12n, share: 1 });
});
