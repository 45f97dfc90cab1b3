/** The option that says what becomes of partitioned tables. */
import { Option, type Command } from 'commander';
import { PARTITION_MODES, taskSpec, type PartitionMode } from '../../../contract/task-spec.ts';
import type { TaskFileSpec } from '../../../service/task/request/task-file.ts';

export interface PartitionFlags {
  readonly partitions?: PartitionMode;
}

export function withPartitions(command: Command): Command {
  return command.addOption(
    new Option(
      '--partitions <mode>',
      'partitioned tables: keep makes them with their partitions, plain makes one plain table of each (default: keep)',
    ).choices(PARTITION_MODES),
  );
}

/** Flags win over the task file. Where a pair of servers has another default, it is decided here. */
export function resolvePartitions(flags: PartitionFlags, file: TaskFileSpec): PartitionMode {
  return flags.partitions ?? file.partitions ?? taskSpec.shape.partitions.parse(undefined);
}
