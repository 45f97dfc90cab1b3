import { describe, expect, it } from 'vitest';
import type { TableModel } from '../src/engine/schema/model.ts';
import { planSchema, type SchemaPlan, type SchemaScope } from '../src/engine/schema/plan.ts';
import { readModel } from '../src/engine/schema/read-model.ts';
import { readTargetFacts } from '../src/engine/schema/read-target-facts.ts';
import { runSteps, type StepRunner } from '../src/engine/schema/run/run-steps.ts';
import { connect } from '../src/engine/pg/connect.ts';
import { awkwardKinds } from './awkward-kinds.ts';
import { freshDatabase, type TestDatabase } from './database.ts';
import type { Major } from './global-setup.ts';
import { kindsSchema, ODD, READER, ROLES, WRITER } from './kinds-schema.ts';
import { migrate } from './migration.ts';
import { rawCatalog } from './raw-catalog.ts';
import { richSchema } from './rich-schema.ts';
import { cliHome } from './spawn-cli.ts';

const everything: SchemaScope = { includesTable: () => true, wholeDatabase: true, done: new Set() };

async function planFor(source: TestDatabase, target: TestDatabase): Promise<SchemaPlan> {
  await using session = await source.open();
  await using there = await target.open();
  const model = await readModel(session);
  return planSchema(model, everything, await readTargetFacts(there, model));
}

function runner(target: TestDatabase, given: Partial<StepRunner> = {}): StepRunner {
  return {
    open: () => target.open(),
    jobs: 2,
    done: new Set(),
    record: async () => {},
    onDone: () => {},
    duringIndex: () => {},
    signal: new AbortController().signal,
    ...given,
  };
}

async function migrateSchema(source: TestDatabase, target: TestDatabase): Promise<SchemaPlan> {
  const plan = await planFor(source, target);
  await runSteps(plan.steps, runner(target));
  return plan;
}

/** What two databases with the same schema differ in. */
const OWN = new Set(['oid', 'rootOid', 'typeOid', 'bytes', 'estimatedRows', 'attnum', 'partKey']);

/**
 * The model that our own readers make of a database, one line for every object, with names instead of oids: two databases have the same
 * schema exactly when these are equal. Positions of columns are left out, since dropped ones leave gaps.
 */
async function modelOf(db: TestDatabase, ignored: readonly string[]): Promise<Record<string, string[]>> {
  await using session = await db.open();
  const { builtins: _, notMigrated: _n, version: _v, rights: _r, ...read } = await readModel(session);
  const model = {
    ...read,
    ...read.operatorClasses,
    ...read.textSearch,
    tables: read.tables.map(withoutOrigin),
  };
  const keys = new Set(JSON.stringify(model, withoutOwn).match(/"pg_[a-z_]+:\d+"/g));
  const parts = [...keys].map((key) => key.slice(1, -1).split(':'));
  const rows = await session.query(
    `SELECT k.catalog || ':' || k.oid AS key, k.catalog || ' ' || i.identity AS name
       FROM pg_catalog.json_to_recordset($1::json) k(catalog text, oid oid),
            LATERAL pg_catalog.pg_identify_object(('pg_catalog.' || k.catalog)::regclass, k.oid, 0) i`,
    [JSON.stringify(parts.map(([catalog, oid]) => ({ catalog, oid: Number(oid) })))],
  );
  const names = new Map(rows.map((row) => [row.key, row.name ?? '']));
  const line = (one: unknown) =>
    JSON.stringify(one, (key, value: unknown) => {
      const known = typeof value === 'string' ? (names.get(value) ?? value) : value;
      return ignored.includes(key) ? undefined : withoutOwn(key, known);
    });
  return Object.fromEntries(
    Object.entries(model).map(([kind, objects]) => {
      const list: readonly unknown[] = Array.isArray(objects) ? objects : [objects];
      return [kind, [...new Set(list.map(line))].toSorted()];
    }),
  );
}

