/**
 * The folder a migration keeps on this machine: one file per task, saying with which options it was started, and a lock, so that
 * two processes do not run it at once. It is a guard and a help for people; the truth about progress is in the target.
 *   <taskId>.json   what was asked for (no secrets), how far it came
 *   lock            pid and start time of the process that works here
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { AppError } from '../../../base/errors/app-error.ts';
import { takeLock } from '../../../base/runtime/folder-lock.ts';
import type { MigrationSummary, Phase } from '../../../contract/progress.ts';
import { conflictMode, OPERATIONS, taskSpec } from '../../../contract/task-spec.ts';

/** The options that make a migration what it is: `jobs` and `until` may change from run to run. */
const taskOptions = z.strictObject({
  /** `user@host:port/database`. */
  source: z.string(),
  target: z.string(),
  types: z.array(z.string()),
  tables: z.array(z.string()),
  excludeTables: z.array(z.string()),
  /** `source=target` each. */
  rename: z.array(z.string()).default([]),
  capitalization: z.string().default('source'),
  excludeColumns: z.array(z.string()).default([]),
  /** `column=type` and `table=columns` each. */
  columnTypes: z.array(z.string()).default([]),
  primaryKeys: z.array(z.string()).default([]),
  operations: z.array(z.string()).default([...OPERATIONS]),
  /** `pattern=list` and `pattern=condition` each. */
  tableOperations: z.array(z.string()).default([]),
  filter: z.array(z.string()).default([]),
  conflict: conflictMode.default('report'),
  partitions: taskSpec.shape.partitions,
  /** `slot=…`, and `lsn=…` or `time=…`. */
  start: z.array(z.string()).default([]),
  publication: z.string().default(''),
  decoder: z.string().default('auto'),
});
export type TaskOptions = z.infer<typeof taskOptions>;

const taskRecord = z.object({
  apiVersion: z.literal('opendts/v1'),
  kind: z.literal('TaskState'),
  taskId: z.string(),
  optionsHash: z.string(),
  options: taskOptions,
  phase: z.string(),
  updated: z.string(),
});
export type TaskRecord = z.infer<typeof taskRecord>;

/** Only a migration that has completed is over, and its folder may serve another. For one that caught up or stopped the slot waits. */
const OVER: MigrationSummary['outcome'] = 'completed';

export interface StateDir extends Disposable {
  readonly path: string;
  /** Remembers how far the task came, at the end with its outcome; writes only what changed. Does nothing until the task has an id. */
  note(taskId: string, phase: Phase | MigrationSummary['outcome']): void;
}

/** The folder of a migration when none is given: the same ends and the same choice of tables lead to the same folder. */
export function defaultStateDir(stateHome: string, options: TaskOptions): string {
  const { source, target, tables, excludeTables } = options;
  return join(stateHome, hash([source, target, tables, excludeTables]));
}

/**
 * Opens (and creates) the folder for a migration with these options and locks it until disposed.
 * Throws STATE_DIR_LOCKED, STATE_DIR_OTHER_OPTIONS or STATE_DIR_UNUSABLE.
 */
export function openStateDir(path: string, options: TaskOptions): StateDir {
  const release = usable(path, () => {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return takeLock(path, 'STATE_DIR_LOCKED');
  });
  try {
    for (const record of readRecords(path)) {
      if (record.phase !== OVER) refuseOthers(path, record.options, options);
    }
  } catch (thrown) {
    release();
    throw thrown;
  }
  let written = '';
  return {
    path,
    note(taskId, phase) {
      if (taskId === '' || written === `${taskId} ${phase}`) return;
      usable(path, () => writeRecord(path, { taskId, phase, options }));
      written = `${taskId} ${phase}`;
    },
    [Symbol.dispose]: release,
  };
}

/** Forgets the tasks between two ends, in one folder or in all below the state home: they were cleaned up. Gives the files removed. */
export function forgetTasks(folder: string, source: string, target: string): string[] {
  if (!existsSync(folder)) return [];
  const folders = [folder, ...subfolders(folder)];
  const gone: string[] = [];
  for (const path of folders) {
    for (const { taskId, options } of readRecords(path)) {
      if (options.source !== source || options.target !== target) continue;
      const file = join(path, `${taskId}.json`);
      usable(path, () => rmSync(file, { force: true }));
      gone.push(file);
    }
  }
  return gone;
}

function subfolders(folder: string): string[] {
  const entries = usable(folder, () => readdirSync(folder, { withFileTypes: true }));
  return entries.filter((entry) => entry.isDirectory()).map((entry) => join(folder, entry.name));
}

/** The tasks of one folder. A file that is not ours or cannot be understood is passed over. */
function readRecords(path: string): TaskRecord[] {
  const names = usable(path, () => readdirSync(path)).filter((name) => name.endsWith('.json'));
  return names.flatMap((name) => {
    const text = usable(path, () => readFileSync(join(path, name), 'utf8'));
    const parsed = taskRecord.safeParse(parseJson(text));
    return parsed.success ? [parsed.data] : [];
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Written under another name and renamed: a process killed here leaves the old file or the new one. */
function writeRecord(path: string, task: Pick<TaskRecord, 'taskId' | 'phase' | 'options'>): void {
  const record: TaskRecord = {
    apiVersion: 'opendts/v1',
    kind: 'TaskState',
    optionsHash: hash(task.options),
    ...task,
    updated: new Date().toISOString(),
  };
  const file = join(path, `${task.taskId}.json`);
  const temporary = `${file}.${process.pid}.tmp`;
  writeFileSync(temporary, `${JSON.stringify(record, null, 2)}\n`, { mode: 0o600 });
  renameSync(temporary, file);
}

function refuseOthers(dir: string, before: TaskOptions, now: TaskOptions): void {
  const names = Object.keys(taskOptions.shape) as (keyof TaskOptions)[];
  const different = names.filter((name) => hash(before[name]) !== hash(now[name]));
  if (different.length === 0) return;
  const difference = different
    .map((name) => `${name}: ${show(before[name])}, now ${show(now[name])}`)
    .join('; ');
  throw new AppError('STATE_DIR_OTHER_OPTIONS', { dir, difference });
}

function show(value: string | readonly string[]): string {
  if (typeof value === 'string') return value;
  return value.length === 0 ? 'none' : value.join(',');
}

function hash(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
}

/** Runs file work; what the system refuses becomes STATE_DIR_UNUSABLE. */
function usable<T>(dir: string, work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    if (thrown instanceof AppError) throw thrown;
    const problem = thrown instanceof Error ? thrown.message : String(thrown);
    throw new AppError('STATE_DIR_UNUSABLE', { dir, problem }, thrown);
  }
}
