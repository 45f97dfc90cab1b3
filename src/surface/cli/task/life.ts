/** `opendts task start` and the other verbs of a task's life. */
import { EXIT, type ExitCode } from '../../../base/errors/exit.ts';
import { AppError } from '../../../base/errors/app-error.ts';
import { call, tell, type Ask } from '../ask.ts';
import { nextSteps, type Task } from '../view/task-view.ts';
import { printable } from '../view/text.ts';

export const VERBS = ['precheck', 'start', 'pause', 'resume', 'stop', 'release', 'reset'] as const;
export type Verb = (typeof VERBS)[number];

/** Asked for; the owner does it. */
export async function askTask(ask: Ask, verb: Verb, task: string): Promise<ExitCode> {
  return tellState(ask, await call(ask, `task.${verb}`, { group: ask.group, task }));
}

/** In one line, with what can be asked for now. */
export function tellState(ask: Ask, task: Task): ExitCode {
  const { name, state, possible, notes } = task;
  const now = possible.length > 0 ? `; possible now: ${possible.join(', ')}` : '';
  const steps = nextSteps(task, ask.group);
  return tell(ask, { kind: 'Task', data: task, warnings: notes, nextSteps: steps }, [
    `${printable(name)} is ${state}${now}`,
    ...notes.map((note) => `note: ${printable(note)}`),
  ]);
}

/** All of a task group; the exit code says whether one has refused. */
export async function askGroup(ask: Ask, verb: Verb, taskGroup: string): Promise<ExitCode> {
  if (verb !== 'start' && verb !== 'pause' && verb !== 'stop')
    throw new AppError('USAGE', {
      problem: `A task group is started, paused or stopped as a whole; there is no ${verb}.`,
      remedy: 'Name one task.',
    });
  const { items } = await call(ask, `taskGroup.${verb}`, { group: ask.group, taskGroup });
  const lines = items.map(({ name, state, refused }) =>
    refused === null
      ? `${printable(name)} is ${state}`
      : `${printable(name)}: ${printable(refused.message)} ${printable(refused.remedy)}`,
  );
  tell(ask, { kind: 'TaskGroup', data: { taskGroup, items } }, lines);
  return items.some(({ refused }) => refused !== null) ? EXIT.usage : EXIT.ok;
}
