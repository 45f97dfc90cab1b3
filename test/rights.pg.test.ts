/** Owners, rights, default privileges and settings on the target: what they were, or said by name. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { OPERATIONS } from '../src/contract/task-spec.ts';
import { readTables } from '../src/engine/pg/catalog/tables/tables.ts';
import { connect } from '../src/engine/pg/connect.ts';
import type { ConnInfo } from '../src/engine/pg/conninfo/conninfo.ts';
import { ident, literal } from '../src/engine/pg/ident.ts';
import { ALL_CHECKS } from '../src/engine/precheck/all-checks.ts';
import type { Finding } from '../src/engine/precheck/check.ts';
import { runChecks } from '../src/engine/precheck/run-checks.ts';
import { diffPlans } from '../src/engine/schema/diff.ts';
import { planSchema, type SchemaPlan } from '../src/engine/schema/plan.ts';
import { openCanonical } from '../src/engine/schema/rewrite/canonical.ts';
import { readModel } from '../src/engine/schema/read-model.ts';
import { readCommonFacts, readTargetFacts } from '../src/engine/schema/read-target-facts.ts';
import { rightsChoice, type RightsChoice } from '../src/engine/schema/rights/rights-choice.ts';
import { runSteps } from '../src/engine/schema/run/run-steps.ts';
import { tableWishes } from '../src/engine/selection/table-wishes.ts';
import { freshDatabase, type TestDatabase } from './database.ts';
import type { Major } from './global-setup.ts';
import { compare, migrate, SAME_NAMES } from './migration.ts';
import {
  dropRoles,
  freshRoles,
  rightsOf,
  rightsSchema,
  roleSettings,
  S,
  type Roles,
} from './rights-schema.ts';
import { cliHome } from './spawn-cli.ts';

const KEEP = rightsChoice({});

const scopeOf = (rights: RightsChoice) => ({
  includesTable: () => true,
  wholeDatabase: true,
  done: new Set<string>(),
  rights,
});

async function migrateSchema(
  source: TestDatabase,
  target: TestDatabase,
  rights: RightsChoice = KEEP,
): Promise<SchemaPlan> {
  await using here = await source.open();
  await using there = await target.open();
  const model = await readModel(here);
  const plan = planSchema(model, scopeOf(rights), await readTargetFacts(there, model));
  await runSteps(plan.steps, {
    open: () => target.open(),
    jobs: 2,
    done: new Set(),
    record: async () => {},
    onDone: () => {},
    duringIndex: () => {},
    signal: new AbortController().signal,
  });
  return plan;
}

/** Ids of what differs, by the plans of both. */
async function differences(source: TestDatabase, target: TestDatabase): Promise<string[]> {
  await using here = await source.open();
  await using there = await target.open();
  const [one, other] = [await readModel(here), await readModel(there)];
  const facts = await readCommonFacts(here, there);
  const plan = (model: typeof one) => planSchema(model, scopeOf(KEEP), facts);
  return diffPlans(plan(one), plan(other), await openCanonical()).map(({ id, kind }) => `${id}: ${kind}`);
}

async function findings(
  source: TestDatabase,
  target: TestDatabase,
  { rights = KEEP, targetInfo = target.info }: { rights?: RightsChoice; targetInfo?: ConnInfo } = {},
): Promise<Finding[]> {
  await using here = await source.open();
  await using there = await connect(targetInfo, { side: 'target', applicationName: 'test:check' });
  const tables = await readTables(here);
  const context = {
    source: here,
    target: there,
    sourceInfo: source.info,
    targetInfo,
    types: new Set(['schema'] as const),
    tables,
    targetTables: [],
    targetOf: (table: { schema: string; name: string }) => table,
    wishOf: tableWishes(tables, { operations: OPERATIONS, rules: [] }),
    conflict: 'report' as const,
    mapping: SAME_NAMES,
    partitions: 'keep' as const,
    wholeDatabase: true,
    heartbeat: true,
    captureDdl: 'auto' as const,
    replicaIdentity: 'needed' as const,
    rights,
    jobs: 2,
  };
  const only = ALL_CHECKS.filter(({ name }) => name === 'owners_and_rights');
  return await runChecks(context, undefined, only);
}