/** Whether a partition has its NOT NULL from its parent cannot be said in DDL: it is created first, and attached. */
function withoutOrigin({ definition, ...table }: TableModel): object {
  if (!table.info.isPartition) return { ...table, definition };
  const columns = definition.columns.map(({ notNullConstraint, ...column }) => {
    const { isInherited: _, ...constraint } = notNullConstraint ?? { isInherited: false };
    return { ...column, constraint };
  });
  return { ...table, definition: { ...definition, columns } };
}

function withoutOwn(key: string, value: unknown): unknown {
  if (OWN.has(key)) return undefined;
  return typeof value === 'bigint' ? String(value) : value;
}

/** Dependencies are of no interest in themselves; those of names that the server chose would differ. */
async function expectSameModel(
  source: TestDatabase,
  target: TestDatabase,
  ignored: readonly string[] = [],
): Promise<void> {
  const [wanted, found] = [await modelOf(source, ignored), await modelOf(target, ignored)];
  expectSame(wanted, found);
}

/** Only what differs is shown. */
function expectSame(wanted: Record<string, string[]>, found: Record<string, string[]>): void {
  const differing = Object.keys(wanted).flatMap((kind) => {
    if (kind === 'dependencies') return [];
    const [here, there] = [new Set(wanted[kind]), new Set(found[kind])];
    return [
      ...[...here].filter((line) => !there.has(line)).map((line) => `missing ${kind}: ${line}`),
      ...[...there].filter((line) => !here.has(line)).map((line) => `surplus ${kind}: ${line}`),
    ];
  });
  expect(differing).toEqual([]);
}

/** In a round trip: since PostgreSQL 14 some members of a class belong to its family only, before 18 NOT NULL has no name. */
const LOST_ON_THE_WAY = ['operatorClass', 'notNullConstraint', 'constraint'];

describe.each<[Major, Major]>([
  [12, 18],
  [12, 15],
  [15, 12],
  [18, 12],
])('what PostgreSQL 12 can do, migrated from %i to %i and back', (from, to) => {
  it('is what it was', async () => {
    await using source = await freshDatabase(from);
    await using between = await freshDatabase(to);
    await using back = await freshDatabase(from);
    await source.session.query(richSchema(12));
    await source.session.query(kindsSchema(12));
    for (const db of [between, back]) await db.session.query(ROLES);
    const plans = [await migrateSchema(source, between), await migrateSchema(between, back)];
    expect(plans.flatMap((plan) => [...plan.notMigrated, ...plan.blocked])).toEqual([]);
    await expectSameModel(source, back, LOST_ON_THE_WAY);
  });
});

describe.each<Major>([12, 15, 17, 18])('every kind of object of PostgreSQL %i', (major) => {
  it('is on a target of that version what it was, and a second run finds nothing to do', async () => {
    await using source = await freshDatabase(major);
    await using target = await freshDatabase(major);
    await source.session.query(richSchema(major));
    await source.session.query(kindsSchema(major));
    const plan = await migrateSchema(source, target);
    expect([...plan.notMigrated, ...plan.blocked]).toEqual([]);
    expect(new Set(plan.steps.map((step) => step.id)).size).toBe(plan.steps.length);
    await expectSameModel(source, target);
    expectSame(await rawCatalog(source), await rawCatalog(target));
    const done = new Set(plan.steps.map((step) => step.id));
    await runSteps(
      plan.steps,
      runner(target, { done, open: () => Promise.reject(new Error('nothing to do')) }),
    );
  });
});

describe.each<[Major, Major]>([
  [12, 12],
  [15, 15],
  [18, 18],
  [12, 18],
  [15, 12],
])('every kind of object under awkward names, from %i to %i', (from, to) => {
  it('is what it was, by its definitions and by the catalog', async () => {
    await using source = await freshDatabase(from);
    await using target = await freshDatabase(to);
    await source.session.query(awkwardKinds());
    const { notMigrated } = await migrate(source, target, { types: ['schema'] });
    expect(notMigrated).toEqual([]);
    using home = cliHome();
    const diff = await home.run(['schema', 'diff', '--source', source.uri, '--target', target.uri]);
    expect(diff.stdout).toMatch(/^no difference in \d+ steps$/m);
    if (from !== to) return;
    await target.session.query('DROP SCHEMA _opendts CASCADE');
    await expectSameModel(source, target);
    expectSame(await rawCatalog(source), await rawCatalog(target));
  });
});

