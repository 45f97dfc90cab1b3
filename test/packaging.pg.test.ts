/** The npm package as a user gets it: packed, installed into an empty folder, and migrating from there. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshDatabase } from './database.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const run = promisify(execFile);

const folder = mkdtempSync(join(tmpdir(), 'opendts-package-'));
const home = join(folder, 'home');
const app = join(folder, 'app');
// Under `npm test` the environment points at the checkout; only where npm gets its packages from may count here.
const env = Object.fromEntries(
  Object.entries(process.env).filter(
    ([name]) =>
      !/^npm_(?!config_(cache|registry|cafile|globalconfig|userconfig|https?_proxy|proxy|noproxy|strict_ssl)$)/i.test(
        name,
      ),
  ),
);
const opendts = (...args: string[]) =>
  run('npx', ['--no-install', 'opendts', ...args], { cwd: app, env: { ...env, HOME: home } });

beforeAll(async () => {
  await run('npm', ['pack', '--pack-destination', folder, '--loglevel=error'], { cwd: root, env });
  const [tarball = ''] = readdirSync(folder).filter((name) => name.endsWith('.tgz'));
  await run('mkdir', ['-p', home, app]);
  writeFileSync(join(app, 'package.json'), '{"private": true}');
  const quiet = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
  await run('npm', ['install', join(folder, tarball), ...quiet], { cwd: app, env });
}, 300_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the installed package', () => {
  it('holds compiled code and neither sources nor tests', async () => {
    const files = readdirSync(join(app, 'node_modules', 'opendts'), { recursive: true, encoding: 'utf8' });
    expect(files).toContain(join('dist', 'main.js'));
    expect(files).toContain(join('migrations', '0001_account.sql'));
    expect(files.filter((file) => /\.ts$|\.test\.|^(src|test|scripts)\b/.test(file))).toEqual([]);
  });

  it('answers --help', async () => {
    const { stdout } = await opendts('--help');
    expect(stdout).toContain('Usage: opendts');
  });

  it('migrates a small database and finds both ends identical', async () => {
    await using source = await freshDatabase(15);
    await using target = await freshDatabase(18);
    await source.session.query(
      "CREATE TABLE public.item (id int PRIMARY KEY, name text NOT NULL); INSERT INTO public.item SELECT i, 'item ' || i FROM generate_series(1, 1000) i",
    );
    const ends = ['--source', source.uri, '--target', target.uri];
    const { stdout } = await opendts('migrate', ...ends, '--types', 'schema,full', '--json');
    expect(JSON.parse(stdout)).toMatchObject({
      kind: 'MigrationSummary',
      data: { outcome: 'completed', tables: 1, rowsCopied: '1000' },
    });
    const verified = await opendts('verify', ...ends);
    expect(verified.stdout).toContain('identical: 1 table, 1,000 rows');
  });
});