/** Only what differs is shown. */
function expectSame(wanted: readonly string[], found: readonly string[]): void {
  expect({
    missing: wanted.filter((line) => !found.includes(line)),
    surplus: found.filter((line) => !wanted.includes(line)),
  }).toEqual({ missing: [], surplus: [] });
}

async function rolesOf({ session }: TestDatabase, names: readonly string[]): Promise<string[]> {
  const rows = await session.query(
    `SELECT rolname || CASE WHEN rolcanlogin THEN ' login' ELSE '' END || CASE WHEN rolinherit THEN '' ELSE ' noinherit' END ||
            CASE WHEN rolcreatedb THEN ' createdb' ELSE '' END || CASE WHEN rolbypassrls THEN ' bypassrls' ELSE '' END || ' ' || rolconnlimit ||
            coalesce(' until ' || (rolvaliduntil AT TIME ZONE 'UTC'), '') || CASE WHEN rolpassword IS NULL THEN '' ELSE ' password' END AS role
       FROM pg_authid WHERE rolname IN (${names.map(literal).join(', ')})`,
  );
  return rows.map(({ role }) => role ?? '').toSorted();
}

describe.each<[Major, Major]>([
  [12, 12],
  [12, 18],
  [18, 15],
  [18, 18],
])('owners and rights of PostgreSQL %i on %i', (from, to) => {
  it('are what they were, and the comparison finds nothing, and then each right that was changed', async () => {
    await using source = await freshDatabase(from);
    await using target = await freshDatabase(to);
    await using roles = await freshRoles([source, target]);
    await source.session.query(rightsSchema(roles, from, source.name));
    // A right that somebody else has granted, and one that came twice.
    await source.session
      .query(`SET ROLE ${ident(roles.app)}; GRANT INSERT ON ${S}.t TO ${ident(roles.reader)};
      GRANT USAGE ON SCHEMA ${S} TO ${ident(roles.reader)}; RESET ROLE`);
    const plan = await migrateSchema(source, target);
    expect(plan.notMigrated).toEqual(
      from === 18 && to === 15
        ? ['MAINTAIN on table public.plain: it needs PostgreSQL 17 on the target']
        : [],
    );
    // Older servers have no multiranges.
    const known = (line: string) => Math.min(from, to) >= 14 || !line.includes('multirange');
    expectSame((await rightsOf(source)).filter(known), (await rightsOf(target)).filter(known));
    expect(await roleSettings(target, roles)).toEqual(await roleSettings(source, roles));
    expect(await roleSettings(source, roles)).toHaveLength(2);
    expect(await differences(source, target)).toEqual([]);
    await target.session.query(`
      REVOKE SELECT ON ${S}.v FROM ${ident(roles.reader)}; ALTER TYPE ${S}.e OWNER TO ${ident(roles.app)};
      ALTER DEFAULT PRIVILEGES FOR ROLE ${ident(roles.owner)} IN SCHEMA ${S} GRANT DELETE ON TABLES TO ${ident(roles.app)};
      ALTER DATABASE ${target.name} RESET work_mem; GRANT CREATE ON SCHEMA public TO ${ident(roles.team)}`);
    expect((await differences(source, target)).toSorted()).toEqual([
      'rights of schema "Rights ""s""": different',
      'rights of schema public: different',
      'rights of type "Rights ""s""".e: different',
      'rights of view "Rights ""s""".v: different',
      'settings of the database: different',
    ]);
  });
});

/** Of this machine, if it has one. */
const PG_DUMP = 'pg_dump';

/** Null where there is none that can read both. */
function dump({ info, major }: TestDatabase): string[] | null {
  const version = /\) (\d+)/.exec(spawnSync(PG_DUMP, ['--version'], { encoding: 'utf8' }).stdout ?? '')?.[1];
  if (version === undefined || Number(version) < major) return null;
  const [host] = info.hosts;
  const { status, stdout, stderr } = spawnSync(
    PG_DUMP,
    ['--schema-only', '-h', host?.host ?? '', '-p', String(host?.port), '-U', info.user, info.database],
    { encoding: 'utf8', env: { PATH: process.env.PATH, PGPASSWORD: info.password ?? '' } },
  );
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout
    .split('\n')
    .filter((line) => !/^\\(un)?restrict /.test(line))
    .toSorted();
}

