/** The commands that look at databases, against real servers: exit codes, texts, JSON, and never a password. */
import { afterAll, describe, expect, it } from 'vitest';
import { freshDatabase, type TestDatabase } from './database.ts';
import { cliHome, pretendOldNode } from './spawn-cli.ts';

const home = cliHome();
afterAll(() => home[Symbol.dispose]());

const TABLES = `
  CREATE SCHEMA shop;
  CREATE TABLE shop.item (id int PRIMARY KEY, name text);
  CREATE TABLE shop."Odd ""name""" (a text);
  INSERT INTO shop.item SELECT i, 'item ' || i FROM generate_series(1, 50) i;
  ANALYZE`;

async function withTables(major: 12 | 15 | 17 | 18): Promise<TestDatabase> {
  const db = await freshDatabase(major);
  await db.session.query(TABLES);
  return db;
}

function changed(uri: string, change: (url: URL) => void): string {
  const url = new URL(uri);
  change(url);
  return url.href;
}

describe('a server that cannot be used', () => {
  it('with a wrong password exits 3 and does not show it', async () => {
    await using db = await freshDatabase(18);
    const uri = changed(db.uri, (url) => (url.password = 'MARKER'));
    const { code, stdout, stderr } = await home.run(['inspect', uri, '--json'], {
      env: { OPENDTS_DEBUG: '1' },
    });
    expect(code).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({ kind: 'Error', error: { code: 'CONNECT_REFUSED_LOGIN' } });
    expect(stderr).toContain('refused the login of user "postgres"');
    expect(stdout + stderr).not.toContain('MARKER');
  });

  it('without that database exits 3 and names it', async () => {
    await using db = await freshDatabase(15);
    const uri = changed(db.uri, (url) => (url.pathname = '/no_such_db'));
    const { code, stderr } = await home.run(['inspect', uri]);
    expect(stderr).toContain('Database "no_such_db" does not exist on the source');
    expect(code).toBe(3);
  });

  it('with an unknown host exits 3 and names the target, not the source', async () => {
    await using db = await freshDatabase(18);
    const target = 'postgresql://u:MARKER@no-such-host.invalid/d';
    const { code, stdout, stderr } = await home.run(['verify', '--source', db.uri, '--target', target]);
    expect(stderr).toContain('Cannot connect to the target at no-such-host.invalid:5432/d');
    expect(stdout + stderr).not.toContain('MARKER');
    expect(code).toBe(3);
  });
});

describe('opendts inspect', () => {
  it.each([12, 18] as const)('shows version, size, tables and leftovers of PostgreSQL %i', async (major) => {
    await using db = await withTables(major);
    await db.session.query('ALTER TABLE shop."Odd ""name""" REPLICA IDENTITY FULL');
    await db.session.query('CREATE PUBLICATION dts_sync_left FOR TABLE shop.item');
    await db.session.query(
      `SELECT pg_create_logical_replication_slot('dts_sync_left_${db.name}', 'pgoutput')`,
    );
    const text = await home.run(['inspect', db.uri]);
    expect(text.stdout).toMatch(
      new RegExp(`^PostgreSQL ${major}\\.\\d+   127\\.0\\.0\\.1:\\d+/${db.name} .* 2 tables\n`),
    );
    expect(text.stdout).toMatch(/\nshop\.item +table +~50 +[\d.]+ kB {2}id\n/);
    expect(text.stdout).toMatch(/\nshop\.Odd "name" .* full row\n/);
    expect(text.stdout).toContain(`slot dts_sync_left_${db.name} (pgoutput): holds changes from `);
    expect(text.stdout).toContain('publication dts_sync_left');
    expect(text.stderr).toBe('');
    const { code, stdout } = await home.run(['inspect', db.uri, '--json']);
    expect(JSON.parse(stdout)).toMatchObject({
      apiVersion: 'opendts/v1',
      kind: 'Inspection',
      data: {
        bytes: expect.stringMatching(/^\d+$/),
        tables: [
          { table: 'shop.Odd "name"', replicaIdentity: 'full', key: [] },
          { table: 'shop.item', kind: 'table', rowsEstimate: '50', key: ['id'] },
        ],
        slots: [
          {
            name: `dts_sync_left_${db.name}`,
            active: false,
            walStatus: major === 12 ? null : 'reserved',
            inactiveSince: major === 12 ? null : expect.stringMatching(/^20.* UTC$/),
          },
        ],
        publications: ['dts_sync_left'],
      },
      warnings: [],
      next_steps: [],
    });
    expect(code).toBe(0);
  });
});

