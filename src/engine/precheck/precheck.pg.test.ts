/** Every check against real servers: once in a state it must complain about, once in one it must not. */
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { freshDatabase, type TestDatabase } from '../../../test/database.ts';
import { fakePooler } from '../../../test/fake-pooler.ts';
import { MAJORS } from '../../../test/global-setup.ts';
import { startEmbedded, type EmbeddedServer } from '../../base/embedded/server.ts';
import {
  OPERATIONS,
  type MigrationType,
  type PartitionMode,
  type ReplicaIdentityPolicy,
  type TableRule,
} from '../../contract/task-spec.ts';
import { targetNames } from '../selection/target-names.ts';
import { readTables } from '../pg/catalog/tables/tables.ts';
import type { ConnInfo } from '../pg/conninfo/conninfo.ts';
import { parseConninfo } from '../pg/conninfo/parse.ts';
import { connect } from '../pg/connect.ts';
import { ident } from '../pg/ident.ts';
import type { Session } from '../pg/session.ts';
import { tableWishes } from '../selection/table-wishes.ts';
import { ALL_CHECKS } from './all-checks.ts';
import { runChecks } from './run-checks.ts';
import { type Check, type Finding } from './check.ts';
import { onePiecesOver } from './checks/one-piece.ts';
import { transactionsOlderThan } from './checks/long-transactions.ts';

interface Ends {
  readonly source: ConnInfo;
  readonly target: ConnInfo;
}

const ALL: readonly MigrationType[] = ['schema', 'full', 'incremental'];

async function check(
  ends: Ends,
  {
    types = ALL,
    checks = ALL_CHECKS,
    jobs = 2,
    replicaIdentity = 'needed',
    rules = [],
    rename = {},
    createExtensions = false,
    partitions = 'keep',
  }: {
    types?: readonly MigrationType[];
    checks?: readonly Check[];
    jobs?: number;
    replicaIdentity?: ReplicaIdentityPolicy;
    rules?: readonly TableRule[];
    rename?: Readonly<Record<string, string>>;
    createExtensions?: boolean;
    partitions?: PartitionMode;
  } = {},
): Promise<Finding[]> {
  await using source = await connect(ends.source, { side: 'source', applicationName: 'opendts:test:check' });
  await using target = await connect(ends.target, { side: 'target', applicationName: 'opendts:test:check' });
  const tables = await readTables(source);
  const context = {
    source,
    target,
    sourceInfo: ends.source,
    targetInfo: ends.target,
    types: new Set(types),
    tables,
    targetTables: await readTables(target),
    mapping: targetNames(
      tables,
      { rename, capitalization: 'source', excludeColumns: [] },
      { partitions: partitions === 'plain' ? 'plain' : 'together' },
    ),
    partitions,
    wishOf: tableWishes(tables, { operations: OPERATIONS, rules }),
    conflict: 'report' as const,
    wholeDatabase: true,
    createExtensions,
    heartbeat: true,
    captureDdl: 'auto' as const,
    replicaIdentity,
    jobs,
  };
  return await runChecks(context, undefined, checks);
}

const only = (name: string) => ({ checks: ALL_CHECKS.filter((one) => one.name === name) });

/** The findings of one check that are not `passed`. */
async function complaints(name: string, ends: Ends, types?: readonly MigrationType[]): Promise<Finding[]> {
  const findings = await check(ends, { ...only(name), ...(types ? { types } : {}) });
  expect(findings.every((found) => found.check === name)).toBe(true);
  return findings.filter(({ result }) => result !== 'passed');
}

/** Runs a fix as pasted, without its comments. */
async function paste(session: Session, found: Finding | undefined): Promise<void> {
  if (!found?.fix) throw new Error('the finding has no fix');
  await session.query(found.fix.replaceAll(/--.*$/gm, ''));
}

let source: TestDatabase;
let target: TestDatabase;
let ends: Ends;

async function openPair(sourceMajor: (typeof MAJORS)[number], targetMajor = sourceMajor): Promise<void> {
  source = await freshDatabase(sourceMajor);
  target = await freshDatabase(targetMajor);
  ends = { source: source.info, target: target.info };
}

async function closePair(): Promise<void> {
  await source[Symbol.asyncDispose]();
  await target[Symbol.asyncDispose]();
}

