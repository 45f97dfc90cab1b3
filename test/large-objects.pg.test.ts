/**
 * Large objects in the full copy: each once and whole, whatever its size and whenever the process dies; none of the user's own is touched.
 */
import { describe, expect, it } from 'vitest';
import { armFailpoint } from '../src/base/runtime/failpoint.ts';
import { AppError } from '../src/base/errors/app-error.ts';
import { connect } from '../src/engine/pg/connect.ts';
import { ensureBookkeeping } from '../src/engine/target/books/bookkeeping.ts';
import { openLargeObjectWriter } from '../src/engine/target/copy/large-object-writer.ts';
import { registerTask, takeOver } from '../src/engine/target/books/task-row.ts';
import { verifyLargeObjects } from '../src/engine/verify/large-objects.ts';
import { freshDatabase, freshPair, type TestDatabase } from './database.ts';
import type { Major } from './global-setup.ts';
import { compare, migrate, start, type RunOptions } from './migration.ts';
import { cliHome } from './spawn-cli.ts';
import { firstOf } from './matrix.ts';

const FULL = ['schema', 'full'] as const;

/** Of several MB, empty, with holes in the middle and at the end, at the borders of pages and pieces, with the highest oid. */
const KINDS = `
  CREATE TABLE doc (id int PRIMARY KEY, file oid);
  SELECT lo_from_bytea(50001, (SELECT string_agg(decode(md5(i::text), 'hex'), '') FROM generate_series(1, 350000) i));
  SELECT lo_create(50002);
  SELECT lo_from_bytea(50003, 'begin'); SELECT lo_put(50003, 3000000, 'end');
  SELECT lo_from_bytea(50004, 'short');
  DO $$ BEGIN PERFORM lo_truncate64(lo_open(50004, 131072), 2500000); END $$;
  SELECT lo_from_bytea(50005, decode(repeat('ab', 1048576), 'hex'));
  SELECT lo_from_bytea(50006, decode(repeat('cd', 1048577), 'hex'));
  SELECT lo_from_bytea(50007, decode(repeat('ef', 2048), 'hex'));
  SELECT lo_from_bytea(4294967295, '\\x00ff');
  INSERT INTO doc SELECT i, 50000 + i FROM generate_series(1, 7) i`;

const pair = (from: Major, to: Major = from) => freshPair(from, to);

/** `oid:length:md5` of every large object, read as an administrator. */
async function contents({ session }: TestDatabase): Promise<string[]> {
  const rows = await session.query(
    `SELECT m.oid::text || ':' || octet_length(lo_get(m.oid)) || ':' || md5(lo_get(m.oid)) AS one
       FROM pg_largeobject_metadata m ORDER BY m.oid`,
  );
  return rows.map(({ one }) => one ?? '');
}

async function many({ session }: TestDatabase, count: number, first = 60_000): Promise<void> {
  await session.query(
    `SELECT lo_from_bytea(${first} + i, decode(md5(i::text), 'hex')) FROM generate_series(0, ${count - 1}) i`,
  );
}

function verdict(source: TestDatabase, target: TestDatabase) {
  const { signal } = new AbortController();
  return verifyLargeObjects({ openSource: () => source.open(), openTarget: () => target.open(), signal });
}

/** Stops after so many batches (and the batches of tables before them), as a killed process would: nothing is said to anybody. */
async function dieAfter(
  passes: number,
  ends: { source: TestDatabase; target: TestDatabase },
  options: RunOptions = { types: FULL },
) {
  const failpoints = armFailpoint(`copy.after-unit-commit:${passes}`, () => {
    throw new AppError('UNEXPECTED', { problem: 'killed' });
  });
  const dying = migrate(ends.source, ends.target, { ...options, failpoints, jobs: 1 });
  await expect(dying).rejects.toThrow('killed');
}

