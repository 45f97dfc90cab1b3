/** The command line with bad input and without any server: exit codes, texts, and what goes to which stream. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { cliHome, pretendOldNode } from './spawn-cli.ts';

const home = cliHome();
afterAll(() => home[Symbol.dispose]());

const ends = ['--source', 'postgresql://u@127.0.0.1:1/a', '--target', 'postgresql://u@127.0.0.1:1/b'];

describe('opendts', () => {
  it('lists its commands with --help on stdout', async () => {
    const { code, stdout, stderr } = await home.run(['--help']);
    expect(code).toBe(0);
    for (const name of ['check', 'migrate', 'verify', 'cleanup', 'inspect', 'demo'])
      expect(stdout).toContain(`\n  ${name} `);
    expect(stderr).toBe('');
  });

  it('without a command shows the help on stderr and exits 2', async () => {
    const { code, stdout, stderr } = await home.run([]);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain('Usage: opendts');
  });

  it.each([
    [['migrat'], "unknown command 'migrat'", 'Did you mean migrate?'],
    [['migrate', '--tabel', 'x'], "unknown option '--tabel'", 'Did you mean --table?'],
    [['migrate', '--jobs', '0'], "option '--jobs <n>' argument '0' is invalid", ''],
    [['migrate', '--jobs', 'many'], 'Write a whole number from 1 to 64.', ''],
    [['migrate', '--types', 'schema,data'], 'Write one or more of schema,full,incremental.', ''],
    [['migrate', '--operations', 'insert,upsert'], 'Write one or more of insert,update,delete,truncate.', ''],
    [['migrate', '--table-operations', 'a=none'], 'Write one or more of insert,update,delete,truncate.', ''],
    [['verify', '--filter', 'a.b'], 'Write schema.table=…', ''],
    [['migrate', '--until', 'later'], 'Write caught-up, or an LSN', ''],
    [['migrate', '--max-snapshot-age', '0'], 'Write a whole number above 0.', ''],
    [['migrate', '--max-retained-wal', '-1'], 'Write a number above 0.', ''],
    [['migrate', 'extra'], 'too many arguments', ''],
    [['verify'], 'No source is given.', 'OPENDTS_SOURCE_PGURI'],
    [['verify', '--source', 'postgresql://u@h/d'], 'No target is given.', '--target postgresql://'],
    [['inspect', 'postgresql://u@h/d?conect_timeout=1'], 'unknown parameter "conect_timeout"', ''],
    [
      ['migrate', '--task', '/no/such.yaml'],
      'Task file /no/such.yaml cannot be read: no such file or directory.',
      '',
    ],
  ])('%j exits 2 and says why on stderr only', async (args, problem, remedy) => {
    const { code, stdout, stderr } = await home.run(args);
    expect(stderr).toContain(problem);
    expect(stderr).toContain(remedy);
    expect(stderr.startsWith('opendts: ')).toBe(true);
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });

  it('names line and column of a mistake in a task file', async () => {
    const file = join(home.folder, 'task.yaml');
    writeFileSync(file, 'apiVersion: opendts/v1\nkind: Task\nspec:\n  jobs: "two"\n');
    const { code, stderr } = await home.run(['migrate', '--task', file]);
    expect(stderr).toContain(`Task file ${file}, line 4, column 9: spec.jobs: `);
    expect(code).toBe(2);
  });

  it('gives an error as one JSON document on stdout with --json, and as text on stderr', async () => {
    const { code, stdout, stderr } = await home.run(['verify', '--json']);
    expect(JSON.parse(stdout)).toEqual({
      apiVersion: 'opendts/v1',
      kind: 'Error',
      error: {
        code: 'USAGE',
        message: 'No source is given.',
        remedy: expect.stringContaining('--source'),
        facts: expect.any(Object),
      },
    });
    expect(stderr).toContain('opendts: No source is given.');
    expect(code).toBe(2);
  });

  it('takes the connection strings from the environment, and an option before that', async () => {
    const env = {
      OPENDTS_SOURCE_PGURI: 'postgresql://u@127.0.0.1:1/fromenv',
      OPENDTS_TARGET_PGURI: 'postgresql://u@127.0.0.1:1/b',
    };
    const fromEnv = await home.run(['verify'], { env });
    expect(fromEnv.stderr).toContain('127.0.0.1:1/fromenv');
    const fromOption = await home.run(['verify', '--source', 'postgresql://u@127.0.0.1:1/option'], { env });
    expect(fromOption.stderr).toContain('127.0.0.1:1/option');
    expect([fromEnv.code, fromOption.code]).toEqual([3, 3]);
  });

  it('refuses a state directory in which another process works', async () => {
    const dir = join(home.folder, 'locked');
    mkdirSync(dir);
    writeFileSync(join(dir, 'lock'), `${process.pid} -\n`);
    const { code, stderr } = await home.run(['migrate', ...ends, '--state-dir', dir]);
    expect(stderr).toContain(`Another opendts (pid ${process.pid}) is running with state directory ${dir}.`);
    expect(code).toBe(2);
  });

  it('refuses a state directory of a migration with other options', async () => {
    const dir = join(home.folder, 'other');
    mkdirSync(dir);
    const options = {
      source: 'u@127.0.0.1:1/a',
      target: 'u@127.0.0.1:1/b',
      types: ['schema'],
      tables: [],
      excludeTables: [],
    };
    const record = {
      apiVersion: 'opendts/v1',
      kind: 'TaskState',
      taskId: 't',
      optionsHash: '',
      options,
      phase: 'copy',
      updated: '',
    };
    writeFileSync(join(dir, 't.json'), JSON.stringify(record));
    const { code, stderr } = await home.run(['migrate', ...ends, '--state-dir', dir, '--json']);
    expect(stderr).toContain('(types: schema, now schema,full,incremental)');
    expect(code).toBe(2);
  });

  it.each([
    ['an unknown option', ['migrate', '--sorce=postgresql://u:MARKER@h/d']],
    ['a connection string as the command', ['postgresql://u:MARKER@h/d']],
    ['keyword/value as the command', ["host=h password='MARKER'"]],
    ['an argument too many', ['inspect', 'postgresql://u@h/d', 'postgresql://u:MARKER@h/d']],
    ['an unknown parameter', ['inspect', 'postgresql://u:MARKER@h/d?nothing=1']],
    ['a broken URI', ['inspect', 'postgresql://u:MARKER@h:port/d']],
    ['broken keyword/value', ['inspect', "host=h password='MARKER"]],
    ['a server that is not there', ['inspect', 'postgresql://u:MARKER@127.0.0.1:1/d']],
  ])('never prints a password: %s', async (_, args) => {
    const { code, stdout, stderr } = await home.run([...args, '--json'], { env: { OPENDTS_DEBUG: '1' } });
    expect(code).toBeGreaterThan(1);
    expect(stdout + stderr).not.toContain('MARKER');
  });

  it('runs itself again with the packaged Node when started under an older one', async () => {
    const nodeArgs = ['--import', pretendOldNode(home)];
    const { code, stdout, stderr } = await home.run(['verify', '--json'], { nodeArgs });
    expect(stderr).toContain('No source is given.');
    expect(JSON.parse(stdout)).toMatchObject({ kind: 'Error' });
    expect(code).toBe(2);
  });
});