describe.each(MAJORS)('all checks on PostgreSQL %i', (major) => {
  beforeEach(() => openPair(major));
  afterEach(closePair);

  it('pass for a plain database and an empty target, and change nothing', async () => {
    await source.session.query(
      'CREATE TABLE a (id int PRIMARY KEY, t text); INSERT INTO a SELECT g, g FROM generate_series(1, 10) g',
    );
    for (const types of [ALL, ['schema', 'full'] as const]) {
      const findings = await check(ends, { types });
      // Other tests hold transactions open on the shared servers.
      const wrong = findings.filter(
        ({ result, check: name }) => result !== 'passed' && name !== 'long_transactions',
      );
      expect(wrong).toEqual([]);
      expect(findings.length).toBeGreaterThan(15);
    }
    expect(await target.session.query("SELECT FROM pg_namespace WHERE nspname LIKE '\\_opendts%'")).toEqual(
      [],
    );
    expect(await source.session.query('SELECT FROM pg_publication')).toEqual([]);
  });

  it('complain where they should', async () => {
    await source.session.query(`
      CREATE SCHEMA s;
      CREATE TABLE s.no_key (a int);
      CREATE TABLE s.by_index (a int NOT NULL, b int, UNIQUE (a));
      CREATE UNLOGGED TABLE s.scratch (id int PRIMARY KEY);
      CREATE TABLE s.parted (id int PRIMARY KEY) PARTITION BY RANGE (id);
      CREATE TABLE s.part1 PARTITION OF s.parted FOR VALUES FROM (0) TO (10);
      CREATE EXTENSION file_fdw WITH SCHEMA s;
      CREATE SERVER f FOREIGN DATA WRAPPER file_fdw;
      CREATE FOREIGN TABLE s.elsewhere (a text) SERVER f OPTIONS (filename '/dev/null');
      SELECT lo_create(0);`);
    const findings = await check(ends);
    const seen = (name: string) =>
      findings.find(
        (found) => found.check === name && (found.result !== 'passed' || name === 'partitioned_tables'),
      );
    expect(
      findings
        .filter(({ check: name, result }) => name === 'row_keys' && result === 'alert')
        .map(({ evidence }) => evidence),
    ).toEqual(['s.no_key', 's.by_index']);
    expect(seen('unlogged_tables')).toMatchObject({
      evidence: 's.scratch',
      fix: 'ALTER TABLE "s"."scratch" SET LOGGED;',
    });
    expect(seen('partitioned_tables')).toMatchObject({
      what: '1 partitioned table, kept with 1 partition',
      evidence: 's.parted',
    });
    expect(seen('extensions')).toMatchObject({ result: 'alert', evidence: 'file_fdw' });
    expect(seen('foreign_tables')).toMatchObject({ result: 'alert', evidence: 's.elsewhere' });
    expect(seen('large_objects')).toMatchObject({
      result: 'alert',
      what: 'large objects are copied once, without their grants; changes of them are not followed',
      evidence: '1 large object',
    });
    expect(findings.filter(({ result }) => result === 'failed')).toEqual([]);

    expect(await check(ends, { ...only('extensions'), createExtensions: true })).toMatchObject([
      { result: 'passed', evidence: 'file_fdw' },
    ]);
    await target.session.query('CREATE SCHEMA elsewhere; CREATE EXTENSION file_fdw SCHEMA elsewhere');
    const [misplaced] = await complaints('extensions', ends);
    expect(misplaced?.what).toMatch(/another schema/);
    await paste(target.session, misplaced);
    expect(await complaints('extensions', ends)).toEqual([]);
    await target.session.query('DROP EXTENSION file_fdw; DROP SCHEMA elsewhere');
    await paste(target.session, seen('extensions'));
    expect(await complaints('extensions', ends)).toEqual([]);
    const [, byIndex] = await complaints('row_keys', ends);
    await paste(source.session, byIndex);
    expect((await complaints('row_keys', ends)).map(({ evidence }) => evidence)).toEqual(['s.no_key']);
  });
});

