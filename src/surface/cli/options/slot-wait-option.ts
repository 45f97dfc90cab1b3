/** Option: how long the creation of the slot may wait. */
import type { Command } from 'commander';
import { taskSpec } from '../../../contract/task-spec.ts';
import type { TaskFileSpec } from '../../../service/task/request/task-file.ts';
import { parseCount } from '../view/numbers.ts';

export interface SlotWaitFlags {
  readonly slotWait?: number;
}

const DEFAULT_SECONDS = taskSpec.shape.slotWait.parse(undefined);

export function withSlotWait(command: Command): Command {
  return command.option(
    '--slot-wait <seconds>',
    `how long the creation of the replication slot may wait for open transactions (default: ${DEFAULT_SECONDS})`,
    parseCount,
  );
}

/** The flag wins over the task file. In milliseconds. */
export function resolveSlotWait(flags: SlotWaitFlags, file: TaskFileSpec): number {
  return (flags.slotWait ?? file.slotWait ?? DEFAULT_SECONDS) * 1000;
}
