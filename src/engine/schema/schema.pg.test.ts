import { describe, expect, it } from 'vitest';
import { freshDatabase, type TestDatabase } from '../../../test/database.ts';
import type { Major } from '../../../test/global-setup.ts';
import { richSchema } from '../../../test/rich-schema.ts';
import type { QualifiedName } from '../change/relation.ts';
import { missingExtensions } from './missing-extensions.ts';
import { planSchema, type SchemaPlan, type SchemaScope, type SchemaStep } from './plan.ts';
import { readModel } from './read-model.ts';
import { readTargetFacts } from './read-target-facts.ts';
import { runSteps, type StepRunner } from './run/run-steps.ts';
import { readSequenceStates, setvalSql } from './sequences.ts';

const everything: SchemaScope = { includesTable: () => true, wholeDatabase: true, done: new Set() };

async function planFor(
  source: TestDatabase,
  target: TestDatabase,
  scope: SchemaScope = everything,
): Promise<SchemaPlan> {
  await using session = await source.open();
  const model = await readModel(session);
  await using there = await target.open();
  return planSchema(model, scope, await readTargetFacts(there, model));
}

function runner(target: TestDatabase, given: Partial<StepRunner> = {}): StepRunner {
  return {
    open: () => target.open(),
    jobs: 3,
    done: new Set(),
    record: async () => {},
    onDone: () => {},
    duringIndex: () => {},
    signal: new AbortController().signal,
    ...given,
  };
}

const noStep: SchemaStep = {
  id: '',
  phase: 'index',
  statements: [],
  creates: null,
  relkind: null,
  owner: null,
  dependsOn: [],
  needs: [],
  weight: 0n,
};