describe('the ends', () => {
  beforeEach(() => openPair(17));
  afterEach(closePair);

  it('may not be one database', async () => {
    expect(await complaints('same_database', { source: source.info, target: source.info })).toMatchObject([
      { result: 'failed', evidence: expect.stringContaining(source.name) },
    ]);
  });

  it('may be swapped when only the target has data', async () => {
    await source.session.query('CREATE TABLE a (id int)');
    await target.session.query('CREATE TABLE a (id int); INSERT INTO a VALUES (1)');
    expect(await complaints('direction', ends)).toMatchObject([
      { result: 'alert', what: expect.stringContaining('swapped') },
    ]);
    await source.session.query('INSERT INTO a VALUES (1)');
    expect(await complaints('direction', ends)).toEqual([]);
  });

  it('say when the target is older', async () => {
    await using older = await freshDatabase(15);
    expect(await complaints('versions', { ...ends, target: older.info })).toMatchObject([
      { result: 'alert', evidence: expect.stringMatching(/^source 17\.\d+, target 15\.\d+$/) },
    ]);
  });

  it('differ in encoding and collation', async () => {
    const name = `t_${randomBytes(6).toString('hex')}`;
    await source.session.query(
      `CREATE DATABASE ${name} TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en' LOCALE 'C'`,
    );
    const ascii = `t_${randomBytes(6).toString('hex')}`;
    await source.session.query(`CREATE DATABASE ${ascii} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'`);
    try {
      const icu = { ...ends, target: { ...target.info, database: name } };
      expect(await complaints('collation', icu)).toMatchObject([
        { result: 'alert', evidence: expect.stringContaining('icu en') },
      ]);
      expect(await complaints('encoding', icu)).toEqual([]);
      const bytes = { ...ends, source: { ...source.info, database: ascii } };
      expect(await complaints('encoding', bytes)).toMatchObject([
        { result: 'alert', evidence: 'source SQL_ASCII, target UTF8' },
      ]);
    } finally {
      await source.session.query(`DROP DATABASE ${name}`);
      await source.session.query(`DROP DATABASE ${ascii}`);
    }
  });
});

describe('tables of the target', () => {
  beforeEach(() => openPair(17));
  afterEach(closePair);

  it('must not exist with schema, must exist and be empty without', async () => {
    await source.session.query(`CREATE TABLE "it's" (id int); CREATE TABLE b (id int)`);
    await target.session.query(`CREATE TABLE "it's" (id int)`);
    const [exists] = await complaints('target_tables', ends);
    expect(exists).toMatchObject({ result: 'failed', evidence: "public.it's" });
    expect(exists?.fix).toContain(`--exclude-table '"public"."it'\\''s"'`);
    expect(await complaints('target_tables', ends, ['full'])).toMatchObject([
      { result: 'failed', evidence: 'public.b' },
    ]);
    await target.session.query('CREATE TABLE b (id int)');
    expect(await complaints('target_tables', ends, ['full'])).toEqual([]);
    await target.session.query('INSERT INTO b VALUES (1)');
    expect(await complaints('target_tables', ends, ['full'])).toMatchObject([
      { result: 'failed', evidence: 'public.b', what: expect.stringContaining('already hold rows') },
    ]);
    expect(await complaints('target_tables', ends, ['incremental'])).toEqual([]);
  });

  it('may take several of the source, and then it is said what could go wrong', async () => {
    await source.session.query(
      'CREATE TABLE p (k int) PARTITION BY LIST (k); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1); CREATE TABLE p2 PARTITION OF p DEFAULT',
    );
    await target.session.query('CREATE TABLE flat (k int)');
    const changes = { ...only('target_tables'), types: ['full'], rename: { p: 'public.flat' } } as const;
    expect(await check(ends, changes)).toMatchObject([
      { result: 'alert', evidence: 'public.p1, public.p2', what: expect.stringContaining('public.flat') },
    ]);
  });
});

