/** State directories: one migration per folder, one process at a time. */
import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defaultStateDir, forgetTasks, openStateDir, type TaskOptions } from './state-dir.ts';

const options: TaskOptions = {
  source: 'me@old:5432/shop',
  target: 'me@new:5432/shop',
  types: ['schema', 'full', 'incremental'],
  tables: [],
  excludeTables: [],
  rename: [],
  capitalization: 'source',
  excludeColumns: [],
  columnTypes: [],
  primaryKeys: [],
  operations: [],
  tableOperations: [],
  filter: [],
  conflict: 'report',
  partitions: 'keep',
  start: [],
  publication: '',
  decoder: 'auto',
};

let home = '';
let dir = '';
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'opendts-state-'));
  dir = join(home, 'task');
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

function started(
  phase: 'copy' | 'stream' | 'done' | 'caught-up' | 'completed',
  with_: TaskOptions = options,
): void {
  using state = openStateDir(dir, with_);
  state.note('t1', phase);
}

describe('a state directory', () => {
  it('keeps what was asked for and how far it came, readable by its owner only', () => {
    started('copy');
    const file = join(dir, 't1.json');
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({
      kind: 'TaskState',
      taskId: 't1',
      phase: 'copy',
      options,
    });
    expect(statSync(file).mode & 0o077).toBe(0);
    expect(readdirSync(dir)).toEqual(['t1.json']);
  });

  it('is the same for the same ends and tables, and another for other ends or tables', () => {
    const of = (change: Partial<TaskOptions>) => defaultStateDir(home, { ...options, ...change });
    expect(of({ types: ['schema'] })).toBe(of({}));
    expect(of({ source: 'me@old:5432/other' })).not.toBe(of({}));
    expect(of({ tables: ['a.*'] })).not.toBe(of({ excludeTables: ['a.*'] }));
  });

  it('opens again for the same options', () => {
    started('copy');
    expect(() => started('stream')).not.toThrow();
  });

  it('refuses other options and names the difference', () => {
    started('copy');
    expect(() => started('copy', { ...options, types: ['schema'], tables: ['a.b'] })).toThrow(
      /\(types: schema,full,incremental, now schema; tables: none, now a\.b\)/,
    );
    expect(existsSync(join(dir, 'lock')), 'the lock is given back').toBe(false);
  });

  it('refuses other options after catching up, which is never the end', () => {
    started('done');
    started('caught-up');
    expect(() => started('copy', { ...options, types: ['schema'] })).toThrow(/other options/);
  });

  it('takes other options once the migration in it is over', () => {
    started('completed');
    expect(() => started('copy', { ...options, types: ['schema'] })).not.toThrow();
  });

  it('is closed to a second process while the first one lives', () => {
    using state = openStateDir(dir, options);
    expect(state.path).toBe(dir);
    expect(() => openStateDir(dir, options)).toThrow(`Another opendts (pid ${process.pid}) is running`);
  });

  it('is taken over from a process that has died', async () => {
    const child = spawn(process.execPath, ['-e', '']);
    await new Promise((resolve) => child.once('exit', resolve));
    started('copy');
    writeFileSync(join(dir, 'lock'), `${child.pid} 1\n`);
    expect(() => started('copy')).not.toThrow();
  });

  it('is taken over when the pid belongs to another process by now', () => {
    started('copy');
    writeFileSync(join(dir, 'lock'), `${process.pid} 1\n`);
    expect(() => started('copy')).not.toThrow();
  });

  it('that cannot be made is an error with the folder and the reason', () => {
    writeFileSync(join(home, 'file'), '');
    expect(() => openStateDir(join(home, 'file', 'x'), options)).toThrow(/cannot be used: ENOTDIR/);
    if (process.getuid?.() === 0) return;
    chmodSync(home, 0o500);
    expect(() => openStateDir(join(home, 'new'), options)).toThrow(/cannot be used: EACCES/);
    chmodSync(home, 0o700);
  });

  it('passes over files it did not write', () => {
    started('copy');
    writeFileSync(join(dir, 'notes.json'), 'not JSON');
    expect(() => started('copy')).not.toThrow();
  });

  it('forgets the tasks of two ends after a cleanup, and no others', () => {
    started('copy');
    dir = join(home, 'other');
    started('copy', { ...options, target: 'me@else:5432/shop' });
    expect(forgetTasks(home, options.source, options.target)).toEqual([join(home, 'task', 't1.json')]);
    expect(existsSync(join(dir, 't1.json'))).toBe(true);
  });
});