describe('a schema with more than the target can do', () => {
  it('is left out by name, or made as the target can have it, before anything runs', async () => {
    await using source = await freshDatabase(18);
    await using target = await freshDatabase(12);
    await target.session.query(ROLES);
    await source.session.query(`${kindsSchema(18)}
      CREATE FUNCTION kinds.uses_uuid() RETURNS uuid LANGUAGE sql RETURN gen_random_uuid();
      CREATE TABLE kinds.with_uuid (id uuid DEFAULT gen_random_uuid())`);
    await source.session.query(`
      CREATE DOMAIN kinds.on_ruled AS text COLLATE kinds.ruled;
      CREATE TABLE kinds.with_ruled (v kinds.on_ruled);
      CREATE TEXT SEARCH DICTIONARY kinds.hindi (TEMPLATE = snowball, LANGUAGE = hindi);
      CREATE TEXT SEARCH CONFIGURATION kinds.in_hindi (COPY = simple);
      ALTER TEXT SEARCH CONFIGURATION kinds.in_hindi ALTER MAPPING FOR word WITH kinds.hindi`);
    const plan = await planFor(source, target);
    expect(plan.blocked.map(({ table, reason }) => `${table.name}: ${reason}`)).toEqual([
      'uses_multirange: the target has no type int4multirange',
      'with_ruled: needs domain kinds.on_ruled, which is not migrated',
    ]);
    expect(plan.notMigrated.toSorted()).toEqual([
      'collation kinds.of_the_server: collations of the server itself need PostgreSQL 17 on the target',
      'collation kinds.ruled: RULES need PostgreSQL 16 on the target',
      'column kinds.newest.v as virtual: virtual generated columns need PostgreSQL 18 on the target; it is a stored one there',
      'default kinds.with_uuid.id: the target has no function gen_random_uuid()',
      'domain kinds.on_ruled: needs collation kinds.ruled, which is not migrated',
      'foreign key kinds.newest_child.newest_child_a_at_fkey: PERIOD needs PostgreSQL 18 on the target',
      'foreign key kinds.newest_child.soft: NOT ENFORCED needs PostgreSQL 18 on the target',
      'function kinds.uses_uuid(): a body in standard SQL needs PostgreSQL 14 on the target',
      'index kinds.places_bloom: parameters of operator classes need PostgreSQL 13 on the target',
      'index kinds.places_siglen: parameters of operator classes need PostgreSQL 13 on the target',
      'not-null constraint kinds.newest.later: NOT NULL … NOT VALID needs PostgreSQL 18 on the target',
      'option autovacuum_vacuum_insert_threshold=55 of table kinds.places: it needs PostgreSQL 13 on the target',
      'option deduplicate_items=off of index kinds.places_dedup: it needs PostgreSQL 13 on the target',
      'primary key kinds.newest.newest_pkey: WITHOUT OVERLAPS needs PostgreSQL 18 on the target',
      'statistics kinds.expressed: statistics over expressions need PostgreSQL 14 on the target',
      `statistics target of statistics ${ODD}."Stat.""istics""": it needs PostgreSQL 13 on the target`,
      'text search configuration kinds.in_hindi: needs text search dictionary kinds.hindi, which is not migrated',
      'text search dictionary kinds.hindi: no Snowball stemmer available for language "hindi" and encoding "UTF8"',
      'view kinds.newer_form: SEARCH in WITH RECURSIVE needs PostgreSQL 14 on the target',
      'view kinds.newer_function: the target has no function date_bin()',
    ]);
    const blocked = new Set(['table kinds.uses_multirange', 'table kinds.with_ruled']);
    await runSteps(
      plan.steps.filter(({ id }) => !blocked.has(id)),
      runner(target),
    );
  });
});

