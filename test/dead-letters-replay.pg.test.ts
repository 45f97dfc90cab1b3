/** Dead letters applied after all: in order, never over anything newer; and what the commands say of them. */
import { describe, expect, it } from 'vitest';
import { keep, letters, REFUSES, replay, TABLES, told } from './dead-letters.ts';
import { freshPair, type DatabasePair } from './database.ts';
import { compare, migrate } from './migration.ts';
import { cliHome } from './spawn-cli.ts';

/** Two databases in step, of which the target refuses some of what these transactions do. */
async function refusing(...transactions: string[]): Promise<DatabasePair> {
  const pair = await freshPair(17, 17, TABLES);
  await migrate(pair.source, pair.target);
  await pair.target.session.query(REFUSES);
  await keep(pair, 'a', 'b', 'c');
  for (const one of transactions) {
    await pair.source.session.query(one);
    // Alone: what several come to together the target might take.
    await migrate(pair.source, pair.target);
  }
  return pair;
}

const ALLOWS =
  'ALTER TABLE a DROP CONSTRAINT small; DROP INDEX a_email; ALTER TABLE a ALTER v DROP NOT NULL; ALTER TABLE c DROP CONSTRAINT few';
const differing = async ({ source, target }: DatabasePair) =>
  (await compare(source, target)).differing.map(({ table }) => table);
const valueOf = async ({ target }: DatabasePair, id: number) =>
  (await target.session.query(`SELECT n FROM a WHERE id = ${id}`))[0]?.n ?? null;

describe('replaying', () => {
  it('brings the target in step once the causes are gone, a row of several letters too, whatever became of it', async () => {
    await using pair = await refusing(`
      UPDATE a SET n = 2000 WHERE id = 1; INSERT INTO a VALUES (60, 'M2', 1, 'v'); UPDATE a SET v = 'later' WHERE id = 60;
      UPDATE a SET id = 61 WHERE id = 60; UPDATE a SET n = 5 WHERE id = 61; INSERT INTO a VALUES (70, 'x', 1, NULL); DELETE FROM a WHERE id = 70;
      INSERT INTO c VALUES (500, NULL); UPDATE c SET v = 'z' WHERE n = 500; DELETE FROM a WHERE id = 12`);
    expect(await letters(pair)).toHaveLength(9);
    const before = await replay(pair, '*');
    expect(before.replayed).toBe(0);
    await pair.target.session.query(`${ALLOWS}; INSERT INTO a VALUES (7, 'm7', 7, 'v'), (8, 'm8', 8, 'v')`);
    expect((await replay(pair, '*')).why).toEqual([]);
    expect(await letters(pair)).toEqual([]);
    expect(await differing(pair)).toEqual([]);
  });

  it('keeps what is refused again, with the new reason', async () => {
    await using pair = await refusing('UPDATE a SET n = 2000, v = NULL WHERE id = 1');
    await pair.target.session.query('ALTER TABLE a DROP CONSTRAINT small');
    expect((await replay(pair, 'a')).why).toEqual(['update 1 APPLY_FAILED']);
    expect(await told(pair)).toEqual(['update 1 23502']);
    expect((await letters(pair))[0]?.triedAt).not.toBeNull();
    expect(await valueOf(pair, 1)).toBe('1');
  });

  it('overwrites nothing newer: a later change of the row was applied', async () => {
    await using pair = await refusing(
      'UPDATE a SET n = 2000 WHERE id = 1',
      'UPDATE a SET n = 3 WHERE id = 1',
    );
    await pair.target.session.query(ALLOWS);
    expect((await replay(pair, 'a')).why).toEqual(['update 1 LETTER_OVERTAKEN']);
    expect(await valueOf(pair, 1)).toBe('3');
  });

  it('overwrites nothing newer of the same transaction either', async () => {
    await using pair = await refusing(
      'UPDATE a SET n = 4 WHERE id = 2; UPDATE a SET n = 2000 WHERE id = 1; UPDATE a SET n = 3 WHERE id = 1; UPDATE a SET n = 2000 WHERE id = 2',
    );
    await pair.target.session.query(ALLOWS);
    expect((await replay(pair, 'a')).why).toEqual(['update 1 LETTER_OVERTAKEN']);
    expect([await valueOf(pair, 1), await valueOf(pair, 2)]).toEqual(['3', '2000']);
  });

  it('brings no row back that has been deleted since, and puts none beside one of its key', async () => {
    await using pair = await freshPair(17, 17, TABLES);
    const { source, target } = pair;
    await migrate(source, target);
    await target.session.query(`INSERT INTO a VALUES (80, 'foreign', 1, 'v'), (81, 'other', 1, 'v')`);
    await keep(pair, 'a');
    await source.session.query(
      `INSERT INTO a VALUES (80, 'ours', 2, 'v'); DELETE FROM a WHERE id = 80; INSERT INTO a VALUES (81, 'ours too', 2, 'v')`,
    );
    await migrate(source, target);
    expect(await told(pair)).toEqual(['insert 80 23505', 'insert 81 23505']);
    expect((await replay(pair, 'a')).why).toEqual([
      'insert 80 LETTER_OVERTAKEN',
      'insert 81 LETTER_OVERTAKEN',
    ]);
    expect([await valueOf(pair, 80), await valueOf(pair, 81)]).toEqual([null, '1']);
    await target.session.query('DELETE FROM a WHERE id = 81');
    expect((await replay(pair, 'a')).why).toEqual(['insert 80 LETTER_OVERTAKEN']);
    expect(await valueOf(pair, 81)).toBe('2');
    expect(await differing(pair)).toEqual([]);
  });

  it('goes by the source where the row was put right by hand: applied where the source still has it so', async () => {
    await using pair = await refusing(
      `UPDATE a SET n = 70 WHERE id = 7; UPDATE a SET n = 71 WHERE id = 7; UPDATE a SET n = 80 WHERE id = 8`,
    );
    await pair.target.session.query(`INSERT INTO a VALUES (7, 'm7', 7, 'v'), (8, 'm8', 8, 'v')`);
    await pair.source.session.query('UPDATE a SET n = 81 WHERE id = 8');
    expect((await replay(pair, 'a')).why).toEqual(['update 8 LETTER_OVERTAKEN']);
    expect([await valueOf(pair, 7), await valueOf(pair, 8)]).toEqual(['71', '8']);
    await migrate(pair.source, pair.target);
    expect(await differing(pair)).toEqual([]);
  });
});

