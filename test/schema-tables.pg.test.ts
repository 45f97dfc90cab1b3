/** What is refused of a schema and the data: rows never go where they would be lost or mixed, and wait for nothing else. */
import { expect, it } from 'vitest';
import { freshPair } from './database.ts';
import { follow } from './follow.ts';
import { compare, migrate } from './migration.ts';
import { ends, NORM, OTHER_NORM, relations, reportOf, SHOP } from './schema-states.ts';
import { cliHome } from './spawn-cli.ts';

const DATA = { types: ['schema', 'full'] } as const;

const TAGGED = `${SHOP};
  CREATE TABLE shop.tagged (id int PRIMARY KEY, tag ext.citext);
  INSERT INTO shop.tagged SELECT i, 'tag' FROM generate_series(1, 1000) i`;

const count = async (session: { one(sql: string): Promise<unknown> }, table: string) =>
  session.one(`SELECT count(*) AS n FROM ${table}`);

it('a table that is refused keeps all data waiting, until it is there and empty', async () => {
  await using pair = await freshPair(15, 18, TAGGED);
  using home = cliHome();
  const { source, target } = pair;
  const { session } = target;
  await session.query('CREATE EXTENSION citext');
  await expect(migrate(source, target, DATA)).rejects.toThrow(/shop\.tagged: .*No data was copied\.$/);
  expect(await count(session, 'shop.item')).toEqual({ n: '0' });
  // A person does it by hand, and puts rows in.
  await session.query(`ALTER EXTENSION citext SET SCHEMA ext; CREATE TABLE shop.tagged (id int, tag ext.citext NOT NULL);
    INSERT INTO shop.tagged VALUES (0, 'theirs')`);
  await expect(migrate(source, target, DATA)).rejects.toThrow(
    'table shop.tagged: it is there with another definition',
  );
  expect((await home.run(['schema', 'skip', 'table shop.tagged', ...ends(pair)])).code).toBe(0);
  await expect(migrate(source, target, DATA)).rejects.toThrow(
    'table shop.tagged: it holds rows, which would be mixed',
  );
  expect((await home.run(['schema', 'skip', '--undo', 'table shop.tagged', ...ends(pair)])).code).toBe(0);
  await session.query('ALTER TABLE shop.tagged ALTER tag DROP NOT NULL, ALTER id SET NOT NULL');
  await expect(migrate(source, target, DATA)).rejects.toThrow(
    'table shop.tagged: the table is there already and holds rows',
  );
  expect(await session.query('SELECT * FROM shop.tagged')).toEqual([{ id: '0', tag: 'theirs' }]);
  await session.query('TRUNCATE shop.tagged');
  expect((await migrate(source, target, DATA)).outcome).toBe('completed');
  expect((await reportOf(pair, home)).lines).toEqual(['exists-identical table shop.tagged']);
  expect((await compare(source, target)).differing).toEqual([]);
});

it('a table that is done without must be there for its rows', async () => {
  await using pair = await freshPair(15, 15, TAGGED);
  using home = cliHome();
  const { source, target } = pair;
  await target.session.query('CREATE EXTENSION citext');
  await expect(migrate(source, target, DATA)).rejects.toThrow('No data was copied');
  await home.run(['schema', 'skip', 'table shop.tagged', NORM, ...ends(pair)]);
  await expect(migrate(source, target, DATA)).rejects.toThrow('table shop.tagged: it is not on the target');
  const sql = 'CREATE TABLE shop.tagged (id int NOT NULL, tag text); INSERT INTO shop.tagged VALUES (1)';
  await home.run(['schema', 'edit', 'table shop.tagged', '--sql', sql, ...ends(pair)]);
  await expect(migrate(source, target, DATA)).rejects.toThrow('table shop.tagged: it holds rows');
  await target.session.query('TRUNCATE shop.tagged');
  await expect(migrate(source, target, DATA)).rejects.toThrow('All data is copied');
  expect(await count(target.session, 'shop.tagged')).toEqual({ n: '1000' });
});

it('a view and an index that are refused keep no change waiting, but the migration does not end as if all were well', async () => {
  await using pair = await freshPair(15, 18, SHOP);
  using home = cliHome();
  const { source, target } = pair;
  await target.session.query('CREATE EXTENSION citext');
  const running = await follow(source, target);
  await source.session.query(
    "INSERT INTO shop.item VALUES (4, 'D'); UPDATE shop.item SET name = 'E' WHERE id = 1",
  );
  await expect(running.catchUp()).rejects.toThrow(
    /^1 object of .*For them 3 more wait\. The data is in step with the source, and the sequences are set\.$/,
  );
  expect(running.events.some(({ message }) => message.startsWith(`not created: ${NORM}`))).toBe(true);
  expect((await compare(source, target)).differing).toEqual([]);
  expect(await relations(target)).toEqual(['item', 'item_name', 'item_pkey', 'plain']);
  await home.run(['schema', 'edit', NORM, '--sql', OTHER_NORM, ...ends(pair)]);
  expect((await migrate(source, target)).outcome).toBe('caught-up');
  expect(await relations(target)).toEqual([
    'item',
    'item_name',
    'item_norm',
    'item_pkey',
    'more_names',
    'names',
    'plain',
  ]);
});