describe('row-level security', () => {
  const SECRETS = `
    CREATE TABLE public.secret (id integer PRIMARY KEY, owner name);
    ALTER TABLE public.secret ENABLE ROW LEVEL SECURITY;`;

  it('is switched on although a role of its policies is missing, and the policy is left out for that role', async () => {
    await using source = await freshDatabase(15);
    await using target = await freshDatabase(17);
    await source.session.query(`
      CREATE ROLE "only Here";
      CREATE ROLE kinds_both;
      ${SECRETS}
      CREATE POLICY one ON public.secret FOR SELECT TO "only Here" USING (true);
      CREATE POLICY two ON public.secret AS RESTRICTIVE FOR SELECT TO kinds_both, "only Here" USING (id < 3)`);
    await target.session.query('CREATE ROLE kinds_both');
    try {
      const plan = await migrateSchema(source, target);
      expect(plan.notMigrated).toEqual([
        'policy public.secret.one: the target lacks role "only Here"',
        'policy public.secret.two for "only Here": the target lacks role "only Here"',
      ]);
      expect(
        await target.session.query('SELECT policyname, permissive, roles::text FROM pg_policies'),
      ).toEqual([{ policyname: 'two', permissive: 'RESTRICTIVE', roles: '{kinds_both}' }]);
      await target.session.query(
        'GRANT SELECT ON public.secret TO kinds_both; INSERT INTO public.secret VALUES (1)',
      );
      await target.session.query('SET ROLE kinds_both; SET row_security = on');
      expect(await target.session.query('SELECT * FROM public.secret')).toEqual([]);
    } finally {
      await source.session.query('DROP OWNED BY "only Here", kinds_both; DROP ROLE "only Here", kinds_both');
      await target.session.query('RESET ROLE; DROP OWNED BY kinds_both; DROP ROLE kinds_both');
    }
  });
});

describe('what is made of operators, casts and collations', () => {
  it('works on the target as on the source', async () => {
    await using source = await freshDatabase(15);
    await using target = await freshDatabase(18);
    await source.session.query(kindsSchema(15));
    await target.session.query(ROLES);
    await migrateSchema(source, target);
    const { session } = target;
    // The cast of 7 to a point is implicit, the index sorts by the user's operators.
    await session.query(
      `INSERT INTO kinds.places (id, at, named, tenant, body) VALUES (1, 7, 'Ab', 1, 'Häuser'), (2, 9, 'aB', 2, 'words'), (3, 8, 'x', 5, '')`,
    );
    expect(await session.query('SELECT id FROM kinds.with_operators')).toEqual([{ id: '1' }]);
    expect(await session.query("SELECT id FROM kinds.places WHERE named = 'AB' ORDER BY id")).toEqual([
      { id: '1' },
      { id: '2' },
    ]);
    expect(await session.query('SELECT id FROM kinds.ring')).toHaveLength(3);
    expect(await session.one(`SELECT found::text FROM kinds.places WHERE id = 1`)).toEqual({
      found: "'haus':1",
    });
    await session.query('SET enable_seqscan = off; SET enable_sort = off');
    const plan = await session.query(
      'EXPLAIN SELECT id FROM kinds.places ORDER BY at USING OPERATOR(kinds.<#)',
    );
    expect(plan.map((row) => row['QUERY PLAN']).join()).toContain('places_at');
    await expect(session.query('INSERT INTO kinds.places (at) VALUES (0)')).rejects.toThrow('Чек');
    await session.query(
      `GRANT USAGE ON SCHEMA kinds, ${ODD} TO ${READER}, ${WRITER}; GRANT SELECT ON kinds.places TO ${READER}`,
    );
    await session.query(`SET ROLE ${READER}; SET row_security = on`);
    expect(await session.query('SELECT id FROM kinds.places ORDER BY id')).toEqual([
      { id: '1' },
      { id: '2' },
    ]);
  });
});