it('keeps a change of several statements as a whole, where rows of the target give way to those of the source', async () => {
  await using pair = await freshPair(17, 17, TABLES);
  const { source, target } = pair;
  await target.session.query(
    `CREATE TABLE a (id int PRIMARY KEY, email text, n int CHECK (n < 1000), v text); INSERT INTO a VALUES (60, 'theirs', 1, 'v')`,
  );
  const options = { types: ['full', 'incremental'], tables: ['a'], conflict: 'ignore' } as const;
  await migrate(source, target, options);
  await keep(pair, 'a');
  await source.session.query(`INSERT INTO a VALUES (60, 'ours', 2000, 'v'), (61, 'ours', 1, 'v')`);
  const { deadLetters } = await migrate(source, target, options);
  expect(deadLetters).toEqual([{ table: 'public.a', letters: 1n }]);
  const rows = await target.session.query('SELECT id, email FROM a WHERE id > 50 ORDER BY id');
  expect(rows).toEqual([
    { id: '60', email: 'theirs' },
    { id: '61', email: 'ours' },
  ]);
});

describe('the commands', () => {
  it('name the letters, show values only when asked, and never let a migration with letters look clean', async () => {
    await using pair = await refusing(
      `UPDATE a SET n = 2000, v = 'MARKER' WHERE id = 1; INSERT INTO c VALUES (500, 'MARKER')`,
    );
    using home = cliHome();
    const ends = ['--source', pair.source.uri, '--target', pair.target.uri];
    const cli = (...args: string[]) => home.run([...args, ...ends]);
    const list = await cli('dead-letters', 'list');
    expect(list.stdout).toContain('public.a: 1 dead letter\npublic.c: 1 dead letter\n');
    expect(list.stdout).toMatch(
      / 1 {2}public\.a {2}update {5}\(id\) = \(1\) {2}[0-9A-F]+\/[0-9A-F]+ #1 {2}A change cannot/,
    );
    expect(list.stdout).not.toContain('MARKER');
    const shown = JSON.parse(
      (await cli('dead-letters', 'list', 'public.a', '--show-values', '--json')).stdout,
    );
    expect(shown.data.letters).toMatchObject([
      { operation: 'update', old: null, new: { id: '1', n: '2000', v: 'MARKER' } },
    ]);
    expect(shown.data.tables).toHaveLength(2);
    const again = await cli('migrate', '--until', 'caught-up');
    expect(again.stdout).toContain('The target lacks 2 changes that it has refused (dead letters).');
    expect(again.stdout).toContain('opendts dead-letters list');
    expect(again.code).toBe(6);
    expect((await cli('tables')).stdout).toContain(
      'public.a: what the target refuses is kept as dead letters',
    );
    expect((await cli('cleanup', '--yes')).stderr).toContain(
      '2 dead letters are left (1 of public.a, 1 of public.c)',
    );
    expect((await cli('cleanup', '--dry-run')).stdout).toContain(
      '1 dead letters of public.a, which are lost',
    );
    expect((await cli('dead-letters', 'drop')).code).toBe(2);
    expect((await cli('dead-letters', 'drop', '--id', '77')).stderr).toContain('no dead letter of number 77');
    await pair.target.session.query(`${ALLOWS}; INSERT INTO a VALUES (7, 'm7', 7, 'v'), (8, 'm8', 8, 'v')`);
    const replayed = await cli('dead-letters', 'replay', 'public.a');
    expect(replayed).toMatchObject({ code: 0, stdout: 'replayed 1 dead letter\n' });
    await pair.target.session.query(`INSERT INTO c VALUES (500, 'MARKER')`);
    const verified = await cli('verify');
    expect(verified.stdout).toContain('identical: 3 tables');
    expect(verified.stdout).toContain('public.c: 1 dead letter');
    expect(verified.code).toBe(6);
    expect((await cli('dead-letters', 'drop', 'public.c')).stdout).toBe('dropped 1 dead letter\n');
    expect((await cli('verify')).code).toBe(0);
    expect((await cli('tables', '--retry', 'public.a')).stdout).not.toContain(
      'public.a: what the target refuses',
    );
    expect((await cli('cleanup', '--yes')).code).toBe(0);
  });
});