/** Each question answers with one text per object; the answers of both ends must be equal. */
const QUESTIONS: Readonly<Record<string, string>> = {
  schemas: `SELECT nspname FROM pg_namespace n WHERE USER_OBJECT`,
  relations: `SELECT format('%s %I.%I %s %s %s %s', c.relkind, nspname, relname, c.relpersistence, c.reloptions, c.relreplident,
      (SELECT t.reloptions FROM pg_class t WHERE t.oid = c.reltoastrelid))
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind <> 't' AND USER_OBJECT`,
  columns: `SELECT format('%I.%I.%I %s %s null=%s default=%s identity=%s generated=%s storage=%s stats=%s options=%s local=%s inherited=%s', nspname, relname, attname,
      format_type(atttypid, atttypmod), (SELECT collname FROM pg_collation l WHERE l.oid = attcollation), NOT attnotnull,
      pg_get_expr(adbin, adrelid), attidentity, attgenerated, attstorage, nullif(attstattarget, -1), attoptions, attislocal, attinhcount)
    FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attnum > 0 AND NOT attisdropped AND relkind <> 't' AND USER_OBJECT`,
  order: `SELECT format('%I.%I %s', nspname, relname, (SELECT array_agg(attname ORDER BY attnum) FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped))
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r', 'p', 'v', 'm', 'c') AND USER_OBJECT`,
  constraints: `SELECT format('%I.%I.%I %s %s local=%s inherited=%s parent=%s', nspname, relname, CASE WHEN contype = 'f' AND conparentid <> 0 THEN '-' ELSE conname END, pg_get_constraintdef(k.oid), convalidated, conislocal, coninhcount, conparentid <> 0)
    FROM pg_constraint k JOIN pg_class c ON c.oid = conrelid JOIN pg_namespace n ON n.oid = relnamespace WHERE contype <> 'n' AND USER_OBJECT`,
  'not null': `SELECT format('%I.%I.%I %s local=%s inherited=%s', nspname, relname, conname, pg_get_constraintdef(k.oid), conislocal AND NOT relispartition, coninhcount)
    FROM pg_constraint k JOIN pg_class c ON c.oid = conrelid JOIN pg_namespace n ON n.oid = relnamespace WHERE contype = 'n' AND USER_OBJECT`,
  'domain constraints': `SELECT format('%s %s %s', conname, contypid::regtype, pg_get_constraintdef(k.oid))
    FROM pg_constraint k JOIN pg_namespace n ON n.oid = connamespace WHERE contypid <> 0 AND contype = 'c' AND USER_OBJECT`,
  types: `SELECT format('%s %I.%I %s %s %s %s %s', typtype, nspname, typname, typnotnull, typdefault,
      CASE WHEN typtype = 'd' THEN format_type(typbasetype, typtypmod) END, (SELECT collname FROM pg_collation l WHERE l.oid = typcollation),
      (SELECT array_agg(enumlabel ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid))
    FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace WHERE typtype <> 'm' AND typelem = 0 AND (typrelid = 0 OR EXISTS (SELECT FROM pg_class c WHERE c.oid = typrelid AND relkind = 'c')) AND USER_OBJECT`,
  ranges: `SELECT format('%s %s %s %s %s', rngtypid::regtype, rngsubtype::regtype, rngsubdiff, rngcollation::regcollation, rngsubopc)
    FROM pg_range JOIN pg_type t ON t.oid = rngtypid JOIN pg_namespace n ON n.oid = typnamespace WHERE USER_OBJECT`,
  indexes: `SELECT format('%s valid=%s cluster=%s identity=%s parent=%s stats=%s', pg_get_indexdef(indexrelid), indisvalid, indisclustered, indisreplident,
      (SELECT inhparent::regclass FROM pg_inherits WHERE inhrelid = indexrelid),
      (SELECT array_agg(nullif(attstattarget, -1) ORDER BY attnum) FROM pg_attribute WHERE attrelid = indexrelid))
    FROM pg_index i JOIN pg_class c ON c.oid = indexrelid JOIN pg_namespace n ON n.oid = relnamespace WHERE USER_OBJECT`,
  partitions: `SELECT format('%s %s %s of %s', c.oid::regclass, pg_get_expr(relpartbound, c.oid), CASE WHEN relkind = 'p' THEN pg_get_partkeydef(c.oid) END,
      (SELECT array_agg(inhparent::regclass ORDER BY inhseqno) FROM pg_inherits WHERE inhrelid = c.oid))
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r', 'p') AND USER_OBJECT`,
  sequences: `SELECT format('%s %s %s %s %s %s %s %s %s', seqrelid::regclass, seqtypid::regtype, seqstart, seqincrement, seqmax, seqmin, seqcache, seqcycle,
      (SELECT format('%s.%s %s', refobjid::regclass, refobjsubid > 0, deptype) FROM pg_depend WHERE objid = seqrelid AND refobjsubid > 0 AND deptype IN ('a', 'i')))
    FROM pg_sequence JOIN pg_class c ON c.oid = seqrelid JOIN pg_namespace n ON n.oid = relnamespace WHERE USER_OBJECT`,
  views: `SELECT format('%I.%I %s', nspname, relname, pg_get_viewdef(c.oid)) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('v', 'm') AND USER_OBJECT`,
  populated: `SELECT format('%I.%I %s', nspname, relname, relispopulated) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind = 'm' AND USER_OBJECT`,
  functions: `SELECT pg_get_functiondef(p.oid) FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace WHERE prokind IN ('f', 'p') AND prolang <> 12 AND USER_OBJECT`,
  aggregates: `SELECT format('%s %s %s', p.oid::regprocedure, pg_get_function_arguments(p.oid), to_jsonb(a) - 'aggfnoid')
    FROM pg_aggregate a JOIN pg_proc p ON p.oid = aggfnoid JOIN pg_namespace n ON n.oid = pronamespace WHERE USER_OBJECT`,
  triggers: `SELECT format('%s %s', pg_get_triggerdef(t.oid), tgenabled) FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid JOIN pg_namespace n ON n.oid = relnamespace
    WHERE tgconstraint = 0 AND (NOT tgisinternal OR tgname !~ '^RI_') AND USER_OBJECT`,
  'constraint triggers': `SELECT format('%s %s', pg_get_triggerdef(t.oid), tgenabled) FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid JOIN pg_namespace n ON n.oid = relnamespace
    WHERE tgconstraint <> 0 AND NOT tgisinternal AND USER_OBJECT`,
  rules: `SELECT format('%s %s', pg_get_ruledef(r.oid), ev_enabled) FROM pg_rewrite r JOIN pg_class c ON c.oid = ev_class JOIN pg_namespace n ON n.oid = relnamespace
    WHERE ev_type <> '1' AND USER_OBJECT`,
  comments: `SELECT format('%s %s: %s', i.type, i.identity, description) FROM pg_description d, LATERAL pg_identify_object(classoid, objoid, objsubid) i
    WHERE objoid >= 16384`,
};

