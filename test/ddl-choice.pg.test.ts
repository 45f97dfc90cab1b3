/** DDL on the source that a person has repeated on the target (opendts tables --apply), over kills and restarts as well. */
import { expect, it } from 'vitest';
import { freshPair } from './database.ts';
import { choose, columns, expectSame, SAFE, stopped, stopsFor, TABLES, told, until } from './ddl.ts';
import { follow } from './follow.ts';
import { compare, migrate } from './migration.ts';
import { cliHome } from './spawn-cli.ts';

it.each(['auto', 'off'] as const)(
  'a person has it made at each stop, to the state behind that command (capture of DDL: %s)',
  async (captureDdl) => {
    await using pair = await freshPair(17, 15, TABLES);
    const { source } = pair;
    const running = await follow(source, pair.target, { captureDdl });
    for (const [command, change] of [SAFE[0], SAFE[1], SAFE[4], SAFE[5], SAFE[6]]) {
      await source.session.query(command);
      await source.session.query(change);
      if (captureDdl === 'auto') continue;
      await until(async () => (await stopped(pair)).length === 1);
      await choose(pair, 'a', 'apply');
      await until(async () => (await stopped(pair)).length === 0);
    }
    // With event triggers all have been run before the first choice.
    for (let stops = 0; captureDdl === 'auto' && stops < 5; stops++) {
      await until(async () => (await stopped(pair))[0]?.choice === null);
      expect((await stopped(pair))[0]?.code).toBe('DDL_SEEN');
      const before = (await stopped(pair))[0]?.reason;
      await choose(pair, 'a', 'apply');
      await until(async () => (await stopped(pair))[0]?.reason !== before);
    }
    await until(async () => (await stopped(pair)).length === 0);
    await running.catchUp();
    await expectSame(pair);
  },
);

it.each(['ddl.before-commit', 'ddl.after-commit'])('kill -9 at %s costs nothing', async (failpoint) => {
  await using pair = await freshPair(18, 18, TABLES);
  const { source, target } = pair;
  using home = cliHome();
  const args = [
    'migrate',
    '--source',
    source.uri,
    '--target',
    target.uri,
    '--ddl',
    'apply',
    '--until',
    'caught-up',
  ];
  await home.run(args);
  await source.session.query('ALTER TABLE a ADD COLUMN n int DEFAULT 3; UPDATE a SET n = 4 WHERE id = 1');
  await source.session.query('ALTER TABLE a DROP COLUMN w; UPDATE a SET n = 5 WHERE id = 2');
  await home.run(args, { env: { OPENDTS_FAILPOINT: `${failpoint}:2` } });
  const again = await home.run(args);
  expect(again.stderr).not.toContain('stopped');
  await expectSame(pair);
});

it('the command line takes the choice, and refuses it for a table that has stopped for something else', async () => {
  await using pair = await freshPair(17, 15, TABLES);
  const { source, target } = pair;
  using home = cliHome();
  const tables = (...args: string[]) =>
    home.run(['tables', '--source', source.uri, '--target', target.uri, '--json', ...args]);
  const running = await follow(source, target);
  await target.session.query('INSERT INTO b VALUES (5)');
  await source.session.query('ALTER TABLE a DROP COLUMN w; INSERT INTO b VALUES (5)');
  await until(async () => (await stopped(pair)).length === 2);
  expect((await tables('--apply', 'public.*')).stderr).toMatch(
    /public\.b has not stopped at a change of its columns/,
  );
  expect(JSON.parse((await tables('--apply', 'a')).stdout)).toMatchObject({
    data: [{ choice: 'apply' }, { choice: null }],
  });
  await target.session.query('DELETE FROM b');
  await tables('--retry', 'b');
  await until(async () => (await stopped(pair)).length === 0);
  await running.catchUp();
  await expectSame(pair);
});

