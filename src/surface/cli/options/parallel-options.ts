/** How much is done at the same time. */
import { type Command, InvalidArgumentError } from 'commander';
import { taskSpec } from '../../../contract/task-spec.ts';

export function withJobs(command: Command, what: string): Command {
  return command.option('--jobs <n>', `${what} (default: ${taskSpec.shape.jobs.parse(undefined)})`, upTo64);
}

export function withLanes(command: Command): Command {
  return command.option(
    '--lanes <n>',
    `incremental: transactions that apply changes of different tables side by side where many wait; 1 keeps each source transaction whole (default: ${taskSpec.shape.lanes.parse(undefined)})`,
    upTo64,
  );
}

function upTo64(text: string): number {
  const parsed = taskSpec.shape.jobs.safeParse(/^\d+$/.test(text) ? Number(text) : text);
  if (!parsed.success) throw new InvalidArgumentError('Write a whole number from 1 to 64.');
  return parsed.data;
}