/** What two versions say differently: views and rules since 16 (no table name before the columns of a single table), NOT NULL since 18 (named constraints). */
const REWORDED: Readonly<Record<string, number>> = { views: 16, rules: 16, 'not null': 18 };

async function describeSchema(db: TestDatabase): Promise<Record<string, string[]>> {
  await using session = await db.open();
  const answers: Record<string, string[]> = {};
  for (const [name, sql] of Object.entries(QUESTIONS)) {
    const asked = sql
      .replace('USER_OBJECT', "nspname !~ '^pg_' AND nspname <> 'information_schema'")
      .replace('rngcollation::regcollation', 'rngcollation');
    const rows = await session.query<{ line: string }>(`SELECT q.line FROM (${asked}) q(line)`);
    answers[name] = rows.map((row) => row.line).toSorted();
  }
  return answers;
}

async function expectSameSchema(source: TestDatabase, target: TestDatabase): Promise<void> {
  const [wanted, found] = [await describeSchema(source), await describeSchema(target)];
  for (const name of Object.keys(QUESTIONS)) {
    const since = REWORDED[name] ?? 0;
    if (source.major < since === target.major < since) expect(found[name], name).toEqual(wanted[name]);
    else if (name !== 'not null') expect(found[name], name).toHaveLength(wanted[name]!.length);
  }
}

describe.each<[Major, Major, Major]>([
  [12, 12, 12],
  [12, 18, 12],
  [15, 17, 15],
  [17, 17, 17],
  [18, 18, 18],
  [18, 15, 15],
  [15, 12, 12],
])('a schema of PostgreSQL %i migrated to %i with what %i can do', (from, to, features) => {
  it('has the same definitions on the target', async () => {
    await using source = await freshDatabase(from);
    await using target = await freshDatabase(to);
    await source.session.query(richSchema(features));
    const plan = await planFor(source, target);
    expect(plan.notMigrated).toEqual([]);
    expect(new Set(plan.steps.map((step) => step.id)).size).toBe(plan.steps.length);
    await runSteps(plan.steps, runner(target));
    await expectSameSchema(source, target);
  });
});

describe('a schema with more than the target can do', () => {
  it('leaves out by name what an older target cannot have, and creates the rest', async () => {
    await using source = await freshDatabase(18);
    await using target = await freshDatabase(12);
    // A table with a column of a type the target cannot have is not left out: its creation would fail.
    await source.session.query(`${richSchema(18)}; DROP TABLE shop.spans`);
    const plan = await planFor(source, target);
    await runSteps(plan.steps, runner(target));
    expect(plan.notMigrated.toSorted()).toEqual([
      'UNLOGGED of sequence shop.fleeting: it needs PostgreSQL 15 on the target; it is a logged one there',
      'check constraint shop.modern.maybe: NOT ENFORCED needs PostgreSQL 18 on the target',
      'column shop.modern.twice as virtual: virtual generated columns need PostgreSQL 18 on the target; it is a stored one there',
      'default shop.counted.id: needs function shop.happy_count(), which is not migrated',
      'foreign key shop.orders.orders_some: ON DELETE SET … with columns needs PostgreSQL 15 on the target',
      'function shop.happy_count(): a body in standard SQL needs PostgreSQL 14 on the target',
      'index shop.nulls_b: NULLS NOT DISTINCT needs PostgreSQL 15 on the target',
      'not-null constraint shop.modern.v_late: NOT NULL … NOT VALID needs PostgreSQL 18 on the target',
      'primary key shop.temporal.temporal_pkey: WITHOUT OVERLAPS needs PostgreSQL 18 on the target',
      'security_invoker=true of view shop.invoked: it needs PostgreSQL 15 on the target; there the rights of its owner count',
      'trigger shop.events.before_parts: a trigger of this kind on a partitioned table needs PostgreSQL 13 on the target',
      'unique constraint shop.nulls.nulls_a: NULLS NOT DISTINCT needs PostgreSQL 15 on the target',
      'view shop.a_count: needs function shop.happy_count(), which is not migrated',
    ]);
  });
});