describe('running the steps of a plan of all kinds', () => {
  it('goes on after a kill between any two of them', async () => {
    await using source = await freshDatabase(17);
    await using target = await freshDatabase(17);
    await source.session.query(kindsSchema(17));
    const { steps } = await planFor(source, target);
    await target.session.query(
      'CREATE SCHEMA done_elsewhere; CREATE TABLE done_elsewhere.record (id text PRIMARY KEY)',
    );
    const recorded = async () =>
      new Set(
        (await target.session.query('SELECT id FROM done_elsewhere.record')).map((row) => row.id ?? ''),
      );
    const record: StepRunner['record'] = async (session, done) => {
      for (const { id } of done) await session.query('INSERT INTO done_elsewhere.record VALUES ($1)', [id]);
    };
    for (let stop = 1; stop < steps.length; stop += 7) {
      // What the target has by now must not change the plan of the next run.
      expect((await planFor(source, target)).steps.map(({ id }) => id)).toEqual(steps.map(({ id }) => id));
      await runSteps(steps.slice(0, stop), runner(target, { done: await recorded(), record }));
    }
    await runSteps(steps, runner(target, { done: await recorded(), record }));
    expect((await recorded()).size).toBe(steps.length);
    await target.session.query('DROP SCHEMA done_elsewhere CASCADE');
    await expectSameModel(source, target);
  });
});

describe('an older source', () => {
  it('is rewritten where the functions of a newer server take other types, or where it wants more of operators', async () => {
    await using source = await freshDatabase(12);
    await using target = await freshDatabase(18);
    await source.session.query(`
      CREATE AGGREGATE public.gather(anyelement) (SFUNC = array_append, STYPE = anyarray, INITCOND = '{}');
      COMMENT ON AGGREGATE public.gather(anyelement) IS 'all of them';
      CREATE OPERATOR public.||+ (PROCEDURE = array_cat, LEFTARG = anyarray, RIGHTARG = anyarray);
      COMMENT ON OPERATOR public.||+ (anyarray, anyarray) IS 'both';
      CREATE OPERATOR public.<!> (PROCEDURE = int4ne, LEFTARG = integer, RIGHTARG = integer, NEGATOR = OPERATOR(pg_catalog.=));
      CREATE OPERATOR public.!!! (PROCEDURE = pg_catalog.numeric_fac, LEFTARG = bigint);
      CREATE VIEW public.gathered AS SELECT public.gather(v) OPERATOR(public.||+) ARRAY[9] AS all FROM (VALUES (1), (2)) t(v)`);
    const plan = await migrateSchema(source, target);
    expect(plan.notMigrated.toSorted()).toEqual([
      'OPERATOR(pg_catalog.=) as commutator or negator of operator public.<!>(integer, integer): it does not name that one in turn, which PostgreSQL 17 and newer want',
      'operator public.!!!(bigint, NONE): PostgreSQL 14 and newer have no operators behind their operand',
    ]);
    expect(await target.session.query('SELECT * FROM public.gathered')).toEqual([{ all: '{1,2,9}' }]);
    const comments = await target.session.query(
      `SELECT description FROM pg_description WHERE objoid >= 16384 ORDER BY 1`,
    );
    expect(comments.map(({ description }) => description)).toEqual(['all of them', 'both']);
  });
});

