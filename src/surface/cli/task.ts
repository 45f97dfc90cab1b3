/** `opendts task`: the tasks of a server, made, driven and watched. */
import { Argument, InvalidArgumentError, Option, type Command } from 'commander';
import { z } from 'zod';
import { AppError } from '../../base/errors/app-error.ts';
import type { ExitCode } from '../../base/errors/exit.ts';
import { CLASSES } from '../../contract/api/task-fields.ts';
import { TABLE_WISHES, type TableWish } from '../../contract/api/task-tables.ts';
import { TASK_STATES, type TaskState } from '../../contract/api/task-states.ts';
import { accessTo } from './api-client.ts';
import { call, type Ask } from './ask.ts';
import type { CliCommand } from './context.ts';
import { withBlackout } from './options/blackout-option.ts';
import { withJobs } from './options/parallel-options.ts';
import { withConflict, withJson, withLimits, withTables, withTypes } from './options/task-options.ts';
import {
  cloneTask,
  configureTask,
  createTask,
  deleteTask,
  renameTask,
  setRetry,
  throttleTask,
} from './task/edit.ts';
import type { TaskCommandFlags } from './task/flags.ts';
import { askGroup, askTask, VERBS, type Verb } from './task/life.ts';
import { listTasks, showChecks, showEvents, showSeries, showTables, showTask } from './task/look.ts';
import { watchTask } from './task/watch.ts';

const ACTIONS = [
  'create',
  'list',
  'show',
  'watch',
  ...VERBS,
  'checks',
  'tables',
  'events',
  'series',
  'configure',
  'throttle',
  'retry',
  'clone',
  'rename',
  'delete',
] as const;
type Action = (typeof ACTIONS)[number];

export const taskCommand: CliCommand = {
  define(program) {
    const command = program
      .command('task')
      .description(
        'make tasks on a server (opendts login, or OPENDTS_SERVER and OPENDTS_TOKEN), run and watch them',
      )
      .addArgument(new Argument('<action>', ACTIONS.join(', ')).choices(ACTIONS))
      .argument('[name]', 'name or id; all but list, and --task-group')
      .argument('[new-name]', 'rename, clone: another name')
      .option('--group <name>', 'resource group', 'default');
    return withJson(withLooking(withMaking(command)));
  },

  async run(command, context) {
    const flags = command.opts<TaskCommandFlags>();
    const [action, name, newName] = command.processedArgs as [Action, string | undefined, string | undefined];
    const ask: Ask = {
      access: accessTo(context.config),
      group: flags.group,
      json: flags.json ?? false,
      context,
    };
    if (action === 'list') return listTasks(ask, flags);
    if (name === undefined && flags.taskGroup !== undefined && isVerb(action))
      return askGroup(ask, action, flags.taskGroup, flags);
    if (name === undefined) throw missing(`Which task to ${action} is not said.`);
    return isVerb(action) ? askTask(ask, action, name, flags) : act(ask, action, { name, newName, flags });
  },
};

interface Given {
  readonly name: string;
  readonly newName: string | undefined;
  readonly flags: TaskCommandFlags;
}

async function act(
  ask: Ask,
  action: Exclude<Action, Verb | 'list'>,
  { name, newName, flags }: Given,
): Promise<ExitCode> {
  switch (action) {
    case 'create':
      return createTask(ask, name, flags);
    case 'show':
      return showTask(ask, name);
    case 'watch':
      return watchTask(ask, name, flags);
    case 'checks':
      return showChecks(ask, name);
    case 'events':
      return showEvents(ask, name, flags.all ?? false);
    case 'series':
      return showSeries(ask, name, flags);
    case 'configure':
      return configureTask(ask, name, flags);
    case 'retry':
      return setRetry(ask, name, flags);
    case 'throttle':
      return throttleTask(ask, name, flags);
    case 'clone':
      return cloneTask(ask, name, newName);
    case 'delete':
      return deleteTask(ask, name);
    case 'rename':
      if (newName === undefined) throw missing('The new name is not given.');
      return renameTask(ask, name, newName);
    case 'tables':
      return tables(ask, name, flags);
  }
}

const FLAG = {
  pause: 'pause',
  skip: 'skip',
  resume: 'resume',
  recopy: 'recopy',
  apply: 'apply',
  'as-is': 'asIs',
  'dead-letter': 'deadLetter',
} as const satisfies Record<TableWish, keyof TaskCommandFlags>;