describe('running the steps of a plan', () => {
  it('goes on where an earlier run stopped, and ends with the same schema', async () => {
    await using source = await freshDatabase(17);
    await using target = await freshDatabase(17);
    await source.session.query(richSchema(17));
    const { steps } = await planFor(source, target);
    await target.session.query('CREATE TABLE public.record (id text PRIMARY KEY)');
    const recorded = async () =>
      new Set((await target.session.query('SELECT id FROM public.record')).map((row) => row.id ?? ''));
    const record: StepRunner['record'] = async (session, done) => {
      for (const { id } of done) await session.query('INSERT INTO public.record VALUES ($1)', [id]);
    };
    for (const part of [0.1, 0.5, 0.7, 0.9]) {
      const stop = Math.floor(steps.length * part);
      await runSteps(steps.slice(0, stop), runner(target, { done: await recorded(), record }));
      expect((await recorded()).size).toBe(stop);
    }
    await runSteps(steps, runner(target, { done: await recorded(), record }));
    expect((await recorded()).size).toBe(steps.length);
    await target.session.query('DROP TABLE public.record');
    await expectSameSchema(source, target);
  });

  it('names the object and the SQLSTATE of a failure, and keeps nothing of that step', async () => {
    await using source = await freshDatabase(18);
    await using target = await freshDatabase(18);
    await source.session.query('CREATE TABLE t (id integer PRIMARY KEY, v integer UNIQUE)');
    const { steps } = await planFor(source, target);
    await runSteps(
      steps.filter(({ phase }) => phase === 'pre-data'),
      runner(target),
    );
    await target.session.query('INSERT INTO t VALUES (1, 1), (2, 1)');
    const done: string[] = [];
    const run = runSteps(
      steps.filter(({ phase }) => phase !== 'pre-data'),
      runner(target, { jobs: 1, onDone: (step) => done.push(step.id) }),
    );
    await expect(run).rejects.toMatchObject({
      code: 'SCHEMA_FAILED',
      facts: {
        count: '1 object',
        problems:
          'index of unique constraint public.t.t_v_key: could not create unique index "t_v_key" (SQLSTATE 23505)',
        rest: ' For them 1 more wait.',
      },
    });
    expect(done).toEqual(['index of primary key public.t.t_pkey', 'primary key public.t.t_pkey']);
    expect(await target.session.query("SELECT relname FROM pg_class WHERE relname = 't_v_key'")).toEqual([]);
  });

  it('builds the indexes and constraints of one table side by side without a deadlock', async () => {
    await using source = await freshDatabase(15);
    await using target = await freshDatabase(18);
    const columns = Array.from({ length: 12 }, (_, index) => `c${index}`);
    await source.session.query(`
      CREATE TABLE t (id integer PRIMARY KEY, ${columns.map((name) => `${name} integer UNIQUE`).join(', ')});
      ${columns.map((name) => `CREATE INDEX i_${name} ON t (${name}, id);`).join(' ')}
      ALTER TABLE t CLUSTER ON i_c3; ALTER TABLE t REPLICA IDENTITY USING INDEX t_pkey`);
    const { steps } = await planFor(source, target);
    await runSteps(
      steps.filter(({ phase }) => phase === 'pre-data'),
      runner(target),
    );
    await target.session.query(
      `INSERT INTO t SELECT g, ${columns.map(() => 'g').join(', ')} FROM generate_series(1, 20000) g`,
    );
    let builds = 0;
    await runSteps(
      steps.filter(({ phase }) => phase !== 'pre-data'),
      runner(target, { jobs: 4, duringIndex: () => builds++ }),
    );
    const { n } = await target.session.one(
      "SELECT count(*) AS n FROM pg_index WHERE indrelid = 't'::regclass",
    );
    // As many steps as indexes and constraints: none was rolled back and done again.
    expect({ n, builds }).toEqual({ n: '25', builds: 25 + 13 });
  });

  it('tries a deadlock again', async () => {
    await using target = await freshDatabase(18);
    await target.session.query('CREATE SEQUENCE public.tries');
    // A sequence counts on through rollbacks.
    const victim: SchemaStep = {
      ...noStep,
      id: 'victim',
      phase: 'foreign-key',
      statements: [
        `DO $$ BEGIN IF nextval('public.tries') < 3 THEN RAISE EXCEPTION 'no' USING ERRCODE = '40P01'; END IF; END $$`,
      ],
    };
    await runSteps([victim], runner(target));
    expect((await target.session.one("SELECT nextval('public.tries') AS n")).n).toBe('4');
  });

  it('builds the other indexes when one fails, and throws the failure then', async () => {
    await using target = await freshDatabase(18);
    const step = (id: string, sql: string, dependsOn: string[] = []): SchemaStep => ({
      ...noStep,
      // Large: steps of small tables would go together.
      weight: 10_000_000n,
      id,
      dependsOn,
      statements: [sql],
    });
    const done: string[] = [];
    const run = runSteps(
      [
        step('slow', 'SELECT pg_catalog.pg_sleep(0.5)'),
        step('broken', 'SELECT 1/0'),
        step('next', 'SELECT 1', ['slow']),
      ],
      runner(target, { jobs: 2, onDone: ({ id }) => done.push(id) }),
    );
    await expect(run).rejects.toMatchObject({
      facts: { problems: 'broken: division by zero (SQLSTATE 22012)', rest: '' },
    });
    expect(done).toEqual(['slow', 'next']);
  });

  it('ends with the reason of the signal while a statement runs', async () => {
    await using target = await freshDatabase(18);
    const controller = new AbortController();
    const slow: SchemaStep = {
      ...noStep,
      id: 'slow',
      phase: 'post-data',
      statements: ['SELECT pg_catalog.pg_sleep(60)'],
    };
    setTimeout(() => controller.abort(new Error('enough')), 200);
    await expect(runSteps([slow], runner(target, { signal: controller.signal }))).rejects.toThrow('enough');
  });
});

