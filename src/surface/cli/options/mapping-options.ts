/** The options that say what the target has of a table otherwise than the source: names, columns, types, keys. */
import { Option, type Command } from 'commander';
import { AppError } from '../../../base/errors/app-error.ts';
import { CAPITALIZATIONS, taskSpec, type Capitalization } from '../../../contract/task-spec.ts';
import type { TaskFileSpec } from '../../../service/task/request/task-file.ts';

export interface MappingFlags {
  readonly rename?: string[];
  readonly capitalization?: Capitalization;
  readonly excludeColumn?: string[];
  readonly columnType?: string[];
  readonly primaryKey?: string[];
}

export interface Mapping {
  readonly rename: Readonly<Record<string, string>>;
  readonly capitalization: Capitalization;
  readonly excludeColumns: readonly string[];
  readonly columnTypes: Readonly<Record<string, string>>;
  readonly primaryKeys: Readonly<Record<string, string>>;
}

export function withMapping(command: Command): Command {
  return command
    .option(
      '--rename <source=target...>',
      'other names on the target: schema.table=schema.table, schema.*=schema.*, schema.table.column=column',
    )
    .option(
      '--exclude-column <pattern...>',
      'leave these columns out: schema.table.column; * and ? are wildcards',
    )
    .option(
      '--column-type <column=type...>',
      'other types on the target: schema.table.column=type, as in SQL',
    )
    .option(
      '--primary-key <table=columns...>',
      'other primary keys on the target: schema.table=column,column, by the names of the source',
    )
    .addOption(
      new Option(
        '--capitalization <letters>',
        'letters of all other names of schemas, tables and columns (default: source)',
      ).choices(CAPITALIZATIONS),
    );
}

/** Flags win over the task file. */
export function resolveMapping(flags: MappingFlags, file: TaskFileSpec): Mapping {
  const { shape } = taskSpec;
  return {
    rename: pairs(flags.rename, RENAMING) ?? file.rename ?? shape.rename.parse(undefined),
    excludeColumns: flags.excludeColumn ?? file.excludeColumns ?? shape.excludeColumns.parse(undefined),
    capitalization: flags.capitalization ?? file.capitalization ?? shape.capitalization.parse(undefined),
    columnTypes: pairs(flags.columnType, TYPE) ?? file.columnTypes ?? shape.columnTypes.parse(undefined),
    primaryKeys: pairs(flags.primaryKey, KEY) ?? file.primaryKeys ?? shape.primaryKeys.parse(undefined),
  };
}

interface PairForm {
  readonly what: string;
  readonly remedy: string;
}

const QUOTED = 'put names with dots, commas, quotes or "=" into double quotes.';
const RENAMING = {
  what: 'a renaming',
  remedy: `Write --rename schema.table=schema.table, schema.*=schema.* or schema.table.column=column; ${QUOTED}`,
};
const TYPE = {
  what: 'a type of a column',
  remedy: `Write --column-type schema.table.column=type; ${QUOTED}`,
};
const KEY = { what: 'a primary key', remedy: `Write --primary-key schema.table=column,column; ${QUOTED}` };

/** `a.b=c.d` as an entry each; throws USAGE for one without both sides. */
function pairs(
  texts: readonly string[] | undefined,
  { what, remedy }: PairForm,
): Record<string, string> | null {
  if (!texts) return null;
  return Object.fromEntries(
    texts.map((text) => {
      const match = /^((?:[^="]|"[^"]*")+)=((?:[^="]|"[^"]*")+)$/.exec(text);
      if (!match) throw new AppError('USAGE', { problem: `"${text}" is not ${what}.`, remedy });
      return [match[1] ?? '', match[2] ?? ''];
    }),
  );
}