describe.each<Major>([12, 15])('what pg_dump says of PostgreSQL %i', (major) => {
  it('is the same of source and target, owners and rights included', async ({ skip }) => {
    await using source = await freshDatabase(major);
    await using target = await freshDatabase(major);
    await using roles = await freshRoles([source, target]);
    await source.session.query(rightsSchema(roles, major, source.name));
    await migrateSchema(source, target);
    const wanted = dump(source);
    if (wanted === null) return skip('no pg_dump here that is new enough');
    expect(
      wanted.filter((line) => / OWNER TO |^GRANT |^REVOKE |DEFAULT PRIVILEGES/.test(line)).length,
    ).toBeGreaterThan(60);
    expectSame(wanted, dump(target) ?? []);
  });
});

/** Objects of three roles, two of which the account may not become. */
function threeOwners({ owner, app, reader }: Roles): string {
  return `
    CREATE TABLE public.given (id integer PRIMARY KEY, v text); ALTER TABLE public.given OWNER TO ${ident(owner)};
    CREATE TABLE public.kept (id integer PRIMARY KEY, v text); ALTER TABLE public.kept OWNER TO ${ident(app)};
    CREATE FUNCTION public.definer() RETURNS integer LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
    ALTER FUNCTION public.definer() OWNER TO ${ident(app)};
    CREATE SCHEMA inner_part; ALTER SCHEMA inner_part OWNER TO ${ident(app)};
    CREATE TABLE inner_part.given (id integer PRIMARY KEY, v text); ALTER TABLE inner_part.given OWNER TO ${ident(owner)};
    GRANT SELECT, INSERT ON public.given, public.kept TO ${ident(reader)};
    REVOKE UPDATE, DELETE ON public.given FROM ${ident(owner)};
    INSERT INTO public.given SELECT g, 'v' FROM generate_series(1, 20) g; INSERT INTO public.kept SELECT * FROM public.given;
    INSERT INTO inner_part.given SELECT * FROM public.kept`;
}

async function ownersOf(
  { session }: TestDatabase,
  names: readonly string[],
): Promise<Record<string, string>> {
  const rows = await session.query(
    `SELECT r.name, pg_get_userbyid(c.relowner) AS owner FROM unnest($1::text[]) r(name) JOIN pg_class c ON c.oid = r.name::regclass`,
    [`{${names.join(',')}}`],
  );
  return Object.fromEntries(rows.map(({ name, owner }) => [name, owner ?? '']));
}