describe('a user without rights', () => {
  let role = '';
  let mine: Ends;
  beforeEach(async () => {
    await openPair(17);
    role = `r_${randomBytes(4).toString('hex')}`;
    await source.session.query(`CREATE ROLE ${role} LOGIN PASSWORD 'only-here'`);
    const as = (info: ConnInfo) => ({ ...info, user: role, password: 'only-here' });
    mine = { source: as(source.info), target: as(target.info) };
  });
  afterEach(async () => {
    for (const db of [source, target]) await db.session.query(`DROP OWNED BY ${role}`);
    await source.session.query(`DROP ROLE ${role}`);
    await closePair();
  });

  it('is told what it lacks on the source, and what is proposed suffices', async () => {
    const owner = `${role}_owner`;
    await source.session.query(`
      CREATE ROLE ${owner};
      CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY); CREATE TABLE s."T 2" (id int PRIMARY KEY);
      ALTER SCHEMA s OWNER TO ${owner}; ALTER TABLE s.t OWNER TO ${owner}; ALTER TABLE s."T 2" OWNER TO ${owner}`);
    try {
      for (const name of ['source_read', 'publication_right', 'replication_right']) {
        const found = await complaints(name, mine);
        expect(found.length).toBeGreaterThan(0);
        // Without a publication test_decoding serves.
        const expected = name === 'publication_right' ? 'alert' : 'failed';
        expect(found.every(({ result }) => result === expected)).toBe(true);
        for (const one of found) await paste(source.session, one);
        expect(await complaints(name, mine)).toEqual([]);
      }
      await using walsender = await connect(mine.source, {
        side: 'source',
        applicationName: 'test',
        replication: true,
      });
      expect(walsender.pid).toBeGreaterThan(0);
      await using session = await connect(mine.source, { side: 'source', applicationName: 'test' });
      await session.query('CREATE PUBLICATION p FOR TABLE s.t, s."T 2"');
    } finally {
      await source.session.query(`DROP OWNED BY ${owner}; DROP ROLE ${owner}`);
    }
  });

  it('is told what helpers in the source it cannot have, and what is proposed suffices', async () => {
    const evidence = `user "${role}" may not create tables in schema public of the source`;
    const [capture] = await complaints('ddl_capture', mine);
    const [beat] = await complaints('heartbeat', mine);
    expect([capture, beat]).toMatchObject([
      { result: 'alert', evidence, fix: beat?.fix },
      { result: 'alert', evidence },
    ]);
    await paste(source.session, beat);
    expect(await complaints('heartbeat', mine)).toEqual([]);
    expect(await complaints('ddl_capture', mine)).toMatchObject([
      {
        result: 'alert',
        evidence: expect.stringContaining('permission denied to create event trigger'),
        fix: expect.stringContaining('superuser'),
      },
    ]);
    expect(await source.session.query("SELECT FROM pg_proc WHERE proname LIKE 'dts%'")).toEqual([]);
  });

  it('may read by columns as well as by table', async () => {
    await source.session.query(`CREATE TABLE public.t (a int, b int); GRANT SELECT (a) ON t TO ${role}`);
    expect(await complaints('source_read', mine)).toMatchObject([{ evidence: 'public.t' }]);
    await source.session.query(`GRANT SELECT (b) ON t TO ${role}`);
    expect(await complaints('source_read', mine)).toEqual([]);
  });

  it('is told when row-level security would hide rows', async () => {
    await source.session.query(`
      CREATE TABLE public.t (a int); GRANT SELECT ON t TO ${role};
      ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (a > 5)`);
    expect(await complaints('row_security', ends)).toEqual([]);
    const [found] = await complaints('row_security', mine);
    expect(found).toMatchObject({ result: 'failed', evidence: 'public.t' });
    await paste(source.session, found);
    expect(await complaints('row_security', mine)).toEqual([]);
  });

  it('is told of policies that would hold for it on the target, where they stand and where they will', async () => {
    const secret = `CREATE TABLE public.t (a int); ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;`;
    await source.session.query(secret);
    expect(await complaints('schema_objects', ends)).toEqual([]);
    const [forced] = await complaints('schema_objects', mine);
    expect(forced).toMatchObject({ result: 'alert', evidence: 'public.t' });
    expect(forced?.fix).toContain('ALTER TABLE "public"."t" FORCE ROW LEVEL SECURITY;');
    await target.session.query(`${secret} GRANT SELECT ON t TO ${role}`);
    await source.session.query(`ALTER TABLE t NO FORCE ROW LEVEL SECURITY; ALTER TABLE t OWNER TO ${role}`);
    const [found] = await complaints('row_security', mine, ['full']);
    expect(found).toMatchObject({ result: 'failed', evidence: 'public.t' });
    await paste(target.session, found);
    expect(await complaints('row_security', mine, ['full'])).toEqual([]);
  });

  it('is told what it lacks on the target, and what is proposed suffices', async () => {
    await source.session.query('CREATE TABLE public.t (id int PRIMARY KEY)');
    const found = await complaints('target_rights', mine);
    expect(found.map(({ evidence }) => evidence)).toEqual([
      `no CREATE on database "${target.name}"`,
      'public',
    ]);
    for (const one of found) await paste(target.session, one);
    expect(await complaints('target_rights', mine)).toEqual([]);
    await target.session.query('CREATE TABLE public.t (id int PRIMARY KEY)');
    const [write] = await complaints('target_rights', mine, ['full', 'incremental']);
    expect(write).toMatchObject({
      result: 'failed',
      evidence: 'public.t',
      fix: expect.stringContaining('TRUNCATE'),
    });
    await paste(target.session, write);
    expect(await complaints('target_rights', mine, ['full', 'incremental'])).toEqual([]);
  });

  it('is told when it cannot keep triggers quiet', async () => {
    const [found] = await complaints('session_replication_role', mine);
    expect(found?.result).toBe('alert');
    await paste(target.session, found);
    expect(await complaints('session_replication_role', mine)).toEqual([]);
    await target.session.query(`REVOKE SET ON PARAMETER session_replication_role FROM ${role}`);
  });

  it('is told when few connections are left for its jobs', async () => {
    expect(await complaints('connections', mine)).toEqual([]);
    await source.session.query(`ALTER ROLE ${role} CONNECTION LIMIT 8`);
    const few = async (jobs: number) =>
      (await check(mine, { ...only('connections'), jobs })).filter(({ result }) => result === 'alert');
    // Two are the check's own: both ends are on one server.
    expect(await few(3)).toEqual([]);
    expect((await few(4)).map(({ what, evidence }) => `${what}: ${evidence}`)).toEqual([
      expect.stringMatching(/^the source has few free .*: 6 free, 7 needed for 4 jobs,/),
    ]);
    expect((await few(5)).map(({ evidence }) => evidence)).toEqual([
      expect.stringContaining('10 needed for 5 jobs'),
      expect.stringContaining('7 needed for 5 jobs'),
    ]);
    await source.session.query(`ALTER ROLE ${role} CONNECTION LIMIT -1`);
    await target.session.query(`ALTER DATABASE ${ident(target.name)} CONNECTION LIMIT 4`);
    expect((await complaints('connections', mine)).map(({ what }) => what)).toEqual([
      expect.stringContaining('the target has few free connections'),
    ]);
  });
});

