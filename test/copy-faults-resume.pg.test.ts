/**
 * A full migration that was killed in the middle, and run again: what the source has not touched since is not copied a second time, what
 * it has touched is, and in the end the target holds the source as it is, at one moment.
 */
import { describe, expect, it } from 'vitest';
import {
  chunksDone,
  doneChunks,
  expectIdentical,
  FULL,
  named,
  pairOf,
  stopAfter,
  CHUNK,
} from './copy-faults.ts';
import { freshDatabase } from './database.ts';
import { migrate, start } from './migration.ts';

const AGAIN = /copied again/;

describe.each([
  [18, 17, 25],
  [12, 18, 14],
] as const)('from %i to %i, killed after %i transactions', (from, to, commits) => {
  it('copies only what is not done, when nobody wrote in between', async () => {
    await using pair = await pairOf(from, to);
    await stopAfter(pair, commits, { types: FULL });
    const before = await doneChunks(pair.target);
    expect(before.size).toBeGreaterThanOrEqual(commits);
    const summary = await migrate(pair.source, pair.target, { types: FULL, chunkBytes: CHUNK });
    const after = await doneChunks(pair.target);
    for (const [chunk, { at }] of before) expect(after.get(chunk)?.at).toBe(at);
    expect(after.size).toBeGreaterThan(before.size);
    expect(named(summary, AGAIN)).toEqual([]);
    // All of one moment now.
    expect(new Set([...after.values()].map(({ snapshot }) => snapshot)).size).toBe(1);
    await expectIdentical(pair);
  });

  it('copies again what was written to in cut tables: whole where it is cut by place, the range where it is cut by key', async () => {
    await using pair = await pairOf(from, to);
    const { source, target } = pair;
    await stopAfter(pair, commits, { types: FULL });
    const before = await doneChunks(target);
    await source.session.query(
      'UPDATE ordered SET n = 1 WHERE id = 5; DELETE FROM scattered WHERE ctid = (SELECT min(ctid) FROM scattered)',
    );
    const summary = await migrate(source, target, { types: FULL, chunkBytes: CHUNK });
    expect(named(summary, AGAIN)).toContain('ordered');
    const after = await doneChunks(target);
    const kept = [...before].filter(([chunk, { at }]) => after.get(chunk)?.at === at).map(([chunk]) => chunk);
    expect(kept.some((chunk) => chunk.includes('"toasted"'))).toBe(true);
    expect(kept.some((chunk) => chunk.includes('"ordered"'))).toBe(from === 12);
    expect(kept).not.toContain('["public","ordered",0]');
    await expectIdentical(pair);
  });

  it('a table that grew, or whose file is new, is copied right', async () => {
    await using pair = await pairOf(from, to);
    const { source, target } = pair;
    await stopAfter(pair, commits, { types: FULL });
    await source.session.query(
      `INSERT INTO loose SELECT i % 5, 'new' FROM generate_series(1, 3000) i; DELETE FROM ordered WHERE id % 3 = 0`,
    );
    await source.session.query('VACUUM FULL ordered');
    await source.session.query('CLUSTER scattered USING scattered_pkey');
    await source.session.query('VACUUM toasted');
    await migrate(source, target, { types: FULL, chunkBytes: CHUNK });
    await expectIdentical(pair);
  });
});

/** More than share one transaction, so that the first sixteen are done and the rest is not. */
const SMALL = Array.from(
  { length: 40 },
  (_, at) =>
    `CREATE TABLE s${String(at).padStart(2, '0')} (id int PRIMARY KEY, v text); INSERT INTO s${String(at).padStart(2, '0')} SELECT i, 'v' FROM generate_series(1, 50) i`,
).join('; ');

/** What happens to which table between the two runs, and whether that changes its content. */
const BETWEEN: readonly (readonly [table: string, changes: boolean, sql: string])[] = [
  ['s00', true, `INSERT INTO s00 VALUES (1000, 'new')`],
  ['s01', true, 'DELETE FROM s01 WHERE id = 7'],
  ['s02', true, `UPDATE s02 SET v = 'w' WHERE id = 7`],
  [
    's03',
    true,
    `BEGIN; SAVEPOINT a; SAVEPOINT b; INSERT INTO s03 VALUES (1000, 'sub'); RELEASE b; RELEASE a; COMMIT`,
  ],
  ['s05', false, 'VACUUM FULL s05'],
  ['s06', false, 'CLUSTER s06 USING s06_pkey'],
  ['s07', true, `TRUNCATE s07; INSERT INTO s07 SELECT i + 1, 'v' FROM generate_series(1, 50) i`],
  [
    's08',
    true,
    `BEGIN; SAVEPOINT a; TRUNCATE s08; INSERT INTO s08 SELECT i + 1, 'v' FROM generate_series(1, 50) i; RELEASE a; COMMIT`,
  ],
  ['s09', false, `BEGIN; DELETE FROM s09; INSERT INTO s09 VALUES (1000, 'lost'); ROLLBACK`],
  ['s10', true, `DELETE FROM s10 WHERE id = 7; INSERT INTO s10 VALUES (1000, 'instead')`],
  ['s11', false, 'BEGIN; SELECT FROM s11 FOR UPDATE; COMMIT'],
  ['s12', true, 'BEGIN; SAVEPOINT a; DELETE FROM s12 WHERE id = 8; RELEASE a; COMMIT'],
  ['s13', false, 'VACUUM (FREEZE) s13'],
  ['s14', true, 'TRUNCATE s14'],
];

