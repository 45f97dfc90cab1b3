/** Dead letters of a migration that runs: choices take effect, and letters are replayed beside the stream without ever being wrong. */
import { expect, it } from 'vitest';
import { chooseForTables } from '../src/service/task/stopped.ts';
import { choose, keep, letters, REFUSES, replay, stopped, TABLES, told, until } from './dead-letters.ts';
import { freshPair, type TestDatabase } from './database.ts';
import { follow, pause } from './follow.ts';
import { compare } from './migration.ts';

it('ends the choice with retry, at once, and settles letters by copying the table again', async () => {
  await using pair = await freshPair(17, 15, TABLES);
  const { source, target } = pair;
  const running = await follow(source, target);
  await target.session.query(REFUSES);
  await keep(pair, 'a');
  await source.session.query('UPDATE a SET n = 2000 WHERE id = 1');
  await until(async () => (await letters(pair)).length === 1);
  await chooseForTables(target.session, ['public.a'], 'retry');
  await source.session.query('UPDATE a SET n = 2000 WHERE id = 2');
  await until(async () => (await stopped(pair)).length === 1);
  await target.session.query('ALTER TABLE a DROP CONSTRAINT small');
  await choose(pair, 'a', 'recopy');
  await until(async () => (await stopped(pair)).length === 0);
  expect(await letters(pair)).toEqual([]);
  const settled = 'public.a is copied again, which settles its 1 dead letters';
  await until(() => Promise.resolve(running.events.some(({ message }) => message === settled)));
  const { deadLetters } = await running.catchUp();
  expect(deadLetters).toEqual([]);
  expect((await compare(source, target)).differing).toEqual([]);
});

/** Repeatable. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const IDS = 12;

/** One small transaction; every third value is one that the target refuses. */
function change(next: (below: number) => number): string {
  const one = () => {
    const [id, n] = [next(IDS), next(3) === 0 ? 1000 + next(5) : next(900)];
    return [
      `INSERT INTO r VALUES (${id}, ${n}) ON CONFLICT (id) DO NOTHING`,
      `UPDATE r SET n = ${n} WHERE id = ${id}`,
      `DELETE FROM r WHERE id = ${id}`,
      `UPDATE r SET id = ${next(IDS)} WHERE id = ${id} AND NOT EXISTS (SELECT FROM r x WHERE x.id > ${id} AND x.id < ${IDS})`,
    ][next(4)];
  };
  const many = Array.from({ length: 1 + next(3) }, one);
  return `DO $$ BEGIN ${many.join('; ')}; EXCEPTION WHEN unique_violation THEN NULL; END $$`;
}

async function rowsOf({ session }: TestDatabase): Promise<Map<string, string>> {
  const rows = await session.query('SELECT id, n FROM r');
  return new Map(rows.map(({ id, n }) => [id ?? '', n ?? '']));
}

it.each([
  [1, 17, 17],
  [2, 12, 12],
  [3, 18, 18],
] as const)(
  'leaves no row other than the source has it, unless a letter of it is left: letters replayed all the time (seed %i, %i to %i)',
  async (seed, from, to) => {
    await using pair = await freshPair(from, to, 'CREATE TABLE r (id int PRIMARY KEY, n int)');
    const { source, target } = pair;
    const next = random(seed);
    const running = await follow(source, target);
    await target.session.query('ALTER TABLE r ADD CONSTRAINT small CHECK (n < 1000) NOT VALID');
    await keep(pair, 'r');
    let isOver = false;
    let replayed = 0;
    const replaying = (async () => {
      while (!isOver) {
        if ((await letters(pair)).length > 0)
          replayed += (await replay(pair, '*').catch(() => ({ replayed: 0 }))).replayed;
        await pause(20);
      }
    })();
    for (let turn = 0; turn < 150; turn++) {
      await source.session.query(change(next));
      if (turn % 30 === 15) await target.session.query('ALTER TABLE r DROP CONSTRAINT small');
      if (turn % 30 === 29)
        await target.session.query('ALTER TABLE r ADD CONSTRAINT small CHECK (n < 1000) NOT VALID');
      await pause(next(60));
    }
    await running.catchUp();
    isOver = true;
    await replaying;
    await target.session.query('ALTER TABLE r DROP CONSTRAINT small');
    if ((await letters(pair)).length > 0) replayed += (await replay(pair, '*')).replayed;
    const left = await letters(pair);
    const named = new Set(left.flatMap(({ key }) => key.map(String)));
    const [here, there] = [await rowsOf(source), await rowsOf(target)];
    const wrong = [...new Set([...here.keys(), ...there.keys()])].filter(
      (id) => here.get(id) !== there.get(id) && !named.has(id),
    );
    expect(wrong, `${replayed} replayed, left: ${(await told(pair)).join(', ')}`).toEqual([]);
    expect(replayed).toBeGreaterThan(0);
  },
);
