/** Each object of a schema has its own state: what is refused, what waits for it, what was there already; and how a person mends it. */
import { describe, expect, it } from 'vitest';
import { EXIT } from '../src/base/errors/exit.ts';
import { freshPair, type DatabasePair } from './database.ts';
import { migrate } from './migration.ts';
import { ends, NORM, OTHER_NORM, relations, reportOf, SHOP } from './schema-states.ts';
import { cliHome } from './spawn-cli.ts';
import { firstOf } from './matrix.ts';

const DATA = { types: ['schema', 'full'] } as const;

async function shopPair(from: 12 | 15 | 18, to: 15 | 18): Promise<DatabasePair> {
  const pair = await freshPair(from, to, SHOP);
  await pair.target.session.query('CREATE EXTENSION citext');
  return pair;
}

describe.each(
  firstOf(1, [
    [12, 18],
    [18, 15],
    [15, 15],
  ] as const),
)('a function that the target refuses, from %i to %i', (from, to) => {
  it('keeps nothing waiting but what needs it, and is mended by other SQL', async () => {
    await using pair = await shopPair(from, to);
    using home = cliHome();
    const { source, target } = pair;
    await expect(migrate(source, target, DATA)).rejects.toMatchObject({
      code: 'SCHEMA_FAILED',
      message: expect.stringMatching(
        /^1 object of the schema cannot be created on the target: function shop\.norm\(.*ext\.citext.* \(SQLSTATE 42704.*\)\. For them 3 more wait\. All data is copied, and the sequences are set\.$/,
      ),
    });
    expect(await relations(target)).toEqual(['item', 'item_name', 'item_pkey', 'plain']);
    expect(await target.session.one('SELECT count(*) AS n FROM shop.item')).toEqual({ n: '3' });
    const report = await reportOf(pair, home, '--show-sql');
    expect(report.code).toBe(EXIT.differences);
    expect(report.lines).toEqual([
      `failed ${NORM}`,
      'waiting view shop.more_names',
      'waiting view shop.names',
      'waiting index shop.item_norm',
    ]);
    expect(report.objects.get('view shop.more_names')?.waitsFor).toEqual([NORM]);
    expect(report.objects.get('table shop.item')).toMatchObject({ state: 'created', reason: null });
    expect(report.objects.get(NORM)?.statements?.[0]).toMatch(/^CREATE FUNCTION shop\.norm/);
    expect(report.nextSteps[0]?.command).toContain(`'${NORM}' --sql-file`);
    const edit = await home.run(['schema', 'edit', NORM, '--sql', `${OTHER_NORM};`, ...ends(pair)]);
    expect(edit).toMatchObject({ code: EXIT.ok, stderr: '' });
    expect((await migrate(source, target, DATA)).outcome).toBe('completed');
    expect(await target.session.query('SELECT name FROM shop.more_names ORDER BY 1')).toEqual([
      { name: 'a' },
      { name: 'b' },
      { name: 'c' },
    ]);
    expect(await relations(target)).toContain('item_norm');
    const after = await reportOf(pair, home, '--show-sql', NORM);
    expect(after.code).toBe(EXIT.ok);
    expect(after.objects.get(NORM)).toMatchObject({
      state: 'created',
      edited: true,
      statements: [`${OTHER_NORM};`],
    });
  });

  it('is mended on the target, and tried again by the next run', async () => {
    await using pair = await shopPair(from, to);
    using home = cliHome();
    await expect(migrate(pair.source, pair.target, DATA)).rejects.toThrow('For them 3 more wait');
    await pair.target.session.query('ALTER EXTENSION citext SET SCHEMA ext');
    expect((await migrate(pair.source, pair.target, DATA)).outcome).toBe('completed');
    expect((await reportOf(pair, home)).lines).toEqual([]);
    expect((await home.run(['schema', 'diff', ...ends(pair)])).stdout).toContain('no difference');
  });
});

it('an object that was refused and that the source has no more is forgotten', async () => {
  await using pair = await shopPair(15, 15);
  using home = cliHome();
  await expect(migrate(pair.source, pair.target, DATA)).rejects.toThrow('For them 3 more wait');
  await pair.source.session.query('DROP FUNCTION shop.norm CASCADE');
  expect((await migrate(pair.source, pair.target, DATA)).outcome).toBe('completed');
  expect((await reportOf(pair, home)).lines).toEqual([]);
});

describe('schema skip', () => {
  it('does without an object and tries what needs it; it may be taken back until the migration is complete', async () => {
    await using pair = await shopPair(15, 18);
    using home = cliHome();
    const { source, target } = pair;
    const apply = () => home.run(['schema', 'apply', ...ends(pair)]);
    const skip = (...words: string[]) => home.run(['schema', 'skip', ...words, ...ends(pair)]);
    const first = await apply();
    expect(first.code).toBe(EXIT.data);
    expect(first.stderr).toContain('opendts schema skip');
    expect((await skip(NORM)).code).toBe(EXIT.ok);
    expect((await apply()).code).toBe(EXIT.data);
    const { lines, objects } = await reportOf(pair, home);
    expect(lines).toEqual([
      'failed view shop.names',
      'failed index shop.item_norm',
      'waiting view shop.more_names',
      `skipped ${NORM}`,
    ]);
    expect(objects.get('view shop.names')?.reason).toContain('SQLSTATE 42883');
    expect((await skip('--undo', NORM)).code).toBe(EXIT.ok);
    expect((await reportOf(pair, home)).objects.get(NORM)?.state).toBe('planned');
    expect((await skip('view shop.names', 'view shop.more_names', 'index shop.item_norm', NORM)).code).toBe(
      0,
    );
    expect((await apply()).stdout).toContain('Migration completed');
    expect(await relations(target)).toEqual(['item', 'item_name', 'item_pkey', 'plain']);
    const late = await skip('--undo', NORM);
    expect(late.code).toBe(EXIT.usage);
    expect(late.stderr).toContain('is complete');
    expect(source.major).toBe(15);
  });

  it('does without the rights of such an object too', async () => {
    await using pair = await shopPair(15, 15);
    using home = cliHome();
    await pair.source.session.query('GRANT SELECT ON shop.names TO PUBLIC');
    const apply = () => home.run(['schema', 'apply', ...ends(pair)]);
    expect((await apply()).code).toBe(EXIT.data);
    const { lines } = await reportOf(pair, home);
    expect(lines).toContain('waiting rights of view shop.names');
    await home.run([
      'schema',
      'skip',
      'view shop.names',
      'view shop.more_names',
      'index shop.item_norm',
      NORM,
      ...ends(pair),
    ]);
    expect((await apply()).stdout).toContain('Migration completed');
    expect((await reportOf(pair, home)).objects.get('rights of view shop.names')?.state).toBe('skipped');
  });

  it('says which ids are near to one that is none, and what is not to be chosen', async () => {
    await using pair = await shopPair(15, 15);
    using home = cliHome();
    expect((await home.run(['schema', 'skip', 'view shop.names', ...ends(pair)])).code).toBe(EXIT.usage);
    await home.run(['schema', 'apply', ...ends(pair)]);
    const typo = await home.run(['schema', 'skip', 'view shop.nams', ...ends(pair)]);
    expect(typo.code).toBe(EXIT.usage);
    expect(typo.stderr).toContain('has an object "view shop.nams"');
    expect(typo.stderr).toContain('Nearest: "view shop.names"');
    const there = await home.run(['schema', 'skip', 'table shop.item', ...ends(pair)]);
    expect(there.code).toBe(EXIT.usage);
    expect(there.stderr).toContain('is on the target already (created)');
    const edit = (...words: string[]) => home.run(['schema', 'edit', ...words, ...ends(pair)]);
    expect((await edit(NORM, '--sql', 'CREATE FUNCTION f() …; COMMIT')).code).toBe(EXIT.ok);
    const commits = await edit(NORM, '--sql', `${OTHER_NORM}; COMMIT`);
    expect(commits.code).toBe(EXIT.usage);
    expect(commits.stderr).toContain('ends a transaction');
    expect((await edit(NORM)).code).toBe(EXIT.usage);
    expect((await edit(NORM, '--undo')).code).toBe(EXIT.ok);
    expect((await edit(NORM, '--undo')).stderr).toContain('has no other SQL');
    expect((await home.run(['schema', 'plan', 'view shop.names', ...ends(pair)])).code).toBe(EXIT.usage);
  });
});

describe('schema report', () => {
  it('is readable: how many of which state, what is not there and why, and what is not migrated', async () => {
    await using pair = await shopPair(18, 15);
    using home = cliHome();
    await pair.source.session.query('CREATE PUBLICATION theirs FOR TABLE shop.item');
    await home.run(['schema', 'apply', ...ends(pair)]);
    const { stdout, code } = await home.run(['schema', 'report', ...ends(pair)]);
    expect(code).toBe(EXIT.differences);
    expect(stdout).toMatch(/^1 failed, 3 waiting, \d+ created$/m);
    expect(stdout).toMatch(/^function shop\.norm\(.*\) +failed +pre-data +.*SQLSTATE 42704/m);
    expect(stdout).toMatch(/^view shop\.names +waiting +pre-data +waits for function shop\.norm/m);
    expect(stdout).toMatch(/^ {2}- publication theirs: /m);
    expect(stdout).not.toContain('table shop.item');
    const all = await home.run(['schema', 'report', '--all', '--show-sql', ...ends(pair)]);
    expect(all.stdout).toMatch(/^table shop\.item +created/m);
    expect(all.stdout).toContain('-- refused: ');
    expect(all.stdout).toMatch(/^CREATE TABLE "shop"\."item" \(|^CREATE TABLE shop\.item \(/m);
  });
});

describe.each(
  firstOf(2, [
    [12, 18],
    [18, 15],
    [15, 15],
  ] as const),
)('what is on the target already, from %i to %i', (from, to) => {
  it('is passed over where it is the same, and reported and not touched where it is not', async () => {
    const made = (body: string) => `CREATE SCHEMA shop;
      CREATE FUNCTION shop.same(a int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a';
      CREATE FUNCTION shop.other() RETURNS int LANGUAGE sql STABLE AS '${body}';
      CREATE TYPE shop.mood AS ENUM ('good', 'bad');
      CREATE VIEW shop.both AS SELECT m, 1 AS one FROM (VALUES ('good'::shop.mood)) v(m)`;
    await using pair = await freshPair(
      from,
      to,
      `${made('SELECT 1')};
      CREATE VIEW shop.of_other AS SELECT shop.other() AS o;
      CREATE TABLE shop.t (id int PRIMARY KEY, m shop.mood DEFAULT 'good', n int CHECK (shop.same(n) > 0))`,
    );
    const { source, target } = pair;
    using home = cliHome();
    await target.session.query(made('SELECT 2'));
    await expect(migrate(source, target, { types: ['schema'] })).rejects.toThrow(
      'function shop.other(): it is there with another definition',
    );
    const report = await reportOf(pair, home);
    expect(report.lines).toEqual([
      'exists-different function shop.other()',
      'waiting view shop.of_other',
      'exists-identical function shop.same(a integer)',
      'exists-identical type shop.mood',
      'exists-identical view shop.both',
    ]);
    expect(await relations(target)).toEqual(['both', 't', 't_pkey']);
    expect(await target.session.one('SELECT shop.other() AS o')).toEqual({ o: '2' });
    expect((await home.run(['schema', 'skip', 'function shop.other()', ...ends(pair)])).code).toBe(0);
    expect((await migrate(source, target, { types: ['schema'] })).outcome).toBe('completed');
    expect(await target.session.one('SELECT o FROM shop.of_other')).toEqual({ o: '2' });
  });
});
