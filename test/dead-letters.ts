/** What the tests of dead letters share: a source and a target that refuses some of its changes, and what is kept of them. */
import { expect } from 'vitest';
import { ledgerDifferences, openWitness, readLedger } from '../scripts/faults/witness.ts';
import {
  chooseForTable,
  keepLetters,
  readStoppedTables,
  type TableChoice,
} from '../src/engine/target/books/stopped-tables.ts';
import { readLetters, type Letter } from '../src/engine/target/letters/stored-letters.ts';
import { chooseLetters, replayLetters, type Replayed } from '../src/service/task/dead-letters.ts';
import type { DatabasePair } from './database.ts';
import { pause } from './follow.ts';

export const TABLES = `
  CREATE TABLE a (id int PRIMARY KEY, email text, n int, v text);
  INSERT INTO a SELECT i, 'm' || i, i, 'v' FROM generate_series(1, 50) i;
  CREATE TABLE b (id int PRIMARY KEY, v text); INSERT INTO b SELECT i, 'v' FROM generate_series(1, 50) i;
  CREATE TABLE c (n int, v text); INSERT INTO c VALUES (1, 'x'), (1, 'x'), (2, 'y')`;

/** What only the target has. Rows 7 and 8 are gone there. */
export const REFUSES = `
  ALTER TABLE a ADD CONSTRAINT small CHECK (n < 1000); CREATE UNIQUE INDEX a_email ON a (lower(email));
  ALTER TABLE a ALTER v SET NOT NULL; ALTER TABLE c ADD CONSTRAINT few CHECK (n < 100);
  DELETE FROM a WHERE id IN (7, 8)`;

export async function until(what: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt++) {
    if (await what()) return;
    await pause(50);
  }
  throw new Error('it did not come to that');
}

export async function taskOf({ target }: DatabasePair): Promise<string> {
  return (await target.session.one('SELECT task_id FROM _opendts.task')).task_id ?? '';
}

export const stopped = async (pair: DatabasePair) =>
  readStoppedTables(pair.target.session, await taskOf(pair));

export async function choose(pair: DatabasePair, name: string, choice: TableChoice): Promise<void> {
  const table = { schema: 'public', name };
  expect(await chooseForTable(pair.target.session, await taskOf(pair), { table, choice })).toBe(true);
}

/** As if a person had chosen it when the table stopped. */
export async function keep(pair: DatabasePair, ...names: string[]): Promise<void> {
  for (const name of names)
    await keepLetters(pair.target.session, await taskOf(pair), {
      table: { schema: 'public', name },
      keeps: true,
    });
}

export async function letters({ target }: DatabasePair): Promise<Letter[]> {
  const choice = await chooseLetters(target.session, { patterns: ['*'], ids: [] }).catch(() => null);
  return choice ? readLetters(target.session, choice, { after: '0', limit: 100_000 }) : [];
}

/** `insert 51 23505`, in order. */
export async function told(pair: DatabasePair): Promise<string[]> {
  return (await letters(pair)).map(
    ({ kind, key, sqlstate, code }) => `${kind} ${key.join(',')} ${sqlstate || code}`,
  );
}

/** Replays letters of these tables, and says why some were refused: code and key. */
export async function replay(
  pair: DatabasePair,
  ...patterns: string[]
): Promise<Replayed & { why: string[] }> {
  await using target = await pair.target.open();
  await using source = await pair.source.open();
  const choice = await chooseLetters(target, { patterns, ids: [] });
  const done = await replayLetters(target, choice, {
    source: () => Promise.resolve(source),
    signal: new AbortController().signal,
  });
  return {
    ...done,
    why: done.refused.map(({ letter, error }) => `${letter.kind} ${letter.key.join(',')} ${error.code}`),
  };
}

/** Nobody writes; all is applied. */
export async function openExact(pair: DatabasePair) {
  const before = await readLedger(pair.target.session, { letters: true });
  const witness = await openWitness(
    () => pair.source.open({ role: 'witness' }),
    `witness_${pair.source.name}`,
  );
  return {
    /** A line for each account that is not exactly what the source has sent since (I6). */
    differences: async () =>
      ledgerDifferences(
        await witness.count(),
        await readLedger(pair.target.session, { letters: true }),
        before,
      ),
    dead: async () =>
      (
        await pair.target.session.query(
          'SELECT source_table, dead::text FROM _opendts.account WHERE dead > 0 ORDER BY 1',
        )
      ).map((row) => `${row.source_table} ${row.dead}`),
    [Symbol.asyncDispose]: () => witness[Symbol.asyncDispose](),
  };
}