describe('large objects in the full copy', () => {
  it.each(
    firstOf(2, [
      [12, 18],
      [17, 12],
      [15, 15],
      [18, 17],
    ] as const),
  )('arrive from %i on %i with their oids and whole, whatever their size', async (from, to) => {
    await using ends = await pair(from, to);
    const { source, target } = ends;
    await source.session.query(KINDS);
    await many(source, 250);
    const summary = await migrate(source, target, { types: FULL });
    expect(await contents(target)).toEqual(await contents(source));
    expect((await contents(target)).length).toBe(258);
    expect(await verdict(source, target)).toMatchObject({ verdict: 'identical', sourceRows: 258n });
    expect((await compare(source, target)).differing).toEqual([]);
    expect(summary).toMatchObject({ outcome: 'completed', tables: 1, rowsCopied: 7n, warnings: [] });
    expect(summary.bytesCopied).toBeGreaterThan(10_000_000n);
  });

  it('are written with at most 100 in a transaction, and shown as one line of the progress', async () => {
    await using ends = await pair(17);
    const { source, target } = ends;
    await many(source, 350);
    await source.session.query('CREATE TABLE t (a int)');
    await migrate(source, target, { types: FULL, jobs: 3 });
    const [books] = await target.session.query(
      'SELECT max(cardinality(made))::text AS most, sum(cardinality(made))::text AS made FROM _opendts.large_object',
    );
    expect(books).toEqual({ most: '100', made: '350' });
    const xmins = await target.session.query(
      'SELECT count(*)::text AS n FROM pg_largeobject_metadata GROUP BY xmin::text',
    );
    expect(Math.max(...xmins.map(({ n }) => Number(n)))).toBe(100);
  });

  it('stay out of a migration of single tables, and of one without full', async () => {
    await using ends = await pair(18);
    const { source, target } = ends;
    await source.session.query('CREATE TABLE t (id int PRIMARY KEY); SELECT lo_create(7)');
    await migrate(source, target, { types: FULL, tables: ['public.t'] });
    await migrate(source, target, { types: ['schema'], tables: ['public.*'] }).catch(() => {});
    expect(await contents(target)).toEqual([]);
  });

  it('are said to be copied once and not followed, where changes are', async () => {
    await using ends = await pair(15, 17);
    const { source, target } = ends;
    await source.session.query("CREATE TABLE t (id int PRIMARY KEY); SELECT lo_from_bytea(7, 'seven')");
    const { warnings } = await migrate(source, target);
    expect(warnings).toEqual(['large objects are copied once and not followed']);
    expect(await contents(target)).toEqual(await contents(source));
    await source.session.query("SELECT lo_from_bytea(8, 'eight'); INSERT INTO t VALUES (1)");
    await migrate(source, target);
    expect(await contents(target)).toHaveLength(1);
    expect(await verdict(source, target)).toEqual({
      table: 'large objects',
      verdict: 'different',
      sourceRows: 2n,
      targetRows: 1n,
      reason: 'large object 8 is not on the target',
    });
  });
});