describe('languages, access methods and settings of a server', () => {
  it('are used where the target has them, done without or left out by name where it has not', async () => {
    await using source = await freshDatabase(15);
    await using lacking = await freshDatabase(18);
    await using having = await freshDatabase(18);
    const made = `
      CREATE LANGUAGE "my.lang" HANDLER plpgsql_call_handler; CREATE ACCESS METHOD "my.heap" TYPE TABLE HANDLER heap_tableam_handler`;
    await source.session.query(`${made};
      CREATE FUNCTION public.spoken() RETURNS integer LANGUAGE "my.lang" AS 'BEGIN RETURN 5; END';
      CREATE TABLE public.kept (id integer) USING "my.heap";
      CREATE VIEW public.heard AS SELECT public.spoken() AS n;
      CREATE FUNCTION public.old_fashioned() RETURNS integer LANGUAGE sql SET force_parallel_mode = off SET "my.own" = '1' AS 'SELECT 1'`);
    await having.session.query(made);
    const without = await migrateSchema(source, lacking);
    const tooOld =
      'function public.old_fashioned(): it sets force_parallel_mode, which the target does not know';
    expect(without.blocked).toEqual([]);
    expect(without.notMigrated.toSorted()).toEqual([
      'access method "my.heap": its code is in a library of the source server',
      'access method my.heap of table public.kept: the target lacks it; it is heap there',
      tooOld,
      'function public.spoken(): the target has no language my.lang that the account may use',
      'language "my.lang": its code is in a library of the source server',
      'view public.heard: needs function public.spoken(), which is not migrated',
    ]);
    expect((await migrateSchema(source, having)).notMigrated).toEqual([tooOld]);
    expect(await having.session.query('SELECT n FROM public.heard')).toEqual([{ n: '5' }]);
    expect(
      await having.session.query(
        `SELECT amname FROM pg_am JOIN pg_class ON relam = pg_am.oid WHERE relname = 'kept'`,
      ),
    ).toEqual([{ amname: 'my.heap' }]);
  });
});

describe('an account that is no superuser', () => {
  it('creates what it may, and what takes a superuser is left out by name with all that needs it', async () => {
    await using source = await freshDatabase(17);
    await using target = await freshDatabase(17);
    await source.session.query(richSchema(17));
    await source.session.query(kindsSchema(17));
    const role = `plain_${target.name}`;
    await target.session.query(`CREATE ROLE ${role} LOGIN PASSWORD 'x';
      GRANT CREATE ON DATABASE ${target.name} TO ${role}; GRANT CREATE ON SCHEMA public TO ${role}`);
    const open = () =>
      connect({ ...target.info, user: role, password: 'x' }, { side: 'target', applicationName: 'test' });
    try {
      await using session = await source.open();
      await using there = await open();
      const planNow = async () => {
        const model = await readModel(session);
        return planSchema(model, everything, await readTargetFacts(there, model));
      };
      // A range over a class of operators, and a table with one, cannot be without it.
      expect((await planNow()).blocked.map(({ table, reason }) => `${table.name}: ${reason}`)).toEqual([
        `places: needs type ${ODD}."Ran.ge", which is not migrated`,
      ]);
      await source.session.query('ALTER TABLE kinds.places DROP COLUMN span');
      const plan = await planNow();
      expect(plan.blocked).toEqual([]);
      await runSteps(plan.steps, runner(target, { open }));
      expect(plan.notMigrated.toSorted()).toEqual([
        `FORCE of row-level security of table ${ODD}."Ta.ble": the account of the migration would not see the rows of this table any more; once it is over, run ALTER TABLE ${ODD}."Ta.ble" FORCE ROW LEVEL SECURITY`,
        'LEAKPROOF of function kinds.leaky(integer): it takes a superuser on the target',
        'aggregate shop.third(double precision ORDER BY anyelement): a state of type internal takes a superuser on the target',
        "cast (money AS bigint): a cast between the server's own types takes a superuser on the target",
        `index ${ODD}.matview_at: needs operator class kinds.point_ops using btree, which is not migrated`,
        'index kinds.places_at: needs operator class kinds.point_ops using btree, which is not migrated',
        `index kinds.places_hash: needs operator class ${ODD}."Class.""es""" using hash, which is not migrated`,
        `operator class ${ODD}."Class.""es""" using hash: it takes a superuser on the target`,
        'operator class kinds.point_ops using btree: it takes a superuser on the target',
        `operator family ${ODD}."Class.""es""" using hash: it takes a superuser on the target`,
        `operator family ${ODD}."Empty.Family" using gist: it takes a superuser on the target`,
        'operator family kinds.points using btree: it takes a superuser on the target',
        'owner of function shop.totals(minimum numeric, VARIADIC more integer[]): it is SECURITY DEFINER, and runs with the rights of the account of the migration',
        `type ${ODD}."Ran.ge": needs operator class kinds.point_ops using btree, which is not migrated`,
      ]);
    } finally {
      await target.session.query(`DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`);
    }
  });
});