describe('an account that is no superuser', () => {
  it.each<Major>([15, 18])(
    'gives away what it may and can use still, says what it keeps, and goes on applying changes (target %i)',
    async (to) => {
      await using source = await freshDatabase(17);
      await using target = await freshDatabase(to);
      await using roles = await freshRoles([source, target]);
      const account = `mover_${randomBytes(4).toString('hex')}`;
      await source.session.query(threeOwners(roles));
      const { session } = target;
      await session.query(`
        CREATE ROLE ${account} LOGIN PASSWORD 'x'; GRANT CREATE ON DATABASE ${target.name} TO ${account}; GRANT CREATE ON SCHEMA public TO ${account};
        GRANT SET ON PARAMETER session_replication_role TO ${account}`);
      const targetInfo = { ...target.info, user: account, password: 'x' };
      try {
        const all = await findings(source, target, { targetInfo });
        const [member] = all.filter(({ what }) => what.includes('not a member'));
        expect(member?.result).toBe('alert');
        expect(member?.what).toContain('1 SECURITY DEFINER function among them');
        expect(member?.evidence).toContain(roles.app);
        await session.query(
          (member?.fix ?? '')
            .split('\n')
            .filter((line) => line.includes(ident(roles.owner)))
            .join('\n'),
        );
        const [place] = (await findings(source, target, { targetInfo })).filter(({ what }) =>
          what.includes('in the schema'),
        );
        expect(place?.fix).toBe(`GRANT CREATE ON SCHEMA "public" TO ${ident(roles.owner)};`);
        await session.query(place?.fix ?? '');
        // A member without the rights of the role could not use any more what it gave away.
        if (to >= 16)
          await session.query(`GRANT ${ident(roles.app)} TO ${account} WITH INHERIT FALSE, SET TRUE`);
        const summary = await migrate(source, target, { targetInfo });
        expect(summary.outcome).toBe('caught-up');
        const app = ident(roles.app);
        const join = to >= 16 ? ' WITH INHERIT TRUE, SET TRUE' : '';
        const reason = `the account of the migration is not a member of that role: GRANT ${app} TO "${account}"${join}`;
        expect(summary.notMigrated).toEqual(
          expect.arrayContaining([
            `owner of table public.kept: ${reason}`,
            `owner of schema inner_part: ${reason}`,
            `owner of function public.definer(): ${reason}; it is SECURITY DEFINER, and runs with the rights of the account of the migration`,
            `what the owner of table public.given may not do: the account of the migration works with his rights; once it is over, run REVOKE DELETE, UPDATE ON TABLE "public"."given" FROM ${ident(roles.owner)}`,
          ]),
        );
        expect(await ownersOf(target, ['public.given', 'public.kept', 'inner_part.given'])).toEqual({
          'public.given': roles.owner,
          'public.kept': account,
          'inner_part.given': roles.owner,
        });
        // The right to create in it was lent for a moment.
        expect(
          await session.query('SELECT has_schema_privilege($1::name, $2::text, $3::text)::text AS may', [
            roles.owner,
            'inner_part',
            'CREATE',
          ]),
        ).toEqual([{ may: 'false' }]);
        await source.session.query(`
          UPDATE public.given SET v = 'new' WHERE id < 9; DELETE FROM public.kept WHERE id > 9; INSERT INTO inner_part.given VALUES (99, 'x');
          TRUNCATE public.kept; CREATE TABLE public.later (id integer PRIMARY KEY); ALTER TABLE public.later OWNER TO ${ident(roles.owner)};
          CREATE VIEW public.later_view AS SELECT 1; ALTER VIEW public.later_view OWNER TO ${ident(roles.owner)}`);
        const again = await migrate(source, target, { targetInfo });
        expect(again.outcome).toBe('caught-up');
        expect((await compare(source, target)).differing).toEqual([]);
        expect(await ownersOf(target, ['public.later'])).toEqual({ 'public.later': roles.owner });
      } finally {
        await session.query(`DROP OWNED BY ${account} CASCADE; DROP ROLE ${account}`);
      }
    },
  );
});