describe('a copy of large objects that is killed', () => {
  it.each(firstOf(2, ['copy.before-unit-commit:2', 'copy.after-unit-commit:2', 'copy.before-unit-commit:3']))(
    'at %s leaves nothing that running again does not put right',
    async (failpoint) => {
      await using ends = await pair(17);
      const { source, target } = ends;
      using home = cliHome();
      await source.session.query(KINDS);
      await many(source, 350);
      const args = ['migrate', '--source', source.uri, '--target', target.uri, '--jobs', '1'];
      const types = ['--types', 'schema,full'];
      const died = await home.run([...args, ...types], { env: { OPENDTS_FAILPOINT: failpoint } });
      expect(died.signal).toBe('SIGKILL');
      const finished = await home.run([...args, ...types]);
      expect(finished.stderr).not.toContain('level=error');
      expect(finished.code).toBe(0);
      expect(await contents(target)).toEqual(await contents(source));
      const verified = await home.run(['verify', '--source', source.uri, '--target', target.uri]);
      expect(verified.stdout).toContain('identical: 1 table, 7 rows, 358 large objects');
      expect(verified.code).toBe(0);
    },
  );

  it.each([12, 18] as const)(
    'without incremental on %i ends with all of one moment, and leaves those of others alone',
    async (major) => {
      await using ends = await pair(major);
      const { source, target } = ends;
      await source.session.query('CREATE TABLE t (id int PRIMARY KEY)');
      await many(source, 250);
      await target.session.query("SELECT lo_from_bytea(60500, 'mine')");
      await dieAfter(3, ends);
      expect((await contents(target)).length).toBe(201);
      await source.session.query(
        "SELECT lo_put(60001, 0, 'changed'); SELECT lo_unlink(60002); SELECT lo_from_bytea(59999, 'new')",
      );
      const { warnings } = await migrate(source, target, { types: FULL });
      expect(warnings).toEqual([
        '200 large objects were copied under an earlier snapshot, and are copied again: all are of one moment then',
      ]);
      const mine = (await contents(target)).filter((one) => one.startsWith('60500:'));
      expect(mine).toHaveLength(1);
      expect((await contents(target)).filter((one) => !mine.includes(one))).toEqual(await contents(source));
    },
  );

  it('on a source where nothing has happened since goes on where it was', async () => {
    await using ends = await pair(17);
    await many(ends.source, 250);
    await ends.source.session.query('CREATE TABLE t (id int PRIMARY KEY)');
    await dieAfter(3, ends);
    const stamps = () => ends.target.session.query('SELECT DISTINCT snapshot FROM _opendts.large_object');
    const [before] = await stamps();
    const { warnings } = await migrate(ends.source, ends.target, { types: FULL });
    // Other tests may have used up transaction ids of the same server meanwhile: then they are copied again.
    if ((await stamps())[0]?.snapshot === before?.snapshot) expect(warnings).toEqual([]);
    expect(await contents(ends.target)).toEqual(await contents(ends.source));
  });

  it('with incremental keeps what is copied, and says that the moments differ', async () => {
    await using ends = await pair(17, 18);
    const { source, target } = ends;
    await source.session.query('CREATE TABLE t (id int PRIMARY KEY)');
    await many(source, 250);
    await dieAfter(3, ends, {});
    await source.session.query("SELECT lo_put(60001, 0, 'changed'); SELECT lo_put(60249, 0, 'changed')");
    const { warnings } = await migrate(source, target);
    expect(warnings).toContainEqual(
      'large objects are of different moments: 200 were copied under an earlier snapshot, 50 are copied now',
    );
    expect(await verdict(source, target)).toMatchObject({
      sourceRows: 250n,
      targetRows: 250n,
      reason: 'the content of large object 60001 differs',
    });
  });

  it('is not passed over when a target that crashed has forgotten a batch', async () => {
    await using ends = await pair(15);
    const { source, target } = ends;
    await many(source, 250);
    await source.session.query('CREATE TABLE t (id int PRIMARY KEY)');
    await ensureBookkeeping(target.session);
    // As a crash would: with the last batch the first is gone, once, entry and objects.
    await target.session.query(`
      CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.last_oid = 4294967295 THEN
          PERFORM pg_catalog.lo_unlink(o) FROM _opendts.large_object, pg_catalog.unnest(made) o WHERE first_oid = 1;
          DELETE FROM _opendts.large_object WHERE first_oid = 1;
        END IF;
        RETURN NULL;
      END $$;
      CREATE TRIGGER forget AFTER INSERT ON _opendts.large_object FOR EACH ROW EXECUTE PROCEDURE forget();
      ALTER TABLE _opendts.large_object ENABLE ALWAYS TRIGGER forget`);
    const messages: string[] = [];
    const onEvent = ({ message }: { message: string }) => void messages.push(message);
    await migrate(source, target, { types: FULL, jobs: 1, onEvent });
    expect(messages).toContain('copying 250 large objects in 3 batches');
    expect(messages).toContain('copying 100 large objects in 1 batches');
    expect(await contents(target)).toEqual(await contents(source));
  });

  it.each([
    ['source', '%:copy', {}],
    ['target', '%:copy', {}],
    ['source', '%:holder', { types: FULL }],
    ['source', '%', { types: FULL }],
  ] as const)(
    'whose sessions on the %s (%s) are ended again and again still ends right',
    async (side, role, options) => {
      await using ends = await pair(17, 18);
      const { source, target } = ends;
      await source.session.query(KINDS);
      await many(source, 600);
      let cuts = 0;
      let batches = 0;
      const end = async ({ session }: TestDatabase) => {
        const ended = await session.query(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'opendts:%' AND application_name LIKE $1",
          [role],
        );
        cuts += ended.length;
      };
      const ending: Promise<void>[] = [];
      const failpoints = {
        pass: (name: string) => {
          if (name === 'copy.before-unit-commit' && [2, 4, 6].includes(++batches))
            ending.push(end(ends[side]));
        },
      };
      // Whatever cannot be gone over says so, and running again does the rest.
      for (let run = 0; run < 5; run++) {
        const ended = await migrate(source, target, { ...options, failpoints }).catch(
          (thrown: unknown) => thrown,
        );
        if (!(ended instanceof AppError)) break;
        expect(ended.code).toMatch(/^(CONNECTION_LOST|SNAPSHOT_LOST)$/);
      }
      await Promise.all(ending);
      expect(cuts).toBeGreaterThan(0);
      expect(await contents(target)).toEqual(await contents(source));
      expect((await compare(source, target)).differing).toEqual([]);
    },
  );

  it('finds a batch done whose answer was lost', async () => {
    await using target = await freshDatabase(17);
    await ensureBookkeeping(target.session);
    const names = { sourceSystem: 's', sourceDatabase: 'd', options: '{}' };
    await registerTask(target.session, { taskId: 't', ...names, phase: 'copy' }, []);
    const { fence } = await takeOver(target.session, 't');
    await using writer = await openLargeObjectWriter(() => target.open());
    const batch = { first: 1, last: 500, objects: [{ oid: 7, owner: null }] };
    const write = {
      taskId: 't',
      fence,
      batch,
      refused: [],
      keep: false,
      snapshot: '1:1:',
      beforeCommit() {},
    };
    let received = 0;
    const receive = async () => {
      received++;
      await writer.session.query("INSERT INTO pg_temp.opendts_large_object VALUES (7, 0, 'seven')");
      return 5;
    };
    expect(await writer.write(write, receive)).toMatchObject({ made: 1, bytes: 5n });
    expect(await writer.write(write, receive)).toBe(null);
    expect(received).toBe(1);
    await expect(writer.write({ ...write, fence: fence - 1n }, receive)).rejects.toMatchObject({
      code: 'FENCED',
    });
  });
});

