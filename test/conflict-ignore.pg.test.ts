/** Conflict mode ignore while changes are followed (C7): the copy keeps the target's rows, the stream overwrites them. */
import { describe, expect, it } from 'vitest';
import { freshPair } from './database.ts';
import { follow } from './follow.ts';
import { compare } from './migration.ts';

const TABLE = `CREATE TABLE t (id int PRIMARY KEY, v text, n int NOT NULL DEFAULT 0); ALTER TABLE t ALTER v SET STORAGE EXTERNAL;
  CREATE TABLE fixed (id int PRIMARY KEY, n int)`;
const BIG = `repeat(md5('a'), 200)`;

describe.each(['live', 'late', 'once'] as const)('changes that come %s', (way) => {
  it('overwrite rows of the target, put in those it lacks, and pass over those it never had', async () => {
    await using pair = await freshPair(17, 15, TABLE);
    const { source, target } = pair;
    await source.session.query(
      `INSERT INTO t SELECT i, ${BIG}, i FROM generate_series(1, 20) i; INSERT INTO fixed SELECT i, i FROM generate_series(1, 9) i`,
    );
    await target.session.query(TABLE);
    await target.session.query(
      "INSERT INTO t VALUES (3, 'mine', -3), (30, 'mine', -30), (31, 'mine', -31); INSERT INTO fixed VALUES (2, -2)",
    );
    const running = await follow(source, target, { types: ['full', 'incremental'], conflict: 'ignore' });
    expect((await target.session.one('SELECT v FROM t WHERE id = 3')).v).toBe('mine');
    // Rows that somebody takes out of the target meanwhile.
    await target.session.query('DELETE FROM t WHERE id IN (5, 6, 7); DELETE FROM fixed WHERE id = 4');
    const changes = [
      'UPDATE t SET n = n + 100 WHERE id IN (3, 5)',
      "INSERT INTO t VALUES (30, 'source', 30)",
      'DELETE FROM t WHERE id = 6',
      "UPDATE t SET id = 31, v = 'moved' WHERE id = 8",
      'UPDATE fixed SET n = n + 1',
      'UPDATE t SET id = id + 100 WHERE id = 7',
    ];
    if (way === 'once') await source.session.query(`BEGIN; ${changes.join('; ')}; COMMIT`);
    for (const change of way === 'once' ? [] : changes) await source.session.query(change);
    await running.catchUp();
    expect((await compare(source, target)).differing).toEqual([]);
  });
});
