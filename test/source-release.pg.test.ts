/** What migrations have in a source while they live, and that nothing of it is left behind: the catalog before and after. */
import { describe, expect, it } from 'vitest';
import { readHelpers } from '../src/engine/source/helpers/remove.ts';
import { cleanup } from '../src/service/task/release/cleanup.ts';
import { freshDatabase, freshPair, type TestDatabase } from './database.ts';
import { follow } from './follow.ts';
import { catalog } from './source-catalog.ts';
import type { Major } from './global-setup.ts';
import { migrate } from './migration.ts';

const TABLES = `
  CREATE SCHEMA s;
  CREATE TABLE s.keyed (id int PRIMARY KEY, v text);
  CREATE TABLE s.keyless (a int);
  CREATE TABLE s.nothing (a int); ALTER TABLE s.nothing REPLICA IDENTITY NOTHING;
  CREATE TABLE s.by_index (a int NOT NULL, b int); CREATE UNIQUE INDEX "By a" ON s.by_index (a);
  ALTER TABLE s.by_index REPLICA IDENTITY USING INDEX "By a";
  CREATE TABLE s.full_row (id int PRIMARY KEY); ALTER TABLE s.full_row REPLICA IDENTITY FULL;
  CREATE TABLE s.parted (id int) PARTITION BY LIST (id);
  CREATE TABLE s.part PARTITION OF s.parted DEFAULT;
  INSERT INTO s.keyed SELECT g, g FROM generate_series(1, 10) g; INSERT INTO s.keyless SELECT generate_series(1, 10);
  INSERT INTO s.by_index SELECT g, g FROM generate_series(1, 10) g; INSERT INTO s.parted SELECT generate_series(1, 10)`;

async function identities({ session }: TestDatabase): Promise<string> {
  const { text } = await session.one(
    "SELECT string_agg(c.relname || ':' || c.relreplident::text, ' ' ORDER BY c.relname) AS text FROM pg_class c WHERE c.relnamespace = 's'::regnamespace AND c.relkind = 'r'",
  );
  return text ?? '';
}

const ALL_HELPERS = [
  'helper table public.dts_ddl_command',
  'helper table public.dts_postgres_heartbeat',
  'function public.dts_capture_ddl()',
  'event trigger dts_capture_ddl',
  'event trigger dts_capture_drop',
];

const FEW = 'by_index:i full_row:f keyed:d keyless:d nothing:n part:d';

const release = (source: TestDatabase, target: TestDatabase) =>
  cleanup({ source: source.info, target: target.info, dryRun: false });

describe.each([12, 15, 18] as const)('a source on PostgreSQL %i', (major: Major) => {
  it('is after cleanup what it was before, whatever the policy of replica identities', async () => {
    await using pair = await freshPair(major, 17, TABLES);
    const { source, target } = pair;
    const before = await catalog(source);
    for (const [replicaIdentity, expected] of [
      ['needed', 'by_index:i full_row:f keyed:d keyless:f nothing:f part:f'],
      ['all', 'by_index:f full_row:f keyed:f keyless:f nothing:f part:f'],
    ] as const) {
      const running = await follow(source, target, { replicaIdentity });
      await expect.poll(() => readHelpers(source.session)).toEqual(ALL_HELPERS);
      expect(await identities(source)).toBe(expected);
      await source.session.query('UPDATE s.keyless SET a = a + 1; UPDATE s.by_index SET a = -a');
      await running.catchUp();
      await release(source, target);
      expect(await catalog(source)).toEqual(before);
      await target.session.query('DROP SCHEMA s CASCADE');
    }
  }, 120_000);

  it('keeps what a second migration still uses until that one is cleaned up as well', async () => {
    await using pair = await freshPair(major, 17, TABLES);
    const { source, target } = pair;
    await using second = await freshDatabase(15);
    const before = await catalog(source);
    await migrate(source, target);
    const running = await follow(source, second);
    await release(source, target);
    expect(await readHelpers(source.session)).toEqual(ALL_HELPERS);
    const rows = await source.session.query('SELECT slot_name FROM dts_postgres_heartbeat');
    expect(rows.map(({ slot_name }) => slot_name)).toEqual([
      `dts_sync_${running.migration.progress().taskId}`,
    ]);
    // The second found FULL and did not set it; the first has told it what was there.
    expect(await identities(source)).toBe('by_index:i full_row:f keyed:d keyless:f nothing:f part:f');
    await source.session.query('UPDATE s.keyless SET a = a + 1; UPDATE s.nothing SET a = a + 1');
    const { notMigrated } = await running.catchUp();
    // The helpers of the first stood in the source when the second looked for what to migrate.
    expect(notMigrated).toEqual([]);
    expect(await second.session.query("SELECT FROM pg_proc WHERE proname LIKE 'dts%'")).toEqual([]);
    await release(source, second);
    expect(await identities(source)).toBe(FEW);
    expect(await catalog(source)).toEqual(before);
  }, 120_000);

  it('is clean as well when a person runs what cleanup says where it cannot log in', async () => {
    await using pair = await freshPair(major, 17, TABLES);
    const { source, target } = pair;
    const before = await catalog(source);
    await migrate(source, target);
    const thrown = await cleanup({
      source: { ...source.info, password: 'changed', user: 'nobody_here' },
      target: target.info,
      dryRun: false,
    }).catch((error: unknown) => error);
    expect(thrown).toMatchObject({ code: 'SOURCE_NOT_RELEASED' });
    const { commands } = (thrown as { facts: { commands: string } }).facts;
    const [there, here] = commands.split('-- then, on the target:');
    for (const statement of (there ?? '').split(/;\n(?=[A-Z])/)) await source.session.query(statement);
    expect(await catalog(source)).toEqual(before);
    await target.session.query(here ?? '');
    expect(await release(source, target)).toEqual({ removed: [], kept: [] });
  }, 60_000);
});

describe('a source that is gone for good', () => {
  it('keeps nobody from cleaning up the target; one that answers is cleaned up itself', async () => {
    await using pair = await freshPair(18, 17, TABLES);
    await using other = await freshPair(18, 17, TABLES);
    const { source, target } = pair;
    const before = await catalog(source);
    await migrate(source, target);
    const [host] = source.info.hosts;
    const nowhere = { ...source.info, hosts: [{ ...host!, port: 1 }] };
    const gone = (info: typeof source.info) =>
      cleanup({ source: info, target: target.info, dryRun: false, sourceGone: 'if-unreachable' });
    await expect(cleanup({ source: nowhere, target: target.info, dryRun: false })).rejects.toMatchObject({
      code: 'SOURCE_NOT_RELEASED',
    });
    // It is there, and its slot keeps its log.
    await expect(gone({ ...source.info, user: 'nobody_here' })).rejects.toMatchObject({
      code: 'SOURCE_NOT_RELEASED',
    });
    const { removed, kept } = await gone(nowhere);
    expect(removed).toEqual([
      expect.stringMatching(/^books of task \w{10} on the target$/),
      'schema _opendts on the target',
    ]);
    expect(await target.session.query("SELECT FROM pg_namespace WHERE nspname = '_opendts'")).toEqual([]);
    const [told] = kept;
    expect(told).toContain(`database "${source.name}"`);
    await source.session.query(told!.slice(told!.indexOf(': ') + 2));
    expect(await catalog(source)).toEqual(before);

    await migrate(other.source, other.target);
    const found = await cleanup({
      source: other.source.info,
      target: other.target.info,
      dryRun: false,
      sourceGone: 'if-unreachable',
    });
    expect(found.removed[0]).toMatch(/^replication slot dts_sync_/);
  }, 60_000);
});