describe('connections', () => {
  beforeEach(() => openPair(17));
  afterEach(closePair);
  const port = ({ info }: TestDatabase) => info.hosts[0]!.port;

  it('may not go through a pooler', async () => {
    await using pooler = await fakePooler([port(source)], true);
    const through = pooler.through(source.info);
    expect(await complaints('one_server', { ...ends, source: through })).toMatchObject([
      { result: 'failed', what: 'a connection pooler sits between us and the source' },
    ]);
    expect(await complaints('one_server', { ...ends, target: pooler.through(target.info) })).toMatchObject([
      { result: 'failed', what: 'a connection pooler sits between us and the target' },
    ]);
  });

  it('may not reach different servers', async () => {
    await using other = await freshDatabase(18);
    const role = `r_${randomBytes(4).toString('hex')}`;
    for (const db of [source, other])
      await db.session.query(`CREATE ROLE ${role} LOGIN SUPERUSER PASSWORD 'only-here'`);
    try {
      await other.session.query(`CREATE DATABASE ${source.name}`);
      await using balancer = await fakePooler([port(source), port(other)], false);
      const through = balancer.through({ ...source.info, user: role, password: 'only-here' });
      const [found, ...more] = await complaints('one_server', { ...ends, source: through });
      expect(more).toEqual([]);
      expect(found).toMatchObject({ result: 'failed', what: expect.stringContaining('different servers') });
      expect(found?.evidence).toMatch(/^system \d+ started at .*, system \d+ started at /);
    } finally {
      await other.session.query(`DROP DATABASE ${source.name} WITH (FORCE)`);
      for (const db of [source, other]) await db.session.query(`DROP ROLE ${role}`);
    }
  });

  it('are compared as far as there are any', async () => {
    const role = `r_${randomBytes(4).toString('hex')}`;
    await source.session.query(`CREATE ROLE ${role} LOGIN PASSWORD 'only-here' CONNECTION LIMIT 2`);
    try {
      const few = { ...source.info, user: role, password: 'only-here' };
      const findings = await check({ ...ends, source: few }, only('one_server'));
      expect(findings.map(({ result, evidence }) => `${result} ${evidence}`)).toEqual([
        'passed 2 compared',
        'passed 4 compared',
      ]);
    } finally {
      await source.session.query(`DROP ROLE ${role}`);
    }
  });
});

