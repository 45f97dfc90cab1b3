/** Row-level security of the user's, for an account that it would hold for: the migration goes on, and what may not be there yet is said. */
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { AppError } from '../src/base/errors/app-error.ts';
import { freshPair } from './database.ts';
import { compare, migrate } from './migration.ts';

const SCHEMA = `
  CREATE TABLE public.secret (id integer PRIMARY KEY, tenant integer NOT NULL);
  CREATE TABLE public.open (id integer PRIMARY KEY, v text);
  CREATE MATERIALIZED VIEW public.summary AS SELECT tenant, count(*) FROM public.secret GROUP BY tenant;
  INSERT INTO public.secret SELECT g, g % 3 FROM generate_series(1, 100) g;
  INSERT INTO public.open SELECT g, 'v' || g FROM generate_series(1, 10) g;
  REFRESH MATERIALIZED VIEW public.summary;
  CREATE POLICY mine ON public.secret USING (tenant = 1);
  ALTER TABLE public.secret ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY`;

describe('an account that owns the target, but may not pass policies by', () => {
  it.each([true, false])(
    'applies all changes after row-level security was switched on; FORCE is left to the user (may silence triggers: %s)',
    async (silences) => {
      await using pair = await freshPair(17, 18, SCHEMA);
      const { source, target } = pair;
      const role = `mover_${randomBytes(4).toString('hex')}`;
      await target.session.query(`
      CREATE ROLE ${role} LOGIN PASSWORD 'x' NOSUPERUSER NOBYPASSRLS;
      GRANT CREATE ON DATABASE ${target.name} TO ${role}; GRANT CREATE ON SCHEMA public TO ${role};
      ${silences ? `GRANT SET ON PARAMETER session_replication_role TO ${role}` : ''}`);
      try {
        const targetInfo = { ...target.info, user: role, password: 'x' };
        const first = await migrate(source, target, { targetInfo });
        expect(first.notMigrated).toContainEqual(
          'FORCE of row-level security of table public.secret: the account of the migration would not see the rows of this table any more; once it is over, run ALTER TABLE "public"."secret" FORCE ROW LEVEL SECURITY',
        );
        const states = () =>
          target.session.query(
            `SELECT relrowsecurity::text AS on, relforcerowsecurity::text AS forced FROM pg_class WHERE oid = 'public.secret'::regclass`,
          );
        expect(await states()).toEqual([{ on: 'true', forced: 'false' }]);
        // Now that it is switched on: another run, with changes of every kind, of rows that the policy hides.
        await source.session.query(`
        UPDATE public.secret SET tenant = 2 WHERE id <= 20; DELETE FROM public.secret WHERE id > 90;
        INSERT INTO public.secret VALUES (200, 0); UPDATE public.open SET v = 'new'`);
        await migrate(source, target, { targetInfo });
        expect((await compare(source, target)).differing).toEqual([]);
        expect(await target.session.query('SELECT count(*) FROM public.secret')).toEqual([{ count: '91' }]);
        await target.session.query(`SET row_security = on; SET ROLE ${role}`);
        await target.session.query('ALTER TABLE public.secret FORCE ROW LEVEL SECURITY');
        expect(await states()).toEqual([{ on: 'true', forced: 'true' }]);
        expect(await target.session.query('SELECT DISTINCT tenant FROM public.secret')).toEqual([
          { tenant: '1' },
        ]);
        await target.session.query('RESET ROLE');
      } finally {
        await target.session.query(`RESET ROLE; DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`);
      }
    },
  );
});

describe('a replica identity that we have replaced for the time of the migration', () => {
  it("is the user's own on the target, also where a later run makes it", async () => {
    await using pair = await freshPair(
      15,
      15,
      `CREATE TABLE public.by_index (id integer NOT NULL, region text NOT NULL, UNIQUE (id));
       ALTER TABLE public.by_index REPLICA IDENTITY USING INDEX by_index_id_key;
       CREATE TABLE public.keyless (v text);
       INSERT INTO public.by_index SELECT g, 'EU' FROM generate_series(1, 50) g`,
    );
    const { source, target } = pair;
    // The filter reads a column beyond the key, so the source gets FULL; the first run ends before the marks are set on the target.
    const rules = [{ tables: 'public.by_index', filter: "region = 'EU'" }];
    const stop = new AbortController();
    await migrate(source, target, {
      rules,
      signal: stop.signal,
      onEvent: ({ message }) => {
        if (message.includes('following changes')) stop.abort();
      },
    });
    const identities = (db: typeof source) =>
      db.session.query(
        `SELECT relname AS name, relreplident::text AS identity FROM pg_class WHERE relname IN ('by_index', 'keyless') ORDER BY 1`,
      );
    expect(await identities(source)).toEqual([
      { name: 'by_index', identity: 'f' },
      { name: 'keyless', identity: 'f' },
    ]);
    await migrate(source, target, { rules });
    expect(await identities(target)).toEqual([
      { name: 'by_index', identity: 'i' },
      { name: 'keyless', identity: 'd' },
    ]);
  });
});

describe('a table that the target cannot have', () => {
  it('is found by the checks, before anything is created', async () => {
    await using pair = await freshPair(
      18,
      17,
      `CREATE COLLATION public.fast (PROVIDER = builtin, LOCALE = 'PG_UNICODE_FAST');
       CREATE TABLE public.sorted (v text COLLATE public.fast); CREATE TABLE public.fine (id integer PRIMARY KEY)`,
    );
    const { source, target } = pair;
    const failure = await migrate(source, target).then(
      () => null,
      (thrown: unknown) => thrown,
    );
    expect(failure).toBeInstanceOf(AppError);
    expect((failure as AppError).code).toBe('CHECKS_FAILED');
    expect(String((failure as AppError).facts.problems)).toContain(
      'the target cannot have 1 table (public.sorted (needs collation public.fast, which is not migrated))',
    );
    expect(await target.session.query("SELECT FROM pg_namespace WHERE nspname LIKE '\\_opendts%'")).toEqual(
      [],
    );
    const summary = await migrate(source, target, { excludeTables: ['public.sorted'] });
    expect(summary.outcome).toBe('caught-up');
  });

  it('is one with a column of an extension that the target lacks; views over such are left out', async () => {
    await using pair = await freshPair(
      15,
      18,
      `CREATE EXTENSION citext; CREATE TABLE public.named (v citext); CREATE VIEW public.cast_view AS SELECT 'x'::citext AS v;
       CREATE FUNCTION public.of_citext(citext) RETURNS integer LANGUAGE sql AS 'SELECT 1'; CREATE TABLE public.fine (id integer PRIMARY KEY)`,
    );
    const { source, target } = pair;
    await expect(migrate(source, target)).rejects.toThrow(
      'public.named (needs extension citext, which the target lacks)',
    );
    const summary = await migrate(source, target, { excludeTables: ['public.named'] });
    expect(summary.notMigrated).toEqual(
      expect.arrayContaining([
        'view public.cast_view: needs extension citext, which the target lacks',
        'function public.of_citext(public.citext): needs extension citext, which the target lacks',
      ]),
    );
  });
});