describe('opendts verify', () => {
  it('exits 0 when the tables are identical, 6 when one differs or is missing', async () => {
    await using source = await withTables(15);
    await using target = await withTables(18);
    const args = ['verify', '--source', source.uri, '--target', target.uri];
    const same = await home.run(args);
    expect(same.stdout.trimEnd().split('\n').at(-1)).toBe('identical: 2 tables, 50 rows');
    expect(same.code).toBe(0);
    await target.session.query("UPDATE shop.item SET name = 'other' WHERE id = 7");
    await target.session.query('DROP TABLE shop."Odd ""name"""');
    const other = await home.run(args);
    expect(other.stdout).toMatch(/\nshop\.item +different +50 +50/);
    expect(other.stdout).toMatch(/\nshop\.Odd "name" +missing +0 +-/);
    expect(other.stdout.trimEnd().split('\n').at(-1)).toBe('differences found in 2 of 2 tables');
    expect(other.code).toBe(6);
    const json = await home.run([...args, '--json', '--table', 'item']);
    expect(JSON.parse(json.stdout)).toMatchObject({
      kind: 'Verification',
      data: {
        identical: false,
        tables: [{ table: 'shop.item', verdict: 'different', sourceRows: '50', targetRows: '50' }],
      },
    });
    expect(json.code).toBe(6);
  });

  it('exits 4 for a pattern that matches nothing', async () => {
    await using source = await withTables(17);
    const { code, stdout, stderr } = await home.run([
      'verify',
      '--source',
      source.uri,
      '--target',
      source.uri,
      '--table',
      'shop.Item',
    ]);
    expect(stderr).toContain('"shop.Item" matches no table of the source');
    expect(stdout).toBe('');
    expect(code).toBe(4);
  });

  it('ends quietly when nobody reads its output', async () => {
    await using source = await withTables(18);
    const running = home.start(['verify', '--source', source.uri, '--target', source.uri]);
    running.child.stdout?.destroy();
    const { code, stderr } = await running.finished;
    expect(stderr).not.toContain('EPIPE');
    expect(code).toBe(0);
  });

  it.each([
    ['SIGINT', 130, []],
    // Under an older Node a second process does the work, and has to be told.
    ['SIGTERM', 143, ['--import', pretendOldNode(home)]],
  ] as const)('stopped by %s while it waits exits %i', async (signal, exit, nodeArgs) => {
    await using source = await withTables(18);
    await source.session.query('BEGIN; LOCK TABLE shop.item IN ACCESS EXCLUSIVE MODE');
    const running = home.start(['verify', '--source', source.uri, '--target', source.uri], { nodeArgs });
    // Inside the transaction that holds the lock, pg_stat_activity would not change.
    await using watcher = await source.open();
    const waiting =
      "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while ((await watcher.query(waiting)).length === 0)
      await new Promise((resolve) => setTimeout(resolve, 50));
    running.child.kill(signal);
    const { code, stderr } = await running.finished;
    await source.session.query('ROLLBACK');
    expect(stderr).toContain('opendts: stopped.');
    expect(code).toBe(exit);
  });
});

describe('opendts check', () => {
  it('prints what it found, the estimate, and the line to paste next, without a password', async () => {
    await using source = await withTables(15);
    await using target = await freshDatabase(18);
    const args = ['check', '--source', source.uri, '--target', target.uri, '--exclude-table', 'shop.Odd*'];
    const { code, stdout, stderr } = await home.run(args);
    expect(stderr).not.toContain('Unexpected');
    expect(stdout).toMatch(/^source {3}PostgreSQL 15\.\d+ /);
    expect(stdout).toMatch(/\ntables {3}1, about 50 rows/);
    expect(stdout.trimEnd().split('\n').at(-1)).toMatch(
      /^opendts migrate --source postgresql:\/\/postgres@127.* --types schema,full,incremental --exclude-table 'shop\.Odd\*'$/,
    );
    expect(stdout + stderr).not.toContain(new URL(source.uri).password);
    expect(code).toBe(0);
  });

  it('exits 4 when a check failed, with the failure first and how to fix it', async () => {
    await using source = await withTables(15);
    await using target = await withTables(18);
    const args = ['check', '--source', source.uri, '--target', target.uri];
    const text = await home.run(args);
    expect(text.stdout).toContain('FAILED');
    expect(text.code).toBe(4);
    const json = await home.run([...args, '--json']);
    const { kind, data, next_steps } = JSON.parse(json.stdout) as {
      kind: string;
      data: { result: string; findings: { result: string }[]; estimate: { rows: string } };
      next_steps: { command: string }[];
    };
    expect(kind).toBe('Check');
    expect(data.result).toBe('failed');
    expect(data.findings[0]?.result).toBe('failed');
    expect(data.estimate.rows).toMatch(/^\d+$/);
    expect(next_steps[0]?.command).toContain('opendts check --source');
    expect(json.code).toBe(4);
  });

  it('changes nothing on either end', async () => {
    await using source = await withTables(15);
    await using target = await freshDatabase(18);
    const objects = 'SELECT count(*)::text AS n FROM pg_class WHERE oid >= 16384';
    const before = [await source.session.one(objects), await target.session.one(objects)];
    await home.run(['check', '--source', source.uri, '--target', target.uri]);
    expect([await source.session.one(objects), await target.session.one(objects)]).toEqual(before);
    const slots = await source.session.query(
      'SELECT 1 FROM pg_replication_slots WHERE database = current_database()',
    );
    expect(slots).toEqual([]);
  });
});