describe('a role that the target lacks', () => {
  const schema = ({ owner, app, reader, team }: Roles) => `
    ALTER ROLE ${ident(owner)} LOGIN NOINHERIT CREATEDB BYPASSRLS CONNECTION LIMIT 7 VALID UNTIL '2040-05-06 07:08:09+00' PASSWORD 'secret';
    GRANT ${ident(team)} TO ${ident(app)} WITH ADMIN OPTION;
    CREATE TABLE public.t (id integer PRIMARY KEY); ALTER TABLE public.t OWNER TO ${ident(owner)};
    GRANT SELECT ON public.t TO ${ident(app)}, ${ident(reader)}; GRANT SELECT ON public.t TO PUBLIC;
    GRANT ${ident(team)} TO ${ident(reader)};
    CREATE POLICY p ON public.t FOR SELECT TO ${ident(team)} USING (id > 3); ALTER TABLE public.t ENABLE ROW LEVEL SECURITY;
    ALTER ROLE ${ident(app)} SET work_mem = '5MB'`;

  it('is said by name with what is left out, beforehand with the line that makes it', async () => {
    await using source = await freshDatabase(12);
    await using target = await freshDatabase(18);
    await using roles = await freshRoles([source], [target]);
    await source.session.query(schema(roles));
    const found = await findings(source, target);
    const [missing] = found.filter(({ what }) => what.includes('lacks'));
    expect(missing).toMatchObject({
      result: 'alert',
      what: 'the target lacks 3 roles of owners and rights; these are left out, and what such a role owns belongs to the account',
    });
    expect(found.map(({ what }) => what)).toContainEqual(
      expect.stringContaining('everybody may create in schema public'),
    );
    const plan = await migrateSchema(source, target);
    const [owner, app, reader] = [roles.owner, roles.app, roles.reader].map(ident);
    expect(plan.notMigrated.filter((line) => !line.startsWith('policy '))).toEqual([
      `owner of table public.t: the target lacks role ${owner}`,
      `rights of ${[app, reader].join(', ')} on table public.t: the target lacks the roles`,
      `setting work_mem of role ${roles.app}: the target lacks the role`,
    ]);
    expect(await rightsOf(target)).toContain(
      'table public.t owner postgres rights PUBLIC:SELECT postgres:DELETE postgres:INSERT postgres:REFERENCES postgres:SELECT postgres:TRIGGER postgres:TRUNCATE postgres:UPDATE',
    );
    await target.session.query(missing?.fix ?? '');
    expect(await rolesOf(target, roles.all)).toEqual(
      (await rolesOf(source, roles.all))
        .map((line) => line.replace(' password', ''))
        .filter((line) => !line.startsWith(roles.team)),
    );
  });

  it.each<Major>([12, 17])(
    'is created where that is asked for, without a password, with the memberships among such roles (source %i)',
    async (from) => {
      await using source = await freshDatabase(from);
      await using target = await freshDatabase(18);
      await using roles = await freshRoles([source], [target]);
      await source.session.query(schema(roles));
      if (from >= 16)
        await source.session.query(
          `GRANT ${ident(roles.team)} TO ${ident(roles.app)} WITH INHERIT FALSE, SET TRUE`,
        );
      const rights = { ...KEEP, createRoles: true };
      expect((await findings(source, target, { rights })).map(({ what }) => what)).toContain(
        '4 roles will be created on the target, without a password',
      );
      const plan = await migrateSchema(source, target, rights);
      expect(plan.notMigrated).toEqual([
        `password of role ${ident(roles.owner)}: passwords are not migrated: set one before it is used`,
      ]);
      expect(await rolesOf(target, roles.all)).toEqual(
        (await rolesOf(source, roles.all)).map((line) => line.replace(' password', '')),
      );
      const options = from >= 16 ? ', inherit_option::text, set_option::text' : '';
      const members = ({ session }: TestDatabase) =>
        session.query(
          `SELECT pg_get_userbyid(member) AS member, admin_option::text AS admin${options} FROM pg_auth_members WHERE pg_get_userbyid(roleid) = $1 ORDER BY 1`,
          [roles.team],
        );
      expect(await members(target)).toEqual(await members(source));
      expect(await members(source)).toHaveLength(2);
      expectSame(await rightsOf(source), await rightsOf(target));
      expect(await roleSettings(target, roles)).toEqual(await roleSettings(source, roles));
      expect(await differences(source, target)).toEqual([]);
    },
  );

  it('is created only where something that is migrated names it, and what is not migrated is not spoken of', async () => {
    await using source = await freshDatabase(17);
    await using target = await freshDatabase(18);
    await using roles = await freshRoles([source], [target]);
    await source.session
      .query(`${schema(roles)}; CREATE TABLE public.alone (id integer); GRANT SELECT ON public.alone TO ${ident(roles.reader)};
      ALTER DATABASE ${source.name} SET work_mem = '6MB'`);
    await using here = await source.open();
    await using there = await target.open();
    const model = await readModel(here);
    const facts = await readTargetFacts(there, model);
    const planOf = (createRoles: boolean) =>
      planSchema(
        model,
        {
          includesTable: ({ name }) => name === 'alone',
          wholeDatabase: false,
          done: new Set<string>(),
          rights: { ...KEEP, createRoles },
        },
        facts,
      );
    const { steps, notMigrated } = planOf(true);
    expect(new Set(steps.map(({ id }) => id))).toEqual(
      new Set([
        'schema public',
        'table public.alone',
        `role ${ident(roles.reader)}`,
        // The reader is a member of it.
        `role ${ident(roles.team)}`,
        'rights of table public.alone',
      ]),
    );
    expect(notMigrated).toEqual([]);
    expect(planOf(false).notMigrated).toEqual([
      `rights of ${ident(roles.reader)} on table public.alone: the target lacks the role`,
    ]);
  });

  it('is created by an account that is no superuser too, as far as that may, which then gives it what it owns', async () => {
    await using source = await freshDatabase(15);
    await using target = await freshDatabase(18);
    await using roles = await freshRoles([source], [target]);
    await source.session
      .query(`${schema(roles)}; CREATE SCHEMA own; ALTER SCHEMA own OWNER TO ${ident(roles.owner)};
      CREATE TABLE own.t (id integer PRIMARY KEY); ALTER TABLE own.t OWNER TO ${ident(roles.owner)}`);
    const account = `mover_${randomBytes(4).toString('hex')}`;
    await target.session.query(`
      CREATE ROLE ${account} LOGIN PASSWORD 'x' CREATEROLE; GRANT CREATE ON DATABASE ${target.name} TO ${account}; GRANT CREATE ON SCHEMA public TO ${account}`);
    const targetInfo = { ...target.info, user: account, password: 'x' };
    try {
      const summary = await migrate(source, target, { targetInfo, createRoles: true, types: ['schema'] });
      expect(summary.outcome).toBe('completed');
      expect(summary.notMigrated).toEqual(
        expect.arrayContaining([
          `BYPASSRLS of role ${ident(roles.owner)}: it takes a superuser on the target`,
          `CREATEDB of role ${ident(roles.owner)}: it takes a superuser on the target`,
          `owner of table public.t: that role may not create there: GRANT CREATE ON SCHEMA "public" TO ${ident(roles.owner)}`,
        ]),
      );
      expect(await ownersOf(target, ['own.t', 'public.t'])).toEqual({
        'own.t': roles.owner,
        'public.t': account,
      });
      expect(
        await target.session.query(`SELECT rolcanlogin::text AS login FROM pg_roles WHERE rolname = $1`, [
          roles.owner,
        ]),
      ).toEqual([{ login: 'true' }]);
    } finally {
      await dropRoles([target], roles.all);
      await target.session.query(`DROP OWNED BY ${account} CASCADE; DROP ROLE ${account}`);
    }
  });
});