it('a foreign key that the rows break keeps no change waiting, and may be done without', async () => {
  await using pair = await freshPair(
    15,
    18,
    `CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a);
     INSERT INTO a VALUES (1); INSERT INTO b VALUES (1, 1);
     SET session_replication_role = replica; INSERT INTO b VALUES (2, 7); RESET session_replication_role`,
  );
  using home = cliHome();
  const { source, target } = pair;
  const id = 'validation of foreign key public.b.b_a_fkey';
  await expect(migrate(source, target)).rejects.toThrow(
    new RegExp(`^1 object .*: ${id}: .* violates foreign key constraint .*in step with the source`),
  );
  await source.session.query('INSERT INTO b VALUES (3, 1)');
  await home.run(['schema', 'skip', id, ...ends(pair)]);
  expect((await migrate(source, target)).outcome).toBe('caught-up');
  expect((await compare(source, target)).differing).toEqual([]);
});

it('a key that is refused keeps the changes waiting, because rows are found by it', async () => {
  await using pair = await freshPair(
    15,
    18,
    'CREATE TABLE t (id int PRIMARY KEY, v int); CREATE TABLE u (id int)',
  );
  const { source, target } = pair;
  await target.session.query(`
    CREATE FUNCTION public.refuse() RETURNS event_trigger LANGUAGE plpgsql AS
      $$ BEGIN IF current_query() ~ 't_pkey' THEN RAISE EXCEPTION 'not now'; END IF; END $$;
    CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION public.refuse()`);
  await source.session.query('INSERT INTO t VALUES (1, 1)');
  await expect(migrate(source, target)).rejects.toThrow(
    /^1 object .*index of primary key public\.t\.t_pkey: not now.*Changes are not applied before the keys are there\.$/,
  );
  await target.session.query('DROP EVENT TRIGGER refuse');
  await source.session.query('UPDATE t SET v = 2');
  expect((await migrate(source, target)).outcome).toBe('caught-up');
  expect((await compare(source, target)).differing).toEqual([]);
});

it('a partition that is refused waits with the data, and is created by other SQL under its id', async () => {
  await using pair = await freshPair(
    15,
    18,
    `CREATE SCHEMA ext; CREATE EXTENSION citext SCHEMA ext;
     CREATE FUNCTION public.f(ext.citext) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 5';
     CREATE TABLE p (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);
     CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
     CREATE TABLE p2 (id int NOT NULL, v int CHECK (v < public.f('x'::ext.citext)));
     ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (10) TO (20);
     INSERT INTO p VALUES (1, 1), (11, 2)`,
  );
  using home = cliHome();
  const { source, target } = pair;
  await target.session.query('CREATE EXTENSION citext');
  const data = () => migrate(source, target, DATA);
  await expect(data()).rejects.toThrow('No data was copied');
  await expect(data()).rejects.toThrow('No data was copied');
  expect((await reportOf(pair, home)).lines).toEqual([
    'failed function public.f(ext.citext)',
    'waiting table public.p2',
  ]);
  const sql = `CREATE TABLE public.p2 (id int NOT NULL, v int);
    ALTER TABLE public.p ATTACH PARTITION public.p2 FOR VALUES FROM (10) TO (20)`;
  await home.run(['schema', 'skip', 'function public.f(ext.citext)', ...ends(pair)]);
  await home.run(['schema', 'edit', 'table public.p2', '--sql', sql, ...ends(pair)]);
  expect((await data()).outcome).toBe('completed');
  expect(await target.session.query('SELECT id FROM p ORDER BY id')).toEqual([{ id: '1' }, { id: '11' }]);
});

it('a migration that was begun by an older version goes on', async () => {
  await using pair = await freshPair(15, 15, 'CREATE TABLE t (id int PRIMARY KEY)');
  using home = cliHome();
  const { source, target } = pair;
  expect((await migrate(source, target)).outcome).toBe('caught-up');
  await target.session
    .query(`DROP TABLE _opendts.not_migrated, _opendts.complete_schema, _opendts.halted, _opendts.asked_table;
    ALTER TABLE _opendts.object DROP COLUMN state, DROP COLUMN phase, DROP COLUMN statements, DROP COLUMN problem, DROP COLUMN edited`);
  await source.session.query('INSERT INTO t VALUES (1); CREATE INDEX t_id ON t (id)');
  const report = await reportOf(pair, home);
  expect(report.code).toBe(0);
  expect(report.objects.get('table public.t')).toMatchObject({ state: 'created', phase: null });
  expect((await migrate(source, target)).outcome).toBe('caught-up');
  expect((await compare(source, target)).differing).toEqual([]);
});
