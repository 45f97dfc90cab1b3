/** The command to run next, ready to paste: the options of this run, connection strings without passwords. */
import { MIGRATION_TYPES } from '../../contract/task-spec.ts';
import { redactConninfo } from '../../engine/pg/conninfo/conninfo.ts';
import type { Task } from './task-options.ts';
import { shellWord } from './text.ts';

/** `opendts <verb> --source … --target … --types …` with the choice of tables. */
export function pasteLine(verb: 'check' | 'migrate', task: Task): string {
  const ends = ['--source', redactConninfo(task.source), '--target', redactConninfo(task.target)];
  const types = MIGRATION_TYPES.filter((type) => task.types.has(type)).join(',');
  const tables = task.tables.length > 0 ? ['--table', ...task.tables] : [];
  const excluded = task.excludeTables.length > 0 ? ['--exclude-table', ...task.excludeTables] : [];
  return ['opendts', verb, ...ends, '--types', types, ...tables, ...excluded].map(shellWord).join(' ');
}