describe('what the user wants', () => {
  it('may be that everything belongs to the account, with the rights of others or without', async () => {
    await using source = await freshDatabase(18);
    await using target = await freshDatabase(18);
    await using bare = await freshDatabase(18);
    await using roles = await freshRoles([source], [target, bare]);
    await source.session.query(rightsSchema(roles, 18, source.name));
    const account = { owners: 'account', grants: 'keep', createRoles: false } as const;
    expect((await migrateSchema(source, target, account)).notMigrated).toEqual([
      `owner of function ${S}.f(): it is SECURITY DEFINER, and runs with the rights of the account of the migration`,
    ]);
    const kept = await rightsOf(target);
    expect(kept.filter((line) => / owner /.test(line) && !/ owner postgres/.test(line))).toEqual([]);
    expect(kept).toContain(
      `view ${S}.v owner postgres rights ${[
        `${roles.reader}:SELECT`,
        ...'DELETE INSERT REFERENCES SELECT TRIGGER TRUNCATE UPDATE'
          .split(' ')
          .map((right) => `postgres:${right}`),
      ]
        .toSorted()
        .join(' ')}`,
    );
    const none = { ...account, grants: 'none' } as const;
    const { steps, notMigrated } = await migrateSchema(source, bare, none);
    expect(notMigrated).toHaveLength(1);
    expect(
      steps.filter(({ statements }) =>
        /GRANT|REVOKE|OWNER TO|DEFAULT PRIVILEGES|ALTER ROLE|ALTER DATABASE/.test(statements.join()),
      ),
    ).toEqual([]);
    expect(await findings(source, bare, { rights: none })).toEqual([]);
  });

  it('is said by options or in the task file, and is no other task', async () => {
    await using source = await freshDatabase(15);
    await using target = await freshDatabase(18);
    await using roles = await freshRoles([source], [target]);
    using home = cliHome();
    const reader = ident(roles.reader);
    await source.session
      .query(`CREATE TABLE public.t (id integer PRIMARY KEY); ALTER TABLE public.t OWNER TO ${reader};
      GRANT SELECT ON public.t TO PUBLIC`);
    const ends = ['--source', source.uri, '--target', target.uri];
    const file = join(home.folder, 'task.yaml');
    writeFileSync(file, 'apiVersion: opendts/v1\nkind: Task\nspec: { grants: none, createRoles: true }\n');
    const plan = async (...options: string[]) =>
      (await home.run(['schema', 'plan', ...ends, ...options])).stdout;
    const [create, give, grant] = [
      `CREATE ROLE ${reader};`,
      `ALTER TABLE "public"."t" OWNER TO ${reader};`,
      'GRANT SELECT ON TABLE "public"."t" TO PUBLIC;',
    ];
    const found = (text: string) => [create, give, grant].filter((line) => text.includes(line));
    expect(found(await plan())).toEqual([grant]);
    expect(found(await plan('--create-roles'))).toEqual([create, give, grant]);
    expect(found(await plan('--create-roles', '--owners', 'account', '--grants', 'none'))).toEqual([]);
    expect(found(await plan('--task', file))).toEqual([create, give]);
    const checked = await home.run([
      'check',
      ...ends,
      '--types',
      'schema,full',
      '--create-roles',
      '--grants',
      'none',
    ]);
    expect(checked.stdout).toContain('1 role will be created on the target, without a password');
    expect(checked.stdout).toMatch(/opendts migrate .* --grants none --create-roles/);
    const first = await migrate(source, target, { types: ['schema'], owners: 'account', grants: 'none' });
    const second = await migrate(source, target, { types: ['schema'], createRoles: true });
    expect(second.taskId).toBe(first.taskId);
    // Nothing is left to do for it; another one creates the role, and says so.
    expect(second.warnings).toEqual([]);
    await target.session.query('DROP TABLE public.t');
    const other = await migrate(source, target, {
      types: ['schema'],
      tables: ['public.t'],
      createRoles: true,
    });
    expect(other.warnings).toEqual([`created on the target, without a password: role ${reader}`]);
  });

  it('is said by name where the sessions of the migration themselves would suffer from it, or the target would not take it', async () => {
    await using source = await freshDatabase(12);
    await using target = await freshDatabase(18);
    await using roles = await freshRoles([source, target]);
    await source.session.query(`
      ALTER DATABASE ${source.name} SET role = ${literal(roles.app)}; ALTER DATABASE ${source.name} SET operator_precedence_warning = on;
      ALTER DATABASE ${source.name} SET password_encryption = 'on';
      REVOKE EXECUTE ON FUNCTION pg_sleep(double precision) FROM PUBLIC;
      ALTER ROLE ${ident(roles.app)} IN DATABASE ${source.name} SET role = ${literal(roles.team)}`);
    const plan = await migrateSchema(source, target);
    expect(plan.notMigrated.toSorted()).toEqual([
      'rights to function pg_catalog.pg_sleep(double precision): it comes with the server or an extension; grant and revoke there yourself',
      'setting operator_precedence_warning of the database: the target does not know it',
      'setting password_encryption of the database: invalid value for parameter',
      `setting role of the database: it would hold for the sessions of the migration; once it is over, run ALTER DATABASE "${target.name}" SET "role" TO '${roles.app}'`,
    ]);
  });
});