describe('a scope of single tables', () => {
  it('brings what the tables need and nothing else', async () => {
    await using source = await freshDatabase(15);
    await using target = await freshDatabase(18);
    await source.session.query(richSchema(15));
    const plan = await planFor(source, target, {
      includesTable: ({ schema, name }) => schema === 'shop' && ['orders', 'events'].includes(name),
      wholeDatabase: false,
      done: new Set(),
    });
    await runSteps(plan.steps, runner(target));
    const names = plan.steps.map((step) => step.id).toSorted();
    expect(
      names.filter((name) => /^(schema|table|sequence|type|domain|function|.*view) /.test(name)),
    ).toEqual([
      'function shop.touch()',
      'schema shop',
      'sequence shop.orders_id_seq',
      'table shop.events',
      'table shop.events_2024',
      'table shop.events_2024_ab',
      'table shop.events_2024_rest',
      'table shop.events_old',
      'table shop.orders',
      'type shop.mood',
    ]);
    expect(names.filter((name) => name.startsWith('trigger shop.orders'))).toHaveLength(4);
    expect(plan.notMigrated.toSorted()).toEqual([
      'foreign key shop.events.events_customer: needs table shop.customers, which is not selected',
      'foreign key shop.orders.orders_customer: needs table shop.customers, which is not selected',
      'foreign key shop.orders.orders_customer_late: needs table shop.customers, which is not selected',
      'foreign key shop.orders.orders_some: needs table shop.pairs, which is not selected',
    ]);
  });

  it('makes an inheritance child whole when its parent stays behind', async () => {
    await using source = await freshDatabase(17);
    await using target = await freshDatabase(17);
    await source.session
      .query(`CREATE TABLE parent (id integer NOT NULL DEFAULT 4, CONSTRAINT positive CHECK (id > 0));
      CREATE TABLE child (v text) INHERITS (parent)`);
    const plan = await planFor(source, target, {
      includesTable: ({ name }) => name === 'child',
      wholeDatabase: false,
      done: new Set(),
    });
    await runSteps(plan.steps, runner(target));
    await target.session.query("INSERT INTO child (v) VALUES ('x')");
    expect(await target.session.query('SELECT id, v FROM child')).toEqual([{ id: '4', v: 'x' }]);
    await expect(target.session.query('INSERT INTO child VALUES (0)')).rejects.toThrow('positive');
  });
});

