/** The stream as a whole against random transactions: after every batch both ends must hold the same rows. */
import { describe, expect, it } from 'vitest';
import type { MigrationEvent } from '../src/contract/progress.ts';
import { freshPair } from './database.ts';
import { expectIdentical } from './copy-faults.ts';
import { follow } from './follow.ts';
import { comparePlain, migrate, type RunOptions } from './migration.ts';
import { createRandomTables, seeded, writeRandomly } from './random-changes.ts';
import { firstOf } from './matrix.ts';

/** Most are small; a large one is several windows. */
const BATCHES = [4, 30, 150];

const PAIRS = [
  [12, 18],
  [15, 12],
  [18, 15],
] as const;

describe.each(firstOf(2, PAIRS))('random transactions from %i to %i', (from, to) => {
  it.each(firstOf(1, [1, 2]))('leave both ends the same after every batch (seed %i)', async (seed) => {
    await using pair = await freshPair(from, to);
    const { source, target } = pair;
    await createRandomTables(source);
    const random = seeded(seed * 100 + from);
    await writeRandomly(source, random, 20);
    await migrate(source, target);
    const events: MigrationEvent[] = [];
    for (let batch = 0; batch < 6; batch++) {
      await writeRandomly(source, random, 1 + random(BATCHES[random(BATCHES.length)] ?? 1));
      await migrate(source, target, { events });
      await expectIdentical(pair);
    }
    // Where every batch was replayed in order, nothing was said about sets.
    expect(events.filter(({ message }) => message.includes('in order')).length).toBeLessThan(3);
  });
});

describe.each(firstOf(1, PAIRS))('random transactions from %i to %i', (from, to) => {
  it('leave both ends the same where partitions stand in a plain table, and new ones come', async () => {
    await using pair = await freshPair(from, to);
    const { source, target } = pair;
    await createRandomTables(source);
    const random = seeded(300 + from);
    await writeRandomly(source, random, 20);
    const how: RunOptions = { partitions: 'plain' };
    await migrate(source, target, how);
    for (let batch = 0; batch < 6; batch++) {
      const following = await follow(source, target, how);
      await source.session.query(
        `CREATE TABLE part_more_${batch} PARTITION OF part FOR VALUES IN (${-1 - batch}); UPDATE part SET k = ${-1 - batch} WHERE k = ${2 - batch} AND id % 2 = 0`,
      );
      await writeRandomly(source, random, 1 + random(BATCHES[random(BATCHES.length)] ?? 1));
      await source.session.query(`UPDATE part SET k = 2 WHERE k = ${-1 - batch} AND id % 4 = 0`);
      await following.catchUp();
      expect((await comparePlain(source, target)).differing).toEqual([]);
    }
  });
});