describe('large objects that the target has already', () => {
  const TABLE = 'CREATE TABLE t (id int PRIMARY KEY)';

  it('keep a migration from starting', async () => {
    await using ends = await pair(12);
    const { source, target } = ends;
    await many(source, 3);
    await target.session.query("SELECT lo_from_bytea(60001, 'mine'), lo_from_bytea(5, 'other')");
    await source.session.query(TABLE);
    await expect(migrate(source, target, { types: FULL })).rejects.toThrow(
      'the target already has 1 large object with the same oid (60001)',
    );
  });

  it('are kept and counted with conflict mode ignore, also when it is killed and goes on under a later snapshot', async () => {
    await using ends = await pair(17, 15);
    const { source, target } = ends;
    await many(source, 250);
    await target.session.query("SELECT lo_from_bytea(60001, 'mine'), lo_from_bytea(60201, 'mine')");
    for (const { session } of [source, target]) await session.query(TABLE);
    const options = { types: ['full'], conflict: 'ignore' } as const;
    await dieAfter(2, ends, options);
    await source.session.query("SELECT lo_put(60002, 0, 'changed'); SELECT lo_unlink(60001)");
    const migration = start(source, target, options);
    await migration.finished;
    expect(migration.progress().tables.find(({ table }) => table === 'large objects')).toMatchObject({
      stage: 'done',
      rows: 248n,
      skipped: 1n,
    });
    const mine = (one: string) => /^60[02]01:/.test(one);
    const kept = (await contents(target)).filter(mine);
    expect(kept.map((one) => one.split(':')[1])).toEqual(['4', '4']);
    const rest = (all: string[]) => all.filter((one) => !mine(one));
    expect(rest(await contents(target))).toEqual(rest(await contents(source)));
  });

  it('because somebody made one in between are left alone; the others are copied, and running again does the rest', async () => {
    await using ends = await pair(18);
    const { source, target } = ends;
    await many(source, 350);
    await source.session.query(TABLE);
    await dieAfter(2, ends, {});
    await target.session.query("SELECT lo_from_bytea(60150, 'mine')");
    await expect(migrate(source, target)).rejects.toMatchObject({
      code: 'COPY_FAILED',
      facts: { side: 'target', sqlstate: '23505' },
    });
    expect(await contents(target)).toHaveLength(251);
    await target.session.query('SELECT lo_unlink(60150)');
    await migrate(source, target);
    expect(await contents(target)).toEqual(await contents(source));
  });
});

