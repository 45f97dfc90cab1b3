/** Options: what becomes of the schema on the target. */
import type { Command } from 'commander';
import { taskSpec } from '../../../contract/task-spec.ts';
import type { TaskFileSpec } from '../../../service/task/request/task-file.ts';

export interface SchemaFlags {
  readonly createExtensions?: boolean;
}

export interface SchemaChoice {
  readonly createExtensions: boolean;
}

export function withSchemaChoices(command: Command): Command {
  return command.option(
    '--create-extensions',
    'create extensions that the target lacks, where its server has them and the account may',
  );
}

/** Flags win over the task file. */
export function resolveSchema(flags: SchemaFlags, file: TaskFileSpec): SchemaChoice {
  const { createExtensions } = taskSpec.shape;
  return {
    createExtensions: flags.createExtensions ?? file.createExtensions ?? createExtensions.parse(undefined),
  };
}
