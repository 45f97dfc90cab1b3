/** kill -9 between two transactions of a schema's creation, in each of its phases. */
import { describe, expect, it } from 'vitest';
import { freshPair, type TestDatabase } from './database.ts';
import { ends, reportOf } from './schema-states.ts';
import { cliHome } from './spawn-cli.ts';

/** So many objects that no phase is one transaction. */
const MANY = `
  CREATE FUNCTION quiet() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
  DO $do$ BEGIN
    FOR i IN 1..150 LOOP EXECUTE format('CREATE TYPE mood_%s AS ENUM (''good'', ''bad'')', i); END LOOP;
    FOR i IN 1..90 LOOP
      EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, m mood_%1$s, parent int)', i);
      EXECUTE format('CREATE TRIGGER quiet BEFORE INSERT ON t%s FOR EACH ROW EXECUTE FUNCTION quiet()', i);
      IF i > 1 THEN EXECUTE format('ALTER TABLE t%s ADD FOREIGN KEY (parent) REFERENCES t%s', i, i - 1); END IF;
    END LOOP; END $do$`;

const PHASES = ['pre-data', 'index', 'foreign-key', 'post-data'] as const;

/** Of each phase, how many steps are done and how many are to come. */
async function booksOf({ session }: TestDatabase): Promise<Map<string, { done: number; left: number }>> {
  const rows = await session.query(
    `SELECT phase, count(*) FILTER (WHERE state = 'created') AS done, count(*) FILTER (WHERE state = 'planned') AS left
       FROM _opendts.object GROUP BY phase`,
  );
  return new Map(
    rows.map((row) => [row.phase ?? '', { done: Number(row.done), left: Number(row.left) }] as const),
  );
}

describe.each([
  ['pre-data', 15, 18],
  ['index', 12, 15],
  ['foreign-key', 18, 18],
  ['post-data', 15, 15],
] as const)('a kill in the middle of phase %s, from %i to %i', (phase, from, to) => {
  it('costs nothing: the second run ends with the same schema and without an error', async () => {
    await using pair = await freshPair(from, to, MANY);
    using home = cliHome();
    const apply = ['schema', 'apply', '--jobs', '1', ...ends(pair)];
    let books = new Map<string, { done: number; left: number }>();
    // As often as it takes to be killed there: a run goes on where the one before was killed.
    for (let kills = 0; (books.get(phase)?.done ?? 0) === 0; kills++) {
      expect(kills).toBeLessThan(20);
      const died = await home.run(apply, { env: { OPENDTS_FAILPOINT: 'schema.between-steps:1' } });
      expect(died.signal).toBe('SIGKILL');
      books = await booksOf(pair.target);
    }
    expect(books.get(phase)?.left).toBeGreaterThan(0);
    for (const before of PHASES.slice(0, PHASES.indexOf(phase))) expect(books.get(before)?.left).toBe(0);
    const again = await home.run(apply);
    expect(again.stderr).not.toContain('opendts: ');
    expect(again.stdout).toContain('Migration completed');
    expect(again.code).toBe(0);
    expect((await home.run(['schema', 'diff', ...ends(pair)])).stdout).toContain('no difference');
    expect((await reportOf(pair, home)).lines).toEqual([]);
  });
});

it('a kill beside an object that is refused changes nothing for the others, nor for it', async () => {
  await using pair = await freshPair(
    15,
    18,
    `CREATE SCHEMA ext; CREATE EXTENSION citext SCHEMA ext;
     CREATE FUNCTION f(ext.citext) RETURNS int LANGUAGE sql AS 'SELECT 1';
     CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY REFERENCES a)`,
  );
  using home = cliHome();
  await pair.target.session.query('CREATE EXTENSION citext');
  const apply = ['schema', 'apply', ...ends(pair)];
  // Of the first run the pre-data phase, of the others one phase more each: before it the refused one is tried again.
  for (const pass of [1, 2, 2]) {
    const died = await home.run(apply, { env: { OPENDTS_FAILPOINT: `schema.between-steps:${pass}` } });
    expect(died.signal).toBe('SIGKILL');
  }
  expect((await home.run(apply)).code).toBe(5);
  expect((await reportOf(pair, home)).lines).toEqual(['failed function public.f(ext.citext)']);
  await pair.target.session.query('ALTER EXTENSION citext SET SCHEMA ext');
  expect((await home.run(apply)).code).toBe(0);
  expect((await home.run(['schema', 'diff', ...ends(pair)])).stdout).toContain('no difference');
});