describe('rights on large objects', () => {
  /** Roles of this test alone, on both servers, and an account of that name; gone at the end. */
  async function withRoles(from: Major, to: Major) {
    const ends = await pair(from, to);
    const { source, target } = ends;
    const prefix = source.name;
    const both = [source.session, target.session];
    const roles = ['account', 'anna', 'bert', 'carl'].map((role) => `${prefix}_${role}`);
    const [account, anna, bert, carl] = roles as [string, string, string, string];
    await source.session.query(
      `CREATE ROLE ${account} LOGIN PASSWORD 'only-here'; CREATE ROLE ${anna}; CREATE ROLE ${bert}; CREATE ROLE ${carl}`,
    );
    await target.session.query(
      `CREATE ROLE ${account} LOGIN PASSWORD 'only-here'; CREATE ROLE ${anna}; CREATE ROLE ${carl}`,
    );
    const as = (database: TestDatabase): TestDatabase => {
      const info = { ...database.info, user: account, password: 'only-here' };
      return { ...database, info, open: () => connect(info, { side: 'source', applicationName: 'test' }) };
    };
    return {
      source,
      target,
      as,
      account,
      anna,
      bert,
      carl,
      [Symbol.asyncDispose]: async () => {
        for (const role of roles)
          for (const session of both) {
            const [there] = await session.query('SELECT FROM pg_roles WHERE rolname = $1', [role]);
            if (there) await session.query(`DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`);
          }
        await ends[Symbol.asyncDispose]();
      },
    };
  }

  const owners = async ({ session }: TestDatabase) =>
    (
      await session.query(
        'SELECT oid::text AS oid, pg_get_userbyid(lomowner) AS owner FROM pg_largeobject_metadata ORDER BY oid',
      )
    ).map(({ oid, owner }) => `${oid} ${owner}`);

  it.each([
    [12, 18],
    [18, 15],
  ] as const)('from %i to %i owners are set where they exist', async (from, to) => {
    await using ends = await withRoles(from, to);
    const { source, target, anna, bert } = ends;
    await source.session.query(`
      CREATE TABLE t (id int PRIMARY KEY); SELECT lo_from_bytea(1, 'a'), lo_from_bytea(2, 'b'), lo_from_bytea(3, 'c');
      ALTER LARGE OBJECT 1 OWNER TO ${anna}; ALTER LARGE OBJECT 2 OWNER TO ${bert}; GRANT SELECT ON LARGE OBJECT 1 TO PUBLIC`);
    const { warnings } = await migrate(source, target, { types: FULL });
    const admin = source.info.user;
    expect(await owners(target)).toEqual([`1 ${anna}`, `2 ${admin}`, `3 ${admin}`]);
    expect(warnings).toEqual([
      `1 large objects belong to the target account, because their owners are no roles there or it may not give objects to them: ${bert}`,
    ]);
    expect(
      await target.session.query('SELECT FROM pg_largeobject_metadata WHERE lomacl IS NOT NULL'),
    ).toEqual([]);
  });

  it.each([
    [15, 12],
    [12, 17],
    [17, 18],
  ] as const)(
    'from %i to %i accounts that are no superusers copy what they may read, give it to whom they may, and can take it back',
    async (from, to) => {
      await using ends = await withRoles(from, to);
      const { source, target, as, account, anna, bert, carl } = ends;
      await many(source, 150);
      await source.session.query(`
        CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1); GRANT SELECT ON t TO ${account};
        DO $$ BEGIN FOR i IN 60000..60149 LOOP EXECUTE format('GRANT SELECT ON LARGE OBJECT %s TO ${account}', i); END LOOP; END $$;
        ALTER LARGE OBJECT 60000 OWNER TO ${anna}; ALTER LARGE OBJECT 60001 OWNER TO ${bert}; ALTER LARGE OBJECT 60002 OWNER TO ${carl};
        REVOKE SELECT ON LARGE OBJECT 60007 FROM ${account}; REVOKE SELECT ON LARGE OBJECT 60120 FROM ${account}`);
      await target.session.query(`
        CREATE TABLE t (id int PRIMARY KEY); GRANT ALL ON t TO ${account};
        GRANT CREATE ON DATABASE ${target.name} TO ${account}; GRANT ${anna} TO ${account}`);
      const run = () => migrate(as(source), as(target), { types: ['full'] });
      await expect(run()).rejects.toMatchObject({
        code: 'RIGHTS_MISSING',
        message: `User "${account}" may not read large objects 60007, 60120 on the source.`,
        remedy: `As their owner run: GRANT SELECT ON LARGE OBJECT 60007, 60120 TO "${account}";   -- or migrate as their owner or a superuser`,
      });
      expect(await contents(target)).toHaveLength(148);
      expect(await target.session.query('SELECT * FROM t')).toEqual([{ id: '1' }]);
      expect(await verdict(as(source), as(target))).toMatchObject({
        verdict: 'different',
        reason: 'large object 60007 is not on the target, and 1 more differ',
      });
      await source.session.query(`GRANT SELECT ON LARGE OBJECT 60007, 60120 TO ${account}`);
      const { warnings } = await run();
      expect(warnings).toContain(
        '148 large objects were copied under an earlier snapshot, and are copied again: all are of one moment then',
      );
      expect(await contents(target)).toEqual(await contents(source));
      expect((await owners(target)).slice(0, 3)).toEqual([
        `60000 ${anna}`,
        `60001 ${account}`,
        `60002 ${account}`,
      ]);
      expect(await verdict(as(source), as(target))).toMatchObject({ verdict: 'identical' });
      await source.session.query(`REVOKE SELECT ON LARGE OBJECT 60120 FROM ${account}`);
      await expect(verdict(as(source), as(target))).rejects.toMatchObject({
        code: 'RIGHTS_MISSING',
        message: `User "${account}" may not read large object 60120 on the source.`,
      });
    },
  );

  it('that are missing end a strict migration at once', async () => {
    await using ends = await withRoles(17, 15);
    const { source, target, as, account } = ends;
    await source.session.query(
      `SELECT lo_create(9); CREATE TABLE t (id int PRIMARY KEY); GRANT SELECT ON t TO ${account}`,
    );
    await target.session.query('CREATE TABLE t (id int PRIMARY KEY)');
    await expect(migrate(as(source), target, { types: ['full'], strict: true })).rejects.toMatchObject({
      code: 'RIGHTS_MISSING',
      message: expect.stringContaining('read large object 9 '),
    });
  });
});
