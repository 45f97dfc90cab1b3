/** Partitioned tables that become plain ones on the target: what is made of them, what is said, and all of their rows. */
import { describe, expect, it } from 'vitest';
import { EXIT } from '../src/base/errors/exit.ts';
import { diffPlans } from '../src/engine/schema/diff.ts';
import { withPlainPartitions } from '../src/engine/schema/plain-partitions.ts';
import { planSchema, type SchemaScope } from '../src/engine/schema/plan.ts';
import { readModel } from '../src/engine/schema/read-model.ts';
import { readCommonFacts } from '../src/engine/schema/read-target-facts.ts';
import { openCanonical } from '../src/engine/schema/rewrite/canonical.ts';
import { freshPair, type DatabasePair, type TestDatabase } from './database.ts';
import type { Major } from './global-setup.ts';
import { kindsSchema, ROLES } from './kinds-schema.ts';
import { comparePlain, migrate } from './migration.ts';
import { richSchema } from './rich-schema.ts';
import { cliHome } from './spawn-cli.ts';
import { firstOf } from './matrix.ts';

/** What a partitioned table can have, and what its partitions can have for themselves. */
const schemaOf = (major: Major) => `
  CREATE SCHEMA shop;
  CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
  CREATE TABLE shop.region (id int PRIMARY KEY); INSERT INTO shop.region VALUES (1), (2), (3);
  CREATE TABLE shop.orders (id bigserial, at int NOT NULL, region int REFERENCES shop.region, v text DEFAULT 'none' CHECK (v <> ''),
    up text GENERATED ALWAYS AS (upper(v)) STORED, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
  CREATE INDEX "by v ON ONLY me" ON shop.orders (lower(v)) WHERE v <> 'ON ONLY x';
  CREATE UNIQUE INDEX orders_at_id ON shop.orders (at, id) INCLUDE (v);
  CREATE TABLE shop.orders_0 PARTITION OF shop.orders FOR VALUES FROM (0) TO (10);
  CREATE TABLE shop.orders_1 PARTITION OF shop.orders FOR VALUES FROM (10) TO (20) PARTITION BY LIST (at);
  CREATE TABLE shop.orders_1a PARTITION OF shop.orders_1 FOR VALUES IN (10, 11, 12);
  CREATE TABLE shop.orders_1b (gone int, up text GENERATED ALWAYS AS (upper(v)) STORED, v text CHECK (v <> ''), region int, at int NOT NULL, id bigint NOT NULL);
  ALTER TABLE shop.orders_1b DROP gone; ALTER TABLE shop.orders_1b RENAME CONSTRAINT orders_1b_v_check TO orders_v_check;
  ALTER TABLE shop.orders_1 ATTACH PARTITION shop.orders_1b DEFAULT;
  CREATE TABLE shop.orders_rest PARTITION OF shop.orders DEFAULT;
  CREATE TABLE shop.lines (order_id bigint, at int, n int, FOREIGN KEY (order_id, at) REFERENCES shop.orders ON DELETE CASCADE);
  CREATE TABLE shop.hashed (id int PRIMARY KEY, v text) PARTITION BY HASH (id);
  CREATE TABLE shop.hashed_0 PARTITION OF shop.hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
  CREATE TABLE shop.hashed_1 PARTITION OF shop.hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
  CREATE TABLE shop.keyless (a int, b text) PARTITION BY LIST (a);
  CREATE TABLE shop.keyless_1 PARTITION OF shop.keyless FOR VALUES IN (1); CREATE TABLE shop.keyless_2 PARTITION OF shop.keyless DEFAULT;
  CREATE TABLE shop.empty (a int) PARTITION BY LIST (a);
  CREATE VIEW shop.totals AS SELECT region, count(*) AS n FROM shop.orders GROUP BY region;
  CREATE MATERIALIZED VIEW shop.kept AS SELECT id, at, up FROM shop.orders;
  CREATE FUNCTION shop.sum_up() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM shop.orders';
  CREATE TRIGGER touched AFTER INSERT ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.touch();
  CREATE RULE nothing AS ON DELETE TO shop.hashed DO ALSO NOTHING;
  CREATE STATISTICS shop.together ON at, region FROM shop.orders;
  CREATE POLICY mine ON shop.orders USING (region = 1); ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY;
  COMMENT ON TABLE shop.orders IS 'all'; COMMENT ON COLUMN shop.orders.v IS 'value'; COMMENT ON INDEX shop.orders_at_id IS 'index';
  COMMENT ON TABLE shop.orders_0 IS 'first';
  ${
    major >= 17
      ? `CREATE TABLE shop.numbered (id int GENERATED ALWAYS AS IDENTITY (START 5), k int, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
         CREATE TABLE shop.numbered_1 PARTITION OF shop.numbered FOR VALUES IN (1); CREATE TABLE shop.numbered_2 PARTITION OF shop.numbered DEFAULT;
         INSERT INTO shop.numbered (k) SELECT i % 3 FROM generate_series(1, 20) i;`
      : ''
  }
  INSERT INTO shop.orders (at, region, v) SELECT i % 40, 1 + i % 3, 'v' || i FROM generate_series(1, 200) i;
  INSERT INTO shop.lines SELECT id, at, 1 FROM shop.orders;
  INSERT INTO shop.hashed SELECT i, i::text FROM generate_series(1, 50) i;
  INSERT INTO shop.keyless SELECT i % 3, 'x' FROM generate_series(1, 30) i;
  REFRESH MATERIALIZED VIEW shop.kept;
  CREATE TABLE shop.other (at int PRIMARY KEY);
  CREATE INDEX orders_0_own ON shop.orders_0 (at);
  CREATE SEQUENCE shop.first_seq OWNED BY shop.orders_0.region;
  ALTER TABLE shop.orders_0 ADD CONSTRAINT small CHECK (at < 10), ALTER v SET DEFAULT 'zero', ALTER region SET NOT NULL,
    ADD CONSTRAINT v_once UNIQUE (v), REPLICA IDENTITY FULL;
  ALTER TABLE shop.orders_1a ADD CONSTRAINT to_other FOREIGN KEY (at) REFERENCES shop.other NOT VALID;
  CREATE TRIGGER own BEFORE INSERT ON shop.orders_0 FOR EACH ROW EXECUTE FUNCTION shop.touch();
  CREATE POLICY of_first ON shop.orders_0 USING (true);
  CREATE VIEW shop.first AS SELECT id FROM shop.orders_0; CREATE VIEW shop.of_first AS SELECT id FROM shop.first;
  CREATE FUNCTION shop.count_first() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM ONLY shop.orders_0';
  CREATE TABLE shop.to_leaf (v text REFERENCES shop.orders_0 (v))`;

const ONLY = 'only partition shop.orders_0 has it, whose rows stand in the plain table shop.orders';
const SAID = [
  `NOT NULL of column shop.orders_0.region: ${ONLY}`,
  'body of function shop.count_first(): it is created as it is, but names partition shop.orders_0, whose rows stand in the plain table shop.orders',
  `check constraint shop.orders_0.small: ${ONLY}`,
  `default shop.orders_0.v: ${ONLY}`,
  'foreign key shop.orders_1a.to_other: only partition shop.orders_1a has it, whose rows stand in the plain table shop.orders',
  'foreign key shop.to_leaf.to_leaf_v_fkey: needs partition shop.orders_0, which has no table of its own: its rows stand in shop.orders',
  `index shop.orders_0_own: ${ONLY}`,
  `policy shop.orders_0.of_first: ${ONLY}`,
  `replica identity full of table shop.orders_0: ${ONLY}`,
  `sequence shop.first_seq: ${ONLY}`,
  `trigger shop.orders_0.own: ${ONLY}`,
  `unique constraint shop.orders_0.v_once: ${ONLY}`,
  'view shop.first: needs partition shop.orders_0, which has no table of its own: its rows stand in shop.orders',
  'view shop.of_first: needs view shop.first, which is not migrated',
];

const everything: SchemaScope = { includesTable: () => true, wholeDatabase: true, done: new Set() };

/** What `opendts schema diff` finds. */
async function differences({ source, target }: DatabasePair): Promise<string[]> {
  await using here = await source.open();
  await using there = await target.open();
  const [wanted, found] = [await readModel(here), await readModel(there)];
  const facts = await readCommonFacts(here, there);
  const plans = [wanted, found].map((model) => planSchema(withPlainPartitions(model), everything, facts));
  return diffPlans(plans[0]!, plans[1]!, await openCanonical()).map(
    ({ id, source: one, target: other }) => `${id}: ${one.join('; ')} | ${other.join('; ')}`,
  );
}

async function lines(db: TestDatabase, sql: string): Promise<string[]> {
  return (await db.session.query(sql)).map((row) => Object.values(row).join(' '));
}

describe.each<[Major, Major]>(
  firstOf(2, [
    [12, 18],
    [18, 12],
    [15, 15],
    [17, 17],
  ]),
)('partitioned tables of %i as plain ones of %i', (from, to) => {
  it('have their columns, constraints, indexes, triggers and all rows; what a partition has alone is said', async () => {
    await using pair = await freshPair(from, to, schemaOf(from));
    const { source, target } = pair;
    const { notMigrated } = await migrate(source, target, { types: ['schema', 'full'], partitions: 'plain' });
    expect(notMigrated.toSorted()).toEqual(SAID);
    expect((await comparePlain(source, target)).differing).toEqual([]);
    expect(await differences(pair)).toEqual([]);
    expect(
      await lines(
        target,
        `SELECT relkind, relname FROM pg_class WHERE relnamespace = 'shop'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1, 2`,
      ),
    ).toEqual(
      [
        'empty',
        'hashed',
        'keyless',
        'lines',
        ...(from >= 17 ? ['numbered'] : []),
        'orders',
        'other',
        'region',
        'to_leaf',
      ].map((name) => `r ${name}`),
    );
    expect(
      await lines(
        target,
        `SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'shop.orders'::regclass ORDER BY 1`,
      ),
    ).toEqual([
      `CREATE INDEX "by v ON ONLY me" ON shop.orders USING btree (lower(v)) WHERE (v <> 'ON ONLY x'::text)`,
      'CREATE UNIQUE INDEX orders_at_id ON shop.orders USING btree (at, id) INCLUDE (v)',
      'CREATE UNIQUE INDEX orders_pkey ON shop.orders USING btree (id, at)',
    ]);
    for (const sql of [
      'SELECT region, n FROM shop.totals ORDER BY 1',
      'SELECT count(*) AS n FROM shop.kept',
      'SELECT shop.sum_up() AS n',
      `SELECT conname, convalidated FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 AND conrelid IN ('shop.orders'::regclass, 'shop.lines'::regclass) ORDER BY 1`,
      `SELECT polname FROM pg_policy WHERE polrelid = 'shop.orders'::regclass`,
    ])
      expect(await lines(target, sql), sql).toEqual(await lines(source, sql));
    // Foreign keys hold in both directions, and numbers go on.
    await expect(target.session.query('INSERT INTO shop.lines VALUES (-1, -1, 1)')).rejects.toThrow(/lines/);
    await target.session.query(
      'INSERT INTO shop.orders (at, region) VALUES (99, 3); DELETE FROM shop.orders WHERE at = 5',
    );
    expect(await lines(target, 'SELECT count(*) FROM shop.lines WHERE at = 5')).toEqual(['0']);
    if (from >= 17) {
      await target.session.query('INSERT INTO shop.numbered (k) VALUES (1)');
      expect(await lines(target, 'SELECT max(id) FROM shop.numbered')).toEqual(['25']);
    }
  });
});

describe.each<[Major, Major]>([
  [12, 12],
  [18, 18],
])('every kind of object, from %i to %i', (from, to) => {
  it('stands as it was where partitioned tables are plain', async () => {
    await using pair = await freshPair(from, to);
    for (const { session } of [pair.source, pair.target]) await session.query(ROLES);
    await pair.source.session.query(richSchema(from < to ? from : to));
    await pair.source.session.query(kindsSchema(from < to ? from : to));
    const { notMigrated } = await migrate(pair.source, pair.target, {
      types: ['schema'],
      partitions: 'plain',
    });
    // Only what belongs to partitions.
    expect(notMigrated.filter((line) => !/partition/.test(line))).toEqual([]);
    expect(await differences(pair)).toEqual([]);
    expect(await lines(pair.target, `SELECT relname FROM pg_class WHERE relkind IN ('p', 'I')`)).toEqual([]);
  });
});

const SMALL = `CREATE SCHEMA s; CREATE TABLE s.p (id int PRIMARY KEY, v text) PARTITION BY RANGE (id); CREATE INDEX p_v ON s.p (v);
  CREATE TABLE s.p_0 PARTITION OF s.p FOR VALUES FROM (0) TO (100); CREATE TABLE s.p_1 PARTITION OF s.p FOR VALUES FROM (100) TO (200);
  INSERT INTO s.p SELECT i, 'x' FROM generate_series(0, 199) i`;

describe('partitions: plain, at the command line', () => {
  it('is listed before the start, planned, migrated, verified and compared', async () => {
    await using pair = await freshPair(15, 18, `${SMALL}; CREATE INDEX own ON s.p_0 (v, id)`);
    using home = cliHome();
    const ends = ['--source', pair.source.uri, '--target', pair.target.uri, '--partitions', 'plain'];
    const check = await home.run(['check', ...ends]);
    expect(check.code).toBe(EXIT.ok);
    expect(check.stdout).toContain(
      '1 partitioned table becomes a plain table, with the rows of 2 partitions',
    );
    expect(check.stdout).toContain('index s.own: only partition s.p_0 has it');
    expect(check.stdout).toMatch(/opendts migrate .*--partitions plain/);
    const plan = await home.run(['schema', 'plan', ...ends]);
    expect(plan.stdout).toContain('CREATE INDEX p_v ON s.p USING btree (v)');
    expect(plan.stdout).not.toMatch(/PARTITION BY|ATTACH PARTITION|"p_0"/);
    const migrated = await home.run(['migrate', ...ends, '--until', 'caught-up']);
    expect(migrated.code).toBe(EXIT.ok);
    expect(migrated.stderr).toContain('partitioned tables that become plain ones: s.p');
    expect(migrated.stdout).toContain('index s.own: only partition s.p_0 has it');
    expect((await home.run(['schema', 'diff', ...ends])).stdout).toMatch(/^no difference/m);
    const verified = await home.run(['verify', ...ends]);
    expect(verified.stdout).toMatch(/identical: 1 table, 200 rows/);
    expect(verified.code).toBe(EXIT.ok);
    // The partitions that are kept in the words of the options are another migration.
    const other = await home.run(['migrate', ...ends.slice(0, 4), '--until', 'caught-up']);
    expect(other.stderr + other.stdout).toContain('partitions: plain, now keep');
  });

  it.each([
    ['plain', 'CREATE TABLE s.p (v text, id int PRIMARY KEY)'],
    [
      'partitioned',
      `CREATE TABLE s.p (id int PRIMARY KEY, v text) PARTITION BY HASH (id); CREATE TABLE s.h PARTITION OF s.p FOR VALUES WITH (MODULUS 1, REMAINDER 0)`,
    ],
  ])('fills a table of the user that is %s', async (_, sql) => {
    await using pair = await freshPair(17, 12, SMALL);
    await pair.target.session.query(`CREATE SCHEMA s; ${sql}`);
    await migrate(pair.source, pair.target, { types: ['full', 'incremental'], partitions: 'plain' });
    await pair.source.session.query(
      `DELETE FROM s.p WHERE id BETWEEN 160 AND 190; UPDATE s.p SET id = 250 - id WHERE id BETWEEN 60 AND 90; UPDATE s.p SET v = 'y' WHERE id % 7 = 0; DELETE FROM s.p WHERE id % 5 = 0`,
    );
    await migrate(pair.source, pair.target, { types: ['full', 'incremental'], partitions: 'plain' });
    expect((await comparePlain(pair.source, pair.target)).differing).toEqual([]);
  });
});

describe('what cannot stand in a plain table', () => {
  const failing = async (sql: string) => {
    await using pair = await freshPair(15, 15, sql);
    return await migrate(pair.source, pair.target, { partitions: 'plain' }).then(
      () => expect.unreachable('the checks should have failed'),
      (thrown: Error) => thrown.message,
    );
  };

  it('fails the checks: values that only a partition computes, rows that only some partitions log, a table of the name', async () => {
    expect(
      await failing(
        `CREATE TABLE p (id int, v int) PARTITION BY LIST (id); CREATE TABLE p_1 (id int, v int GENERATED ALWAYS AS (id * 2) STORED);
         ALTER TABLE p ATTACH PARTITION p_1 FOR VALUES IN (1)`,
      ),
    ).toMatch(/generated in partitions but not in their table.*public\.p_1\.v/);
    expect(
      await failing(
        `CREATE TABLE p (id int) PARTITION BY LIST (id); CREATE TABLE p_1 PARTITION OF p FOR VALUES IN (1); CREATE UNLOGGED TABLE p_2 PARTITION OF p FOR VALUES IN (2)`,
      ),
    ).toMatch(/1 unlogged partition beside logged ones.*public\.p_2/);
    await using pair = await freshPair(15, 15, SMALL);
    await pair.target.session.query(
      'CREATE SCHEMA s; CREATE TABLE s.p (id int); CREATE TABLE s.p_0 (id int)',
    );
    await expect(migrate(pair.source, pair.target, { partitions: 'plain' })).rejects.toThrow(
      /already has 1 table that would be created \(s\.p\)/,
    );
  });
});
