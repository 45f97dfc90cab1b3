/** `opendts schema`: the plan as a script, and what differs between two live databases. */
import { describe, expect, it } from 'vitest';
import { EXIT } from '../src/base/errors/exit.ts';
import { freshDatabase, freshPair } from './database.ts';
import { migrate } from './migration.ts';
import { richSchema } from './rich-schema.ts';
import { cliHome } from './spawn-cli.ts';

const NONE = /^no difference in \d+ steps$/m;

const ends = (pair: { source: { uri: string }; target: { uri: string } }) => [
  '--source',
  pair.source.uri,
  '--target',
  pair.target.uri,
];

describe.each([
  [12, 12],
  [15, 12],
  [18, 18],
  [12, 18],
] as const)('opendts schema, from %i to %i', (from, to) => {
  it('plan is a script that creates the same; diff finds nothing behind a migration, and then each thing that was changed, by name', async () => {
    await using pair = await freshPair(from, to);
    const { source, target } = pair;
    using home = cliHome();
    await source.session.query(richSchema(from < to ? from : to));
    await using scripted = await freshDatabase(to);
    const script = await home.run(['schema', 'plan', ...ends({ source, target: scripted })]);
    expect(script.code).toBe(EXIT.ok);
    await scripted.session.query(script.stdout);
    expect((await home.run(['schema', 'diff', ...ends({ source, target: scripted })])).stdout).toMatch(NONE);
    expect((await migrate(source, target, { types: ['schema'] })).outcome).toBe('completed');
    const same = await home.run(['schema', 'diff', ...ends(pair)]);
    expect(same.stdout).toMatch(NONE);
    expect(same.code).toBe(EXIT.ok);
    await target.session.query(`
      ALTER TABLE shop.customers ALTER name SET DEFAULT 'nobody';
      CREATE TABLE shop.more (id int);
      DROP VIEW IF EXISTS shop.more_view`);
    await source.session.query('CREATE VIEW shop.only_here AS SELECT 1 AS one');
    const changed = await home.run(['schema', 'diff', ...ends(pair)]);
    expect(changed.code).toBe(EXIT.differences);
    expect(changed.stdout).toContain('table shop.customers: differs');
    expect(changed.stdout).toContain('table shop.more: only on the target');
    expect(changed.stdout).toContain('view shop.only_here: only on the source');
    expect(changed.stdout).toMatch(/3 differences found/);
  });
});