describe('objects that are not migrated', () => {
  it('are listed by name with a reason, and so is what needs them; the rest is created', async () => {
    await using source = await freshDatabase(17);
    await using target = await freshDatabase(17);
    await source.session.query(`
      CREATE FUNCTION internal_length(text) RETURNS integer LANGUAGE internal IMMUTABLE AS 'textlen';
      CREATE FUNCTION same(integer, integer) RETURNS boolean LANGUAGE internal IMMUTABLE AS 'int4eq';
      CREATE OPERATOR === (LEFTARG = integer, RIGHTARG = integer, FUNCTION = same);
      CREATE TABLE t (id integer PRIMARY KEY, v text DEFAULT internal_length('abc')::text, CHECK (id === id));
      CREATE INDEX t_v ON t ((internal_length(v)));
      CREATE VIEW long AS SELECT id FROM t WHERE internal_length(v) > 3;
      CREATE VIEW longer AS SELECT * FROM long;
      CREATE POLICY own ON t USING (id === 0);
      ALTER TABLE t ENABLE ROW LEVEL SECURITY;
      CREATE PUBLICATION theirs FOR TABLE t;
      CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
      CREATE EVENT TRIGGER watcher ON sql_drop EXECUTE FUNCTION note();
      ALTER EVENT TRIGGER watcher DISABLE;
      CREATE FOREIGN DATA WRAPPER w; CREATE SERVER far FOREIGN DATA WRAPPER w;
      CREATE FOREIGN TABLE away (id integer) SERVER far;
      CREATE TEMP TABLE mine (id integer);
      CREATE SCHEMA _opendts; CREATE TABLE _opendts.secret (id integer); CREATE TABLE dts_postgres_heartbeat (id integer)`);
    const plan = await planFor(source, target);
    await runSteps(plan.steps, runner(target));
    expect(plan.steps.map((step) => step.id)).toEqual([
      'schema public',
      'table public.t',
      'function public.note()',
      'index of primary key public.t.t_pkey',
      'primary key public.t.t_pkey',
      'row-level security of table public.t',
    ]);
    const ofLibrary = 'its code is in a library of the source server';
    const needsOperator = 'needs operator public.===(integer, integer), which is not migrated';
    const lacking = 'needs function public.internal_length(pg_catalog.text), which is not migrated';
    expect(plan.notMigrated.map((line) => line.replace(/pg_temp(_\d+)?/, 'pg_temp')).toSorted()).toEqual([
      `check constraint public.t.t_id_check: ${needsOperator}`,
      `default public.t.v: ${lacking}`,
      'event trigger watcher: it would act on what the migration does on the target, and takes a superuser; once that is over, run: CREATE EVENT TRIGGER watcher ON sql_drop EXECUTE PROCEDURE public.note()',
      'foreign table public.away: its rows are in another server',
      'foreign-data wrapper w: it leads to other servers, with passwords that cannot be read',
      `function public.internal_length(pg_catalog.text): ${ofLibrary}`,
      `function public.same(integer,integer): ${ofLibrary}`,
      `index public.t_v: ${lacking}`,
      'operator public.===(integer, integer): needs function public.same(integer,integer), which is not migrated',
      `policy public.t.own: ${needsOperator}`,
      'publication theirs: its subscribers follow the source; what the target publishes is for you to decide',
      'server far: it leads to another server, with passwords that cannot be read',
      'table pg_temp.mine: a temporary table belongs to one session',
      `view public.long: ${lacking}`,
      'view public.longer: needs view public.long, which is not migrated',
    ]);
  });
});