describe('what target tables carry', () => {
  beforeEach(() => openPair(17));
  afterEach(closePair);
  const types = ['full', 'incremental'] as const;

  it('is named with its price, the largest table first, and with the way to drop it and bring it back', async () => {
    await source.session.query(`
      CREATE TABLE few (id int PRIMARY KEY, t text); CREATE TABLE many (id int PRIMARY KEY, t text, few_id int); CREATE TABLE bare (id int PRIMARY KEY);
      INSERT INTO many SELECT i, md5(i::text) FROM generate_series(1, 20000) i; ANALYZE many`);
    await target.session.query(`
      CREATE TABLE few (id int PRIMARY KEY, t text UNIQUE); CREATE TABLE many (id int PRIMARY KEY, t text, few_id int REFERENCES few); CREATE TABLE bare (id int PRIMARY KEY);
      CREATE INDEX "by T" ON many (lower(t)) WHERE id > 5; CREATE INDEX by_few ON many (few_id); CREATE UNIQUE INDEX one ON many (t);
      CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
      CREATE TRIGGER g BEFORE INSERT ON few FOR EACH ROW EXECUTE FUNCTION f()`);
    const [found, ...more] = await complaints('target_indexes', ends, types);
    expect(more).toEqual([]);
    expect(found).toMatchObject({ result: 'alert', what: expect.stringContaining('2 tables of the target') });
    expect(found?.what).toContain('do not fire meanwhile');
    expect(found?.evidence).toBe(
      'public.many (~2 MB, ~20000 rows): 4 indexes, 1 foreign key, public.few (~1 MB, not analyzed): 2 indexes, 1 trigger',
    );
    // What is unique finds rows again, what a constraint rests on goes with it only.
    expect(found?.fix).toContain('DROP INDEX "public"."by T";');
    expect(found?.fix?.match(/DROP INDEX/g)).toHaveLength(2);
    const defs = async () =>
      (await target.session.query('SELECT indexdef FROM pg_indexes ORDER BY indexname')).map(
        ({ indexdef }) => indexdef,
      );
    const before = await defs();
    await paste(target.session, found);
    expect(await defs()).toHaveLength(before.length - 2);
    const again = found?.fix?.match(/^-- CREATE .*$/gm)?.map((line) => line.slice(3)) ?? [];
    await target.session.query(again.join('\n'));
    expect(await defs()).toEqual(before);
  });

  it("is said to fire where it does, and is nobody's concern with schema or without a copy", async () => {
    await source.session.query('CREATE TABLE t (id int PRIMARY KEY)');
    await target.session.query(`
      CREATE TABLE t (id int PRIMARY KEY); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
      CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f(); ALTER TABLE t ENABLE ALWAYS TRIGGER g`);
    const [found] = await complaints('target_indexes', ends, types);
    expect(found).toMatchObject({
      what: expect.stringContaining('fire for each row of public.t'),
      fix: null,
    });
    expect(await complaints('target_indexes', ends, ['incremental'])).toEqual([]);
    expect(await complaints('target_indexes', ends, ['schema', 'full'])).toEqual([]);
    await target.session.query('ALTER TABLE t DISABLE TRIGGER g');
    expect(await complaints('target_indexes', ends, types)).toEqual([]);
  });
});

describe('a source that is not set up for following changes', () => {
  let server: EmbeddedServer;
  let info: ConnInfo;
  let admin: Session;
  beforeAll(async () => {
    server = await startEmbedded({
      major: 17,
      settings: {
        wal_level: 'replica',
        max_replication_slots: 1,
        max_wal_senders: 1,
        max_prepared_transactions: 2,
        max_slot_wal_keep_size: '64MB',
        fsync: 'off',
      },
    });
    info = parseConninfo(server.uri('postgres'), 'source');
    admin = await connect(info, { side: 'source', applicationName: 'test' });
  });
  afterAll(async () => {
    await admin?.end();
    await server?.remove();
  });
  beforeEach(() => openPair(17));
  afterEach(closePair);

  it('gets both ways out of a wrong wal_level', async () => {
    const [found] = await complaints('wal_level', { ...ends, source: info });
    expect(found).toMatchObject({ result: 'failed', evidence: 'wal_level = replica' });
    expect(found?.fix).toContain('ALTER SYSTEM SET wal_level = logical');
    expect(found?.fix).toMatch(/^--types schema,full$/m);
    const [alone] = await complaints('wal_level', { ...ends, source: info }, ['incremental']);
    expect(alone?.fix).not.toContain('--types');
    expect(await complaints('wal_level', { ...ends, source: info }, ['schema', 'full'])).toEqual([]);
  });

  it('has no room for a slot or its connections', async () => {
    await admin.query("SELECT pg_catalog.pg_create_physical_replication_slot('taken')");
    const found = await complaints('slots', { ...ends, source: info });
    expect(found.map(({ evidence }) => evidence)).toEqual([
      '1 in use, max_replication_slots = 1, 1 needed',
      '0 in use, max_wal_senders = 1, 2 needed',
    ]);
    await admin.query("SELECT pg_catalog.pg_drop_replication_slot('taken')");
    expect(await complaints('slots', { ...ends, source: info })).toHaveLength(1);
    expect(await complaints('slots', ends)).toEqual([]);
  });

  it('throws away the log of a slot', async () => {
    expect(await complaints('slot_wal_limit', { ...ends, source: info })).toMatchObject([
      { result: 'alert', evidence: 'max_slot_wal_keep_size = 64MB', fix: expect.stringContaining('= -1;') },
    ]);
    expect(await complaints('slot_wal_limit', ends)).toEqual([]);
  });

  it('has transactions that a slot would wait for', async () => {
    const long = transactionsOlderThan(0);
    const found = async (checks: Check) => (await check({ ...ends, source: info }, { checks: [checks] }))[0];
    expect(await found(long)).toMatchObject({ result: 'passed' });
    await using writer = await connect(info, { side: 'source', applicationName: 'test' });
    await admin.query('CREATE TABLE public.w (a int)');
    await writer.query('BEGIN');
    await writer.query('INSERT INTO public.w VALUES (1)');
    const running = await found(long);
    expect(running).toMatchObject({
      result: 'alert',
      fix: `SELECT pg_catalog.pg_terminate_backend(${writer.pid});`,
    });
    expect(running?.evidence).toMatch(
      new RegExp(`^${writer.pid} \\(user postgres, database postgres, idle in transaction, open for`),
    );
    expect(await found(transactionsOlderThan(60))).toMatchObject({ result: 'passed' });
    await writer.query("PREPARE TRANSACTION 'it''s'");
    const prepared = await found(transactionsOlderThan(60));
    expect(prepared).toMatchObject({
      result: 'alert',
      evidence: expect.stringContaining("prepared transaction 'it''s'"),
    });
    await paste(admin, prepared);
    expect(await found(long)).toMatchObject({ result: 'passed' });
  });
});