it.each([
  [18, 18],
  [12, 15],
  [17, 12],
] as const)(
  'from %i to %i, exactly the tables that were written to between two runs are named and copied again',
  async (from, to) => {
    await using pair = await pairOf(from, to, SMALL);
    const { source, target } = pair;
    // Open while the first snapshot is taken, committed after the first run: the copy cannot have it.
    await using open = await source.open({ role: 'open' });
    await open.query(
      `BEGIN; INSERT INTO public.s04 VALUES (1000, 'open'); SAVEPOINT a; DELETE FROM public.s04 WHERE id = 3; RELEASE a`,
    );
    await stopAfter(pair, 1, { types: FULL });
    const before = await doneChunks(target);
    const isDone = (table: string) => before.has(`["public","${table}"]`);
    await open.query('COMMIT');
    for (const [table, , sql] of BETWEEN) {
      expect(isDone(table)).toBe(true);
      for (const statement of sql.split('; ')) await source.session.query(statement);
    }
    const summary = await migrate(source, target, { types: FULL });
    const changed = ['s04', ...BETWEEN.flatMap(([table, changes]) => (changes ? [table] : []))].toSorted();
    expect(named(summary, AGAIN)).toEqual(changed);
    const after = await doneChunks(target);
    for (const [chunk, { at }] of before) {
      const table = /"(s\d\d)"/.exec(chunk)?.[1] ?? '';
      expect([table, after.get(chunk)?.at === at]).toEqual([table, !changed.includes(table)]);
    }
    await expectIdentical(pair);
  },
);

it('a copy that is stopped again and again while rows are written ends, and is of one moment', async () => {
  await using pair = await pairOf(17, 18);
  const { source, target } = pair;
  for (let run = 0; run < 6; run++) {
    await stopAfter(pair, 6, { types: FULL });
    await source.session.query(
      `UPDATE ordered SET n = n + 1 WHERE id % 4000 = ${run}; INSERT INTO small_b VALUES (${run}, 'n'), (${run}, 'n'); UPDATE part SET k = 1 - k WHERE id = ${run + 1}`,
    );
  }
  await migrate(source, target, { types: FULL, chunkBytes: CHUNK });
  await expectIdentical(pair);
});

it('a target table that holds rows of its own keeps them, and what was written in between is said', async () => {
  await using source = await freshDatabase(17);
  await using target = await freshDatabase(17);
  await source.session.query(
    `${SMALL}; CREATE TABLE big (id int PRIMARY KEY, v text); INSERT INTO big SELECT i, repeat('x', 200) FROM generate_series(1, 8000) i; ANALYZE`,
  );
  await target.session.query(
    `${SMALL.replaceAll(/INSERT INTO [^;]*/g, 'SELECT 1')}; CREATE TABLE big (id int PRIMARY KEY, v text); INSERT INTO big VALUES (3, 'mine')`,
  );
  const options = { types: ['full'], conflict: 'ignore', chunkBytes: CHUNK } as const;
  await stopAfter({ source, target }, 3, options);
  await source.session.query(`UPDATE big SET v = 'w' WHERE id = 10`);
  const summary = await migrate(source, target, options);
  expect(named(summary, /written to on the source/)).toEqual(['big']);
  const rows = await target.session.query(`SELECT id::text, v FROM big WHERE id IN (3, 10) ORDER BY big.id`);
  expect(rows).toEqual([
    { id: '3', v: 'mine' },
    { id: '10', v: 'x'.repeat(200) },
  ]);
  expect(await target.session.one('SELECT count(*)::text AS n FROM big')).toEqual({ n: '8000' });
});

it('progress counts what an earlier run has copied', async () => {
  await using pair = await pairOf(18, 18);
  await stopAfter(pair, 20, { types: FULL });
  const before = (await doneChunks(pair.target)).size;
  const migration = start(pair.source, pair.target, { types: FULL, chunkBytes: CHUNK });
  await migration.finished;
  expect(chunksDone(migration.progress())).toBeGreaterThan(before);
});