describe('values of sequences', () => {
  it('are read from the source and set on the target, never-called and identity ones too', async () => {
    await using source = await freshDatabase(12);
    await using target = await freshDatabase(18);
    await source.session.query(`CREATE TABLE "T" (id bigint GENERATED ALWAYS AS IDENTITY);
      INSERT INTO "T" DEFAULT VALUES; INSERT INTO "T" DEFAULT VALUES;
      CREATE SEQUENCE "a.b'\\" START 7; CREATE SEQUENCE big; CREATE SEQUENCE other;
      SELECT setval('big', 9007199254740993)`);
    const { steps } = await planFor(source, target);
    await runSteps(steps, runner(target));
    await using session = await source.open();
    const states = await readSequenceStates(session, (one) => (one.name === 'other' ? null : one));
    for (const statement of setvalSql(states)) await target.session.query(statement);
    expect(states.map(({ sequence, lastValue, isCalled }) => [sequence.name, lastValue, isCalled])).toEqual([
      ['T_id_seq', 2n, true],
      ["a.b'\\", 7n, false],
      ['big', 9007199254740993n, true],
    ]);
    await target.session.query('INSERT INTO "T" DEFAULT VALUES');
    expect(
      await target.session.one(
        `SELECT (SELECT id FROM "T") AS id, nextval($$"a.b'\\"$$) AS quoted, nextval('big') AS big`,
      ),
    ).toEqual({ id: '3', quoted: '7', big: '9007199254740994' });
  });
});

describe('extensions', () => {
  it('are not created; their types are used and their members left alone once the target has them', async () => {
    await using source = await freshDatabase(15);
    await using target = await freshDatabase(18);
    await source.session
      .query(`CREATE SCHEMA ext; CREATE EXTENSION citext SCHEMA ext; CREATE EXTENSION btree_gist SCHEMA ext;
      CREATE TABLE t (name ext.citext DEFAULT 'x', n integer, EXCLUDE USING gist (n WITH =)); CREATE INDEX ON t (name)`);
    await using session = await source.open();
    const model = await readModel(session);
    await target.session.query('CREATE SCHEMA ext; CREATE EXTENSION citext SCHEMA ext');
    const missing = async () => missingExtensions(model, await readTargetFacts(target.session, model));
    expect(await missing()).toEqual([
      'extension btree_gist: the target lacks it; create it there in schema ext before the migration',
    ]);
    await target.session.query('CREATE EXTENSION btree_gist SCHEMA ext');
    expect(await missing()).toEqual([]);
    const plan = await planFor(source, target);
    expect(plan.notMigrated).toEqual([]);
    await runSteps(plan.steps, runner(target));
    expect(plan.steps.map((step) => step.id)).toEqual([
      'schema ext',
      'schema public',
      'table public.t',
      'exclusion constraint public.t.t_n_excl',
      'index public.t_name_idx',
    ]);
    const questions = await Promise.all([describeSchema(source), describeSchema(target)]);
    expect(questions[1].columns).toEqual(questions[0].columns);
    expect(questions[1].indexes).toEqual(questions[0].indexes);
  });

  it('are created where that is wanted, before what uses them, also of a selection', async () => {
    await using source = await freshDatabase(15);
    await using target = await freshDatabase(18);
    await source.session
      .query(`CREATE SCHEMA ext; CREATE EXTENSION citext SCHEMA ext; CREATE EXTENSION btree_gist SCHEMA ext;
      CREATE TABLE a (name ext.citext DEFAULT 'x'); CREATE TABLE b (n integer)`);
    await using session = await source.open();
    const model = await readModel(session);
    const facts = await readTargetFacts(target.session, model, { createExtensions: true });
    expect(missingExtensions(model, facts)).toEqual([]);
    const scope = {
      includesTable: ({ name }: QualifiedName) => name === 'a',
      wholeDatabase: false,
      done: new Set<string>(),
    };
    const plan = planSchema(model, scope, facts);
    expect(plan.steps.map((step) => step.id)).toEqual([
      'schema ext',
      'schema public',
      'extension citext',
      'table public.a',
    ]);
    await runSteps(plan.steps, runner(target));
    expect(
      await target.session.query(
        "INSERT INTO a DEFAULT VALUES RETURNING (name OPERATOR(ext.=) 'X')::text AS same",
      ),
    ).toEqual([{ same: 'true' }]);
  });
});
