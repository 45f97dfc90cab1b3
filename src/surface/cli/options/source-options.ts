/** Options: what a migration may have in the source while it lives, and what becomes of DDL there. */
import { Option, type Command } from 'commander';
import {
  DDL_CAPTURES,
  DDL_MODES,
  REPLICA_IDENTITY_POLICIES,
  taskSpec,
  type DdlCapture,
  type DdlMode,
  type ReplicaIdentityPolicy,
} from '../../../contract/task-spec.ts';
import type { TaskFileSpec } from '../../../service/task/request/task-file.ts';

export interface SourceFlags {
  readonly heartbeat?: boolean;
  readonly captureDdl?: DdlCapture;
  readonly ddl?: DdlMode;
  readonly replicaIdentity?: ReplicaIdentityPolicy;
}

export interface SourceChoice {
  readonly heartbeat: boolean;
  readonly captureDdl: DdlCapture;
  readonly ddl: DdlMode;
  readonly replicaIdentity: ReplicaIdentityPolicy;
}

export function withSourceObjects(command: Command): Command {
  return command
    .option('--no-heartbeat', 'incremental: write no heartbeat into the source')
    .addOption(
      new Option(
        '--capture-ddl <mode>',
        'incremental: auto has event triggers of the source note DDL, off only compares catalogs (default: auto)',
      ).choices(DDL_CAPTURES),
    )
    .addOption(
      new Option(
        '--replica-identity <policy>',
        'incremental: set REPLICA IDENTITY FULL where needed, on all tables, or never (default: needed)',
      ).choices(REPLICA_IDENTITY_POLICIES),
    );
}

export function withDdl(command: Command): Command {
  return command.addOption(
    new Option(
      '--ddl <mode>',
      'incremental: ask stops a table whose columns are changed on the source, apply makes safe changes on the target too, and repeats indexes (default: ask)',
    ).choices(DDL_MODES),
  );
}

/** Flags win over the task file. */
export function resolveSource(flags: SourceFlags, file: TaskFileSpec): SourceChoice {
  const { heartbeat, captureDdl, ddl, replicaIdentity } = taskSpec.shape;
  return {
    // A --no- option is true where it is not given.
    heartbeat: (flags.heartbeat ?? true) && (file.heartbeat ?? heartbeat.parse(undefined)),
    captureDdl: flags.captureDdl ?? file.captureDdl ?? captureDdl.parse(undefined),
    ddl: flags.ddl ?? file.ddl ?? ddl.parse(undefined),
    replicaIdentity: flags.replicaIdentity ?? file.replicaIdentity ?? replicaIdentity.parse(undefined),
  };
}