describe('the schema public', () => {
  const everybody = (db: TestDatabase) =>
    db.session.query(
      `SELECT e.privilege_type AS may FROM pg_namespace n, aclexplode(n.nspacl) e WHERE n.nspname = 'public' AND e.grantee = 0 ORDER BY 1`,
    );
  const CREATE = { may: 'CREATE' };
  const USAGE = { may: 'USAGE' };

  it('lets everybody do on the target what he may on the source, in versions apart and where it was made anew', async () => {
    await using old = await freshDatabase(12);
    await using newer = await freshDatabase(18);
    await using target = await freshDatabase(18);
    await using back = await freshDatabase(12);
    await using anew = await freshDatabase(15);
    const [notice] = await findings(old, target);
    expect(notice).toMatchObject({
      result: 'alert',
      what: 'everybody may create in schema public, as on the source; PostgreSQL 15 and newer do not allow that by themselves',
    });
    await migrateSchema(old, target);
    expect(await everybody(target)).toEqual([CREATE, USAGE]);
    await migrateSchema(newer, back);
    expect(await everybody(back)).toEqual([USAGE]);
    await anew.session.query('DROP SCHEMA public');
    await migrateSchema(newer, anew);
    expect(await everybody(anew)).toEqual([USAGE]);
  });

  it('is left as it is, and the statement said, where it belongs to another role', async () => {
    await using old = await freshDatabase(12);
    await using target = await freshDatabase(18);
    const account = `mover_${randomBytes(4).toString('hex')}`;
    await target.session.query(
      `CREATE ROLE ${account} LOGIN PASSWORD 'x'; GRANT CREATE ON DATABASE ${target.name} TO ${account}`,
    );
    try {
      await using here = await old.open();
      await using there = await connect(
        { ...target.info, user: account, password: 'x' },
        { side: 'target', applicationName: 'test' },
      );
      const model = await readModel(here);
      const { steps, notMigrated } = planSchema(model, scopeOf(KEEP), await readTargetFacts(there, model));
      expect(steps.map(({ id }) => id)).toEqual(['schema public']);
      expect(notMigrated).toEqual([
        'rights of schema public: it belongs to another role on the target; as its owner run GRANT CREATE ON SCHEMA "public" TO PUBLIC',
      ]);
    } finally {
      await target.session.query(`DROP OWNED BY ${account}; DROP ROLE ${account}`);
    }
  });
});

