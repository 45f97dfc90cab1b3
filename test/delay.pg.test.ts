/** The delay that a running migration tells: true where nobody writes, where others write, and where the target stands still. */
import { describe, expect, it } from 'vitest';
import type { MigrationProgress } from '../src/contract/progress.ts';
import { freshPair } from './database.ts';
import { follow, pause, type Following } from './follow.ts';

const TABLES = 'CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1); CREATE TABLE noise (id int)';

/** What is told in the next so many seconds. */
async function watch({ migration }: Following, seconds: number): Promise<MigrationProgress[]> {
  const seen: MigrationProgress[] = [];
  for (let round = 0; round < seconds * 10; round++) {
    seen.push(migration.progress());
    await pause(100);
  }
  return seen;
}

const known = ({ migration }: Following) => migration.progress().delayMs !== null;
const largest = (seen: readonly MigrationProgress[]) =>
  Math.max(...seen.map(({ delayMs }) => delayMs ?? Infinity));

describe.each([
  ['with a heartbeat', true],
  ['without one', false],
] as const)('the delay %s', (_, heartbeat) => {
  it('is small on a source where nobody writes, grows while the target stands still, and falls again', async () => {
    await using pair = await freshPair(17, 15, TABLES);
    const { source, target } = pair;
    const running = await follow(source, target, { heartbeat, captureDdl: 'off' });
    await expect.poll(() => known(running), { timeout: 10_000 }).toBe(true);
    expect(largest(await watch(running, 7))).toBeLessThan(3_000);

    await using holder = await target.open();
    await holder.query('BEGIN; LOCK TABLE public.t');
    await source.session.query('INSERT INTO t VALUES (2)');
    await pause(4_000);
    const stuck = running.migration.progress();
    expect(stuck.delayMs).toBeGreaterThan(2_500);
    expect(stuck.delayMs).toBeLessThan(10_000);
    expect(stuck.lagBytes).toBeGreaterThan(0n);
    await holder.query('COMMIT');
    await expect.poll(() => running.migration.progress().delayMs, { timeout: 10_000 }).toBeLessThan(1_000);
    await running.catchUp();
  }, 60_000);

  it('is small where others write what is not migrated', async () => {
    await using pair = await freshPair(17, 15, TABLES);
    const { source, target } = pair;
    const running = await follow(source, target, {
      heartbeat,
      captureDdl: 'off',
      excludeTables: ['noise'],
    });
    await expect.poll(() => known(running), { timeout: 10_000 }).toBe(true);
    let writing = true;
    const writer = (async () => {
      await using session = await source.open();
      while (writing) await session.query('INSERT INTO public.noise SELECT generate_series(1, 100)');
    })();
    const seen = await watch(running, 6);
    writing = false;
    await writer;
    expect(largest(seen)).toBeLessThan(3_000);
    await running.catchUp();
  }, 60_000);
});
