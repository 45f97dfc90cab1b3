/** The options that say which changes and which rows of the tables are migrated. */
import { InvalidArgumentError, type Command } from 'commander';
import { OPERATIONS, operations, type Operation, type TableRule } from '../../../contract/task-spec.ts';

export function withOperations(command: Command): Command {
  return command
    .option(
      '--operations <list>',
      `changes that are followed, of ${OPERATIONS.join(',')} (default: all)`,
      parseOperations,
    )
    .option(
      '--table-operations <table=list...>',
      'the same for some tables, schema.table=insert,update; the last one that matches counts',
      (text, before: TableRule[] | undefined) => {
        const [tables, list] = parseRule(text);
        return [...(before ?? []), { tables, operations: parseOperations(list) }];
      },
    );
}

export function withFilter(command: Command): Command {
  return command.option(
    '--filter <table=condition...>',
    "only rows that meet an SQL condition, schema.table=region = 'EU'; the last one that matches counts",
    (text, before: TableRule[] | undefined) => {
      const [tables, filter] = parseRule(text);
      return [...(before ?? []), { tables, filter }];
    },
  );
}

function parseOperations(text: string): Operation[] {
  const parsed = operations.safeParse(text.split(','));
  if (!parsed.success) throw new InvalidArgumentError(`Write one or more of ${OPERATIONS.join(',')}.`);
  return parsed.data;
}

/** Up to the first "=" outside double quotes it is a pattern. */
function parseRule(text: string): readonly [string, string] {
  const match = /^((?:[^="]|"[^"]*")+)=(.*\S.*)$/s.exec(text);
  if (!match) throw new InvalidArgumentError('Write schema.table=…; put names with "=" into double quotes.');
  return [match[1]?.trim() ?? '', match[2]?.trim() ?? ''];
}
