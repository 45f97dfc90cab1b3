/** `opendts migrate` and `opendts cleanup` as a user runs them: streams, summaries, signals, state directory. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { freshDatabase, type TestDatabase } from './database.ts';
import { cliHome, type RunningCli } from './spawn-cli.ts';

const home = cliHome();
afterAll(() => home[Symbol.dispose]());

async function source(major: 12 | 15 | 17 | 18): Promise<TestDatabase> {
  const db = await freshDatabase(major);
  await db.session.query(`
    CREATE TABLE public.item (id int PRIMARY KEY, name text NOT NULL);
    INSERT INTO public.item SELECT i, 'item ' || i FROM generate_series(1, 1000) i;
    CREATE TABLE public.note (item int REFERENCES public.item, body text);
    INSERT INTO public.note SELECT i, 'note' FROM generate_series(1, 10) i;
    ANALYZE`);
  return db;
}

function ends(from: TestDatabase, to: TestDatabase): string[] {
  return ['--source', from.uri, '--target', to.uri];
}

async function until(running: RunningCli, condition: () => Promise<boolean>): Promise<void> {
  const ended = running.finished.then(({ code, stderr }) => {
    throw new Error(`opendts ended early with ${code}: ${stderr}`);
  });
  const reached = (async () => {
    while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 100));
  })();
  await Promise.race([reached, ended]);
}

async function rows(db: TestDatabase, table: string): Promise<number> {
  const [found] = await db.session.query('SELECT to_regclass($1)::text AS name', [table]);
  if (found?.name == null) return -1;
  return Number((await db.session.one(`SELECT count(*)::text AS n FROM ${table}`)).n);
}

describe('opendts migrate', () => {
  it('without incremental ends by itself with a summary on stdout and talk on stderr', async () => {
    await using from = await source(15);
    await using to = await freshDatabase(18);
    const { code, stdout, stderr } = await home.run(['migrate', ...ends(from, to), '--types', 'schema,full']);
    expect(stderr).not.toContain('opendts: ');
    expect(stdout).toMatch(/^Migration completed\.\n/);
    expect(stdout).toContain('1,010 rows');
    expect(stdout).toMatch(/opendts verify --source '?postgresql:\/\/postgres@/);
    expect(stdout + stderr).not.toContain(new URL(from.uri).password);
    expect(stderr).not.toContain('\x1b[');
    expect(code).toBe(0);
    expect([await rows(to, 'public.item'), await rows(to, 'public.note')]).toEqual([1000, 10]);
  });

  it('writes one JSON document to stdout and JSON lines to stderr with --json', async () => {
    await using from = await source(17);
    await using to = await freshDatabase(17);
    const args = ['migrate', ...ends(from, to), '--types', 'schema,full', '--table', 'item', '--json'];
    const { code, stdout, stderr } = await home.run(args);
    expect(JSON.parse(stdout)).toMatchObject({
      apiVersion: 'opendts/v1',
      kind: 'MigrationSummary',
      data: {
        outcome: 'completed',
        tables: 1,
        rowsCopied: '1000',
        bytesCopied: expect.stringMatching(/^\d+$/),
      },
      warnings: expect.any(Array),
      next_steps: expect.any(Array),
    });
    const lines = stderr
      .trim()
      .split('\n')
      .filter((line) => line !== '');
    for (const line of lines)
      expect(JSON.parse(line)).toMatchObject({ apiVersion: 'opendts/v1', time: expect.any(String) });
    expect(code).toBe(0);
  });

  it('until caught up says that it is not final while somebody is connected to the source', async () => {
    await using from = await source(15);
    await using to = await freshDatabase(18);
    const { code, stdout } = await home.run(['migrate', ...ends(from, to), '--until', 'caught-up']);
    expect(stdout).toMatch(
      /^Caught up, but this is not final: 1 other session on the source may still write\.\n/,
    );
    expect(stdout).toContain('Next:');
    expect(code).toBe(0);
    await home.run(['cleanup', ...ends(from, to), '--yes']);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('stopped by %s exits %i, says that it goes on, and does', async (signal, exit) => {
    await using from = await source(15);
    await using to = await freshDatabase(18);
    const running = home.start(['migrate', ...ends(from, to)]);
    await until(running, async () => (await rows(to, 'public.item')) === 1000);
    await from.session.query("INSERT INTO public.item VALUES (2001, 'later')");
    await until(running, async () => (await rows(to, 'public.item')) === 1001);
    running.child.kill(signal);
    const { code, stdout } = await running.finished;
    expect(stdout).toMatch(/^Stopped\. Running the same command again goes on where it was\.\n/);
    expect(code).toBe(exit);
    await from.session.query("INSERT INTO public.item VALUES (2002, 'meanwhile')");
    const again = await home.run(['migrate', ...ends(from, to), '--until', 'caught-up']);
    expect(again.code).toBe(0);
    expect(await rows(to, 'public.item')).toBe(1002);
    await home.run(['cleanup', ...ends(from, to), '--yes']);
  });

  it('keeps its options without passwords in the state directory, and refuses others there', async () => {
    await using from = await source(17);
    await using to = await freshDatabase(17);
    const dir = join(home.folder, 'state');
    const args = ['migrate', ...ends(from, to), '--state-dir', dir, '--until', 'caught-up'];
    const first = await home.run(args);
    expect(first.code).toBe(0);
    const [file = ''] = readdirSync(dir);
    const text = readFileSync(join(dir, file), 'utf8');
    expect(JSON.parse(text)).toMatchObject({
      kind: 'TaskState',
      options: { types: ['schema', 'full', 'incremental'] },
    });
    expect(text).not.toContain(new URL(from.uri).password);
    const other = await home.run([...args, '--types', 'schema,full']);
    expect(other.stderr).toContain('types: schema,full,incremental, now schema,full');
    expect(other.code).toBe(2);
    const cleaned = await home.run(['cleanup', ...ends(from, to), '--yes', '--state-dir', dir]);
    expect(cleaned.stdout).toContain(`removed file ${join(dir, file)}`);
    expect(readdirSync(dir)).toEqual([]);
  });

  it('reads a task file, secrets from elsewhere, options before it', async () => {
    await using from = await source(12);
    await using to = await freshDatabase(15);
    const file = join(home.folder, 'task.yaml');
    const { username, host, password } = new URL(from.uri);
    writeFileSync(
      file,
      [
        'apiVersion: opendts/v1',
        'kind: Task',
        'spec:',
        `  source: postgresql://${username}:\${env:SECRET}@${host}/${from.name}`,
        '  target: "${env:TARGET}"',
        '  types: [schema, full, incremental]',
        '  tables: [item]',
      ].join('\n'),
    );
    const env = { SECRET: decodeURIComponent(password), TARGET: to.uri };
    const { code, stderr } = await home.run(['migrate', '--task', file, '--types', 'schema,full'], { env });
    expect(stderr).not.toContain('opendts: ');
    expect(code).toBe(0);
    expect([await rows(to, 'public.item'), await rows(to, 'public.note')]).toEqual([1000, -1]);
  });

  it('exits 4 for a pattern that matches nothing', async () => {
    await using from = await source(15);
    await using to = await freshDatabase(18);
    const { code, stdout, stderr } = await home.run(['migrate', ...ends(from, to), '--table', 'itme']);
    expect(stderr).toContain('"itme" matches no table of the source');
    expect(stdout).toBe('');
    expect(code).toBe(4);
  });
});

describe('opendts cleanup', () => {
  it('asks nobody without a terminal: it needs --yes, lists with --dry-run, and removes with --yes', async () => {
    await using from = await source(15);
    await using to = await freshDatabase(18);
    await home.run(['migrate', ...ends(from, to), '--until', 'caught-up']);
    const args = ['cleanup', ...ends(from, to)];
    const slots = 'SELECT slot_name FROM pg_replication_slots WHERE database = current_database()';
    const refused = await home.run(args);
    expect(refused.stderr).toContain('Add --yes');
    expect(refused.code).toBe(2);
    const listed = await home.run([...args, '--dry-run']);
    expect(listed.stdout).toMatch(/^would remove .*slot dts_sync_/m);
    expect(await from.session.query(slots)).toHaveLength(1);
    const removed = await home.run([...args, '--yes']);
    expect(removed.stdout).toMatch(/^removed .*slot dts_sync_/m);
    expect(removed.code).toBe(0);
    expect(await from.session.query(slots)).toEqual([]);
    expect(await rows(to, 'public.item')).toBe(1000);
    const nothing = await home.run([...args, '--yes']);
    expect(nothing.stdout).toBe('nothing to remove\n');
  });
});