/** What is asked for, and then what there is. */
async function tables(ask: Ask, task: string, flags: TaskCommandFlags): Promise<ExitCode> {
  const { group } = ask;
  for (const wish of TABLE_WISHES) {
    const named = flags[FLAG[wish]];
    if (named !== undefined) await call(ask, 'task.chooseForTables', { group, task, tables: named, wish });
  }
  return showTables(ask, task, flags);
}

function isVerb(action: Action): action is Verb {
  return VERBS.some((verb) => verb === action);
}

function withMaking(command: Command): Command {
  const made = command
    .option('--source <connection>', 'create, configure: saved connection of the source')
    .option('--target <connection>', 'create, configure: saved connection of the target')
    .option(
      '--file <file>',
      'create, configure: a task file with whatever else it is to do; options override it',
    )
    .option(
      '--task-group <name>',
      "create, configure: its task group ('': none); list: of this one; start, pause, stop: all of this one",
    )
    .option('--environment <tag>', "create, configure: production, test, … ('': none)")
    .option(
      '--cluster <name>',
      "create, configure: only workers of this cluster run it ('': the shared ones)",
    )
    .addOption(new Option('--class <class>', 'create, configure: a tag as well').choices(CLASSES))
    .option(
      '--connect-minutes <n>',
      'create, configure, retry: how long it is tried again when a server cannot be reached, 10 to 1440',
      parseWhole,
    )
    .option(
      '--other-minutes <n>',
      'create, configure, retry: how long it is tried again for other reasons, 1 to 1440',
      parseWhole,
    );
  return withBlackout(
    withLimits(
      withJobs(
        withConflict(withTables(withTypes(made))),
        'create, configure: tables copied at the same time',
      ),
    ),
  );
}

const WISH: Readonly<Record<TableWish, string>> = {
  pause: 'tables: copy and apply nothing of these until --resume; the source keeps its log for them',
  resume: 'tables: let paused ones go on, or stopped ones once the cause is removed',
  skip: 'tables: leave these out, and keep nothing for them; --recopy brings them back',
  recopy: 'tables: empty these on the target and copy them again',
  apply: "tables: make the source's change of their columns on the target, then go on",
  'as-is': 'tables: go on and fill the target table as it is, although its columns differ from the source',
  'dead-letter':
    'tables: go on, and keep each change that the target refuses as a dead letter, until --resume',
};

function withLooking(command: Command): Command {
  const looked = command
    .option('--state <state>', 'list: only in this state', parseState)
    .option('--name <text>', 'list, tables: only names that contain this')
    .option(
      '--at <time>',
      'start: by itself at this time, 2026-12-01T02:00:00+01:00; stop calls it off',
      parseTime,
    )
    .option('--all', 'events: not only the latest 50')
    .option('--from <time>', 'series: from then on (default: the last day)', parseTime)
    .option('--to <time>', 'series: up to then', parseTime)
    .option('--until <state>', 'watch: end when it has come to this state', parseState)
    .option(
      '--drop-dead-letters',
      'release: also when changes that the target has refused are kept there: they are lost',
    )
    .option(
      '--source-gone',
      'release: where the source cannot be reached, the target alone: that server is gone for good',
    )
    .option('--timeout <seconds>', 'watch: end with exit code 8 after so long', parseWhole);
  return TABLE_WISHES.reduce((all, wish) => all.option(`--${wish} <table...>`, WISH[wish]), looked);
}

function parseState(text: string): TaskState {
  const state = TASK_STATES.find((one) => one === text);
  if (state === undefined) throw new InvalidArgumentError(`Write one of ${TASK_STATES.join(', ')}.`);
  return state;
}

function parseTime(text: string): string {
  if (!z.iso.datetime({ offset: true }).safeParse(text).success)
    throw new InvalidArgumentError('Write a time with its zone, such as 2026-12-01T02:00:00Z.');
  return text;
}

function parseWhole(text: string): number {
  if (!/^\d{1,7}$/.test(text)) throw new InvalidArgumentError('Write a whole number.');
  return Number(text);
}

function missing(problem: string): AppError {
  return new AppError('USAGE', { problem, remedy: '"opendts task --help" shows how it is called.' });
}
