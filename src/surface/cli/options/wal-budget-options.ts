/** Options: how much WAL the slot may keep before changes are applied beside the copy. */
import type { Command } from 'commander';
import type { WalBudget } from '../../../service/task/copy/wal-budget.ts';
import { budget } from '../../../service/task/request/request-of.ts';
import type { TaskFileSpec } from '../../../service/task/request/task-file.ts';
import { parseRate } from '../view/numbers.ts';

export interface WalBudgetFlags {
  readonly walBudget?: number;
  readonly walBudgetMinutes?: number;
}

export function withWalBudget(command: Command): Command {
  return command
    .option(
      '--wal-budget <gb>',
      'full copy: apply changes beside it once the slot keeps so many gigabytes of WAL (default: 10)',
      parseRate,
    )
    .option(
      '--wal-budget-minutes <n>',
      'full copy: apply changes beside it once it has taken so many minutes (default: 15)',
      parseRate,
    );
}

/** Flags win over the task file. */
export function resolveWalBudget(flags: WalBudgetFlags, file: TaskFileSpec): WalBudget {
  return budget({
    gigabytes: flags.walBudget ?? file.walBudget?.gigabytes,
    minutes: flags.walBudgetMinutes ?? file.walBudget?.minutes,
  });
}
