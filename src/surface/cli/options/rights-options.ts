/** Options: what becomes of owners, rights and roles. */
import { Option, type Command } from 'commander';
import { GRANT_MODES, OWNER_MODES, type GrantMode, type OwnerMode } from '../../../contract/task-spec.ts';
import type { TaskFileSpec } from '../../../service/task/request/task-file.ts';

export interface RightsFlags {
  readonly owners?: OwnerMode;
  readonly grants?: GrantMode;
  readonly createRoles?: boolean;
}

export interface AskedRights {
  readonly owners?: OwnerMode;
  readonly grants?: GrantMode;
  readonly createRoles: boolean;
}

export function withRights(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--owners <mode>',
        'keep the owners of the source, or let everything belong to the account of the migration (default: keep)',
      ).choices(OWNER_MODES),
    )
    .addOption(
      new Option(
        '--grants <mode>',
        'keep rights, default privileges and settings of database and roles, or none (default: keep)',
      ).choices(GRANT_MODES),
    )
    .option('--create-roles', 'create roles that the target lacks, without passwords');
}

/** Flags win over the task file. */
export function resolveRights(flags: RightsFlags, file: TaskFileSpec): AskedRights {
  const owners = flags.owners ?? file.owners;
  const grants = flags.grants ?? file.grants;
  return {
    ...(owners === undefined ? {} : { owners }),
    ...(grants === undefined ? {} : { grants }),
    createRoles: flags.createRoles ?? file.createRoles ?? false,
  };
}
