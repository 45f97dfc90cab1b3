/** `opendts task start` and the other verbs of a task's life. */
import { EXIT, type ExitCode } from '../../../base/errors/exit.ts';
import { AppError } from '../../../base/errors/app-error.ts';
import { call, tell, type Ask } from '../ask.ts';
import { nextSteps, startWords, type Task } from '../view/task-view.ts';
import { printable } from '../view/text.ts';
import type { TaskCommandFlags } from './flags.ts';

export const VERBS = ['precheck', 'start', 'pause', 'resume', 'stop', 'release', 'reset'] as const;
export type Verb = (typeof VERBS)[number];

/** Asked for; the owner does it. */
export async function askTask(
  ask: Ask,
  verb: Verb,
  task: string,
  {
    dropDeadLetters = false,
    sourceGone = false,
    at,
  }: Pick<TaskCommandFlags, 'dropDeadLetters' | 'sourceGone' | 'at'>,
): Promise<ExitCode> {
  const place = { group: ask.group, task };
  if (verb === 'release')
    return tellState(
      ask,
      await call(ask, 'task.release', {
        ...place,
        ...(dropDeadLetters ? { dropDeadLetters } : {}),
        ...(sourceGone ? { sourceGone } : {}),
      }),
    );
  if (verb === 'start') return tellState(ask, await call(ask, 'task.start', { ...place, ...(at && { at }) }));
  return tellState(ask, await call(ask, `task.${verb}`, place));
}

/** In one line, with what can be asked for now. */
export function tellState(ask: Ask, task: Task): ExitCode {
  const { name, state, possible, notes, startAt } = task;
  const now = possible.length > 0 ? `; possible now: ${possible.join(', ')}` : '';
  const steps = nextSteps(task, ask.group);
  return tell(ask, { kind: 'Task', data: task, warnings: notes, nextSteps: steps }, [
    `${printable(name)} is ${state}${startWords(startAt)}${now}`,
    ...notes.map((note) => `note: ${printable(note)}`),
  ]);
}

/** All of a task group; the exit code says whether one has refused. */
export async function askGroup(
  ask: Ask,
  verb: Verb,
  taskGroup: string,
  { at }: Pick<TaskCommandFlags, 'at'>,
): Promise<ExitCode> {
  if (verb !== 'start' && verb !== 'pause' && verb !== 'stop')
    throw new AppError('USAGE', {
      problem: `A task group is started, paused or stopped as a whole; there is no ${verb}.`,
      remedy: 'Name one task.',
    });
  const place = { group: ask.group, taskGroup };
  const { items } =
    verb === 'start'
      ? await call(ask, 'taskGroup.start', { ...place, ...(at && { at }) })
      : await call(ask, `taskGroup.${verb}`, place);
  const lines = items.map(({ name, state, refused }) =>
    refused === null
      ? `${printable(name)} is ${state}`
      : `${printable(name)}: ${printable(refused.message)} ${printable(refused.remedy)}`,
  );
  tell(ask, { kind: 'TaskGroup', data: { taskGroup, items } }, lines);
  return items.some(({ refused }) => refused !== null) ? EXIT.usage : EXIT.ok;
}