it('names large tables that must be copied in one piece, with what that takes', async () => {
  await openPair(18);
  await source.session.query(
    `CREATE TABLE parts (id int PRIMARY KEY, v text); INSERT INTO parts SELECT i, repeat('v', 200) FROM generate_series(1, 5000) i;
     CREATE TABLE keyless (v text); INSERT INTO keyless SELECT v FROM parts;
     CREATE TABLE two_keys (id int PRIMARY KEY, u int UNIQUE, v text); INSERT INTO two_keys SELECT id, id, v FROM parts;
     CREATE TABLE disorder (id uuid PRIMARY KEY, v text); INSERT INTO disorder SELECT md5(v || id)::uuid, v FROM parts; ANALYZE`,
  );
  const [found] = await check(ends, { checks: [onePiecesOver(0, 100_000n)] });
  expect(found).toMatchObject({ result: 'alert', what: expect.stringContaining('3 large tables') });
  expect(found?.evidence).toMatch(/public.keyless .*: 1 s to 1 s, .* of log/);
  expect(found?.evidence).not.toContain('public.parts');
  expect((await check(ends, { checks: [onePiecesOver(900)] }))[0]).toMatchObject({ result: 'passed' });
  await closePair();
});

describe('replica identities', () => {
  beforeEach(() => openPair(17));
  afterEach(closePair);

  it('that are not to be changed keep keyless tables from being followed, and all of them have a price', async () => {
    await source.session.query('CREATE TABLE keyed (id int PRIMARY KEY); CREATE TABLE keyless (a int)');
    const onlyKeys = only('row_keys');
    const [never] = await check(ends, { ...onlyKeys, replicaIdentity: 'never' });
    expect(never).toMatchObject({ result: 'failed', evidence: 'public.keyless' });
    const all = await check(ends, { ...onlyKeys, replicaIdentity: 'all' });
    expect(all[0]).toMatchObject({ result: 'alert', evidence: '--replica-identity all' });
    await paste(source.session, never);
    expect(await check(ends, { ...onlyKeys, replicaIdentity: 'never' })).not.toContainEqual(
      expect.objectContaining({ result: 'failed' }),
    );
  });
});

describe('helpers in a source that publishes everything', () => {
  beforeEach(() => openPair(17));
  afterEach(closePair);

  it('are left out, because its subscribers would stop', async () => {
    await source.session.query('CREATE PUBLICATION theirs FOR ALL TABLES');
    for (const name of ['heartbeat', 'ddl_capture'])
      expect(await complaints(name, ends)).toMatchObject([
        { result: 'alert', evidence: expect.stringContaining('publication "theirs"'), fix: null },
      ]);
  });
});