describe('schemas that come together', () => {
  it('give nobody more than each of them gave, and say the rest', async () => {
    await using source = await freshDatabase(17);
    await using target = await freshDatabase(18);
    await using roles = await freshRoles([source, target]);
    const { owner, app, reader } = roles;
    const [o, a, r] = [owner, app, reader].map(ident);
    await source.session.query(
      `CREATE SCHEMA one AUTHORIZATION ${o}; CREATE SCHEMA two AUTHORIZATION ${o};
       CREATE TABLE one.t (id int PRIMARY KEY); CREATE TABLE two.u (id int PRIMARY KEY);
       GRANT USAGE ON SCHEMA one, two TO ${a}; GRANT CREATE ON SCHEMA one TO ${a}; GRANT USAGE ON SCHEMA two TO ${r};
       ALTER DEFAULT PRIVILEGES FOR ROLE ${o} IN SCHEMA one, two GRANT SELECT ON TABLES TO ${a};
       ALTER DEFAULT PRIVILEGES FOR ROLE ${o} IN SCHEMA two GRANT SELECT ON TABLES TO ${r}; COMMENT ON SCHEMA two IS 'of two'`,
    );
    using home = cliHome();
    const ends = ['--source', source.uri, '--target', target.uri];
    const args = [...ends, '--rename', 'one.*=x.*', '--rename', 'two.*=x.*'];
    const plan = await home.run(['schema', 'plan', ...args]);
    const said = plan.stdout.split('\n').filter((line) => line.includes('one, two are one there'));
    const grant = [
      `GRANT CREATE ON SCHEMA "x" TO ${a}`,
      `GRANT USAGE ON SCHEMA "x" TO ${r}`,
      `ALTER DEFAULT PRIVILEGES FOR ROLE ${o} IN SCHEMA "x" GRANT SELECT ON TABLES TO ${r}`,
    ];
    expect(said.map((line) => line.slice(line.indexOf(' run ') + 5)).toSorted()).toEqual(grant.toSorted());
    await home.run(['schema', 'apply', ...args]);
    const [of] = await target.session.query(
      `SELECT pg_get_userbyid(n.nspowner) AS owner, obj_description(n.oid, 'pg_namespace') AS comment,
              (SELECT string_agg(e.privilege_type, ' ') FROM aclexplode(n.nspacl) e WHERE e.grantee <> n.nspowner) AS may,
              (SELECT string_agg(pg_get_userbyid(e.grantee) || ' ' || e.privilege_type, ' ') FROM pg_default_acl d, aclexplode(d.defaclacl) e
                WHERE d.defaclnamespace = n.oid) AS later
         FROM pg_namespace n WHERE n.nspname = 'x'`,
    );
    expect(of).toEqual({ owner, comment: 'of two', may: 'USAGE', later: `${app} SELECT` });
    expect((await home.run(['schema', 'diff', ...args])).stdout).toMatch(/^no difference in \d+ steps$/m);
  });
});