it('what a person has changed by hand is known when the next change is applied', async () => {
  await using pair = await freshPair(15, 17, TABLES);
  const { source, target } = pair;
  const running = await follow(source, target);
  for (const command of [
    'ALTER TABLE a RENAME COLUMN v TO x',
    'ALTER TABLE a DROP COLUMN w',
    'ALTER TABLE a ADD COLUMN w text',
    'ALTER TABLE a ADD COLUMN n int',
  ]) {
    await source.session.query(command);
    await until(async () => (await stopped(pair))[0]?.choice === null);
    await target.session.query(command);
    await choose(pair, 'a', 'retry');
    await until(async () => (await stopped(pair)).length === 0);
    await source.session.query('UPDATE a SET id = id');
  }
  for (const command of [
    'ALTER TABLE a DROP COLUMN n',
    'ALTER TABLE a RENAME COLUMN w TO z',
    'ALTER TABLE a DROP COLUMN x',
    'ALTER TABLE a ADD COLUMN n text',
  ]) {
    await source.session.query(command);
    await until(async () => (await stopped(pair))[0]?.choice === null);
    await choose(pair, 'a', 'apply');
    await until(async () => (await stopped(pair)).length === 0);
    await source.session.query('UPDATE a SET id = id');
  }
  await running.catchUp();
  await expectSame(pair);
});

it('a column that was dropped and added again under its name and type is noticed, and copied again', async () => {
  await using pair = await freshPair(18, 15, TABLES);
  const { source, target } = pair;
  const running = await follow(source, target);
  await source.session.query('ALTER TABLE a DROP COLUMN v, ADD COLUMN v text; INSERT INTO b VALUES (1)');
  await stopsFor(pair, /column "v" is another one on the source now/);
  await choose(pair, 'a', 'apply');
  await stopsFor(pair, /cannot be repeated .* another one than before/);
  await expect(running.catchUp()).rejects.toMatchObject({ code: 'TABLES_STOPPED' });
  // A start alone says nothing of the target.
  await expect(migrate(source, target)).rejects.toMatchObject({ code: 'TABLES_STOPPED' });
  const third = await follow(source, target);
  await until(async () => told(third).includes('column "v" is another one'));
  await target.session.query('ALTER TABLE a DROP COLUMN v, ADD COLUMN v text');
  await choose(pair, 'a', 'retry');
  await until(async () => (await stopped(pair)).length === 0);
  await source.session.query('ALTER TABLE a DROP COLUMN v, ADD COLUMN v text');
  await stopsFor(pair, /column "v" is another one/);
  await choose(pair, 'a', 'recopy');
  await until(async () => (await stopped(pair)).length === 0);
  await source.session.query("ALTER TABLE a ALTER COLUMN v SET DEFAULT 'x'; UPDATE a SET w = 5");
  await third.catchUp();
  expect((await compare(source, target)).differing).toEqual([]);
});

it('a table that test_decoding tells of is changed too', async () => {
  await using pair = await freshPair(17, 15, TABLES);
  const { source, target } = pair;
  const running = await follow(source, target, { decoder: 'test_decoding', ddl: 'apply' });
  for (const [command, change] of [SAFE[0], SAFE[1], SAFE[4]]) {
    await source.session.query(command);
    await source.session.query(change);
    await until(async () => (await columns(target)).length === (await columns(source)).length);
  }
  await running.catchUp();
  await expectSame(pair);
});

it('a filter that a renamed column has made unusable stops its table alone, also at the next start', async () => {
  await using pair = await freshPair(17, 15, TABLES);
  const { source, target } = pair;
  const rules = [{ tables: 'public.a', filter: 'w > 0' }];
  await migrate(source, target, { rules });
  await source.session.query(
    'ALTER TABLE a RENAME COLUMN w TO u; INSERT INTO a (id, u) VALUES (20, 1); INSERT INTO b VALUES (7)',
  );
  for (const ddl of ['apply', 'ask'] as const) {
    await expect(migrate(source, target, { rules, ddl })).rejects.toMatchObject({
      code: 'TABLES_STOPPED',
      facts: { problems: expect.stringMatching(/filter/) },
    });
  }
  expect(await target.session.query('SELECT id FROM b')).toEqual([{ id: '7' }]);
  expect(await target.session.query('SELECT FROM a WHERE id = 20')).toEqual([]);
});