describe('row filters', () => {
  beforeEach(() => openPair(18));
  afterEach(closePair);

  const filters = (rules: TableRule[], types: readonly MigrationType[] = ALL) =>
    check(ends, { ...only('filters'), types, rules });

  it('are nobody’s concern where there are none, and pass where the stream carries what they need', async () => {
    await source.session.query('CREATE TABLE a (id int PRIMARY KEY, n int)');
    expect(await filters([])).toEqual([]);
    expect(await filters([{ tables: 'a', filter: 'id > 5' }])).toEqual([
      { check: 'filters', result: 'passed', what: '1 filtered table', evidence: '', fix: null },
    ]);
  });

  it('are named when they cannot be used, need FULL, or break foreign keys', async () => {
    await source.session.query(`
      CREATE TABLE a (id int PRIMARY KEY, n int, twice int GENERATED ALWAYS AS (n * 2) STORED);
      CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a);
      CREATE TABLE p (id int, k int, v text, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
      CREATE TABLE p_1 PARTITION OF p FOR VALUES IN (1)`);
    const bad = await filters([
      { tables: 'a', filter: 'twice > 5' },
      { tables: 'b', filter: 'a > now()' },
      { tables: 'p', filter: "v <> ''" },
    ]);
    expect(bad.map(({ result, what, evidence }) => `${result}: ${what} (${evidence})`)).toEqual([
      expect.stringMatching(/^failed: the filter of public\.b cannot be used \(operator does not exist/),
      expect.stringMatching(/^failed: the filter of public\.a reads a generated column.*\(twice\)$/),
      expect.stringMatching(
        /^alert: 2 filtered tables followed with REPLICA IDENTITY FULL.*\(public\.a, public\.p_1\)$/,
      ),
      expect.stringMatching(/^alert: 1 foreign key to filtered tables.*\(b_a_fkey\)$/),
    ]);
    expect(await filters([{ tables: 'a', filter: 'twice > 5' }], ['full'])).toEqual([
      expect.objectContaining({ result: 'passed' }),
    ]);
  });

  it('that need FULL keep a migration from starting where identities are not to be changed', async () => {
    await source.session.query(
      'CREATE TABLE a (id int PRIMARY KEY, n int); CREATE TABLE b (id int PRIMARY KEY)',
    );
    const rules = [
      { tables: 'a', filter: 'n > 5' },
      { tables: 'b', filter: 'id > 5' },
    ];
    const never = () => check(ends, { ...only('filters'), rules, replicaIdentity: 'never' });
    const [failed] = await never();
    expect(failed).toMatchObject({ result: 'failed', evidence: 'public.a' });
    await paste(source.session, failed);
    expect(await never()).toMatchObject([{ result: 'passed' }]);
  });
});

describe('objects of the schema', () => {
  beforeEach(() => openPair(18, 17));
  afterEach(closePair);

  it('that the target cannot have are found, and roles of policies that it lacks', async () => {
    const role = `role ${source.name}`;
    await source.session.query(`
      CREATE ROLE "${role}"; CREATE COLLATION c (PROVIDER = builtin, LOCALE = 'PG_UNICODE_FAST');
      CREATE TABLE sorted (v text COLLATE c); CREATE TABLE ranges (v int4range);
      CREATE POLICY p ON ranges TO "${role}"`);
    const [failed, alert, ...more] = await complaints('schema_objects', ends);
    expect([failed, alert, ...more]).toMatchObject([
      {
        result: 'failed',
        evidence: 'public.sorted (needs collation public.c, which is not migrated)',
        fix: expect.stringContaining(`--exclude-table '"public"."sorted"'`),
      },
      { result: 'alert', evidence: role },
    ]);
    await paste(target.session, alert);
    await source.session.query('DROP TABLE sorted');
    expect(await complaints('schema_objects', ends)).toEqual([]);
    expect(await check(ends, { ...only('schema_objects'), types: ['full'] })).toEqual([]);
    for (const { session } of [source, target])
      await session.query(`DROP OWNED BY "${role}"; DROP ROLE "${role}"`);
  });
});

describe('the run of checks', () => {
  beforeEach(() => openPair(17));
  afterEach(closePair);

  it('turns a check that throws into a failed finding and goes on', async () => {
    const broken: Check = {
      name: 'broken',
      run: async ({ source: session }) => {
        await session.query('SELECT 1 / 0');
        return [];
      },
    };
    expect(await check(ends, { checks: [broken, ...only('versions').checks] })).toMatchObject([
      { check: 'broken', result: 'failed', what: 'could not be checked', evidence: 'division by zero' },
      { check: 'versions', result: 'passed' },
    ]);
  });

  it('ends with the connection, and when it is aborted', async () => {
    const cut: Check = {
      name: 'cut',
      run: async ({ source: session }) => {
        await session.query('SELECT pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid())');
        return [];
      },
    };
    await expect(check(ends, { checks: [cut] })).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
    const context = {
      ...ends,
      sourceInfo: ends.source,
      targetInfo: ends.target,
      tables: [],
      targetTables: [],
      mapping: targetNames(
        [],
        { rename: {}, capitalization: 'source', excludeColumns: [] },
        { partitions: 'together' },
      ),
      wishOf: tableWishes([], { operations: OPERATIONS, rules: [] }),
      conflict: 'report' as const,
      partitions: 'keep' as const,
      wholeDatabase: true,
      heartbeat: true,
      captureDdl: 'auto' as const,
      replicaIdentity: 'needed' as const,
      jobs: 2,
      types: new Set(ALL),
      source: source.session,
      target: target.session,
    };
    await expect(runChecks(context, AbortSignal.abort(new Error('stop')))).rejects.toThrow('stop');
  });
});
