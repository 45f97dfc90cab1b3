/** Operations on the life of tasks, and on what is seen of it. */
import { z } from 'zod';
import { TABLE_STAGES } from '../progress.ts';
import { id, idOrName, listOf, moment, page, time } from './fields.ts';
import type { Operation } from './operation.ts';
import type { Right } from './roles.ts';
import { seriesPoint, task, taskEvent } from './task-fields.ts';
import { taskPrecheck } from './task-precheck.ts';
import { tableProgress } from './task-progress.ts';
import { TASK_STATES } from './task-states.ts';
import { TABLE_WISHES } from './task-tables.ts';

const place = { group: idOrName, task: idOrName };
const at = moment.optional().describe('None: now');

const table = tableProgress.extend({
  wish: z.enum(TABLE_WISHES).nullable().describe('What is wanted for it and not done yet'),
  updatedAt: time,
});

function verb<V extends string, R extends Right>(name: V, access: R, summary: string) {
  return {
    summary,
    method: 'POST',
    path: `/groups/{group}/tasks/{task}/${name}`,
    access,
    input: z.strictObject(place),
    output: task,
  } as const satisfies Operation;
}

/** What became of each task of a task group. */
const outcomes = z.object({
  items: z.array(
    z.object({
      id,
      name: z.string(),
      state: z.enum(TASK_STATES),
      refused: z
        .object({ code: z.string(), message: z.string(), remedy: z.string() })
        .nullable()
        .describe('Null: done'),
    }),
  ),
});

function together<V extends string, R extends Right>(name: V, access: R, summary: string) {
  return {
    summary,
    method: 'POST',
    path: `/groups/{group}/task-groups/{taskGroup}/${name}`,
    access,
    input: z.strictObject({ group: idOrName, taskGroup: z.string().min(1).max(100) }),
    output: outcomes,
  } as const satisfies Operation;
}

export const TASK_LIFE_OPERATIONS = {
  'task.precheck': verb('precheck', 'migrate', 'Check whether a task could run; nothing is changed'),
  'task.start': {
    ...verb('start', 'migrate', 'Start a task, after its precheck; a stopped one goes on'),
    input: z.strictObject({ ...place, at }),
  },
  'task.pause': verb('pause', 'operate', 'Pause a task; what it has on both ends stays'),
  'task.resume': verb('resume', 'operate', 'Let a paused task go on, or a failed one at once'),
  'task.stop': verb(
    'stop',
    'migrate',
    'Stop a task: nothing but a start brings it back; one that is to start later does not',
  ),
  'task.release': {
    summary: 'Take back what a task has in the source and its books on the target; the data stay',
    method: 'POST',
    path: '/groups/{group}/tasks/{task}/release',
    access: 'migrate',
    input: z.strictObject({
      ...place,
      dropDeadLetters: z
        .boolean()
        .default(false)
        .describe('Also where changes that the target has refused are kept there: they are lost'),
      sourceGone: z
        .boolean()
        .default(false)
        .describe(
          'Where the source cannot be reached, release the target alone: that server is gone for good. The timeline says what is left in it',
        ),
    }),
    output: task,
  },
  'task.reset': verb(
    'reset',
    'migrate',
    'Make a task that has not begun, or is released, one without settings',
  ),
  'taskGroup.start': {
    ...together('start', 'migrate', 'Start the tasks of a task group'),
    input: z.strictObject({ group: idOrName, taskGroup: z.string().min(1).max(100), at }),
  },
  'taskGroup.pause': together('pause', 'operate', 'Pause the tasks of a task group'),
  'taskGroup.stop': together('stop', 'migrate', 'Stop the tasks of a task group'),
  'task.checks': {
    summary: 'Show what the latest precheck of a task has found',
    method: 'GET',
    path: '/groups/{group}/tasks/{task}/precheck',
    access: 'view',
    input: z.strictObject(place),
    output: z.object({ at: time.nullable(), precheck: taskPrecheck.nullable().describe('Null: none yet') }),
  },
  'task.tables': {
    summary: 'List the tables of a task with how far they are',
    method: 'GET',
    path: '/groups/{group}/tasks/{task}/tables',
    access: 'view',
    input: z.strictObject({
      ...place,
      name: z.string().min(1).max(200).optional().describe('Part of a name'),
      stage: z.enum(TABLE_STAGES).optional(),
      ...page,
    }),
    output: listOf(table),
  },
  'task.chooseForTables': {
    summary:
      'Pause tables, leave them out or have them copied again while the others go on, or say what becomes of those that have stopped; the task does it soon',
    method: 'POST',
    path: '/groups/{group}/tasks/{task}/tables/choice',
    access: 'operate',
    input: z.strictObject({
      ...place,
      tables: z.array(z.string().min(1).max(200)).min(1).max(1000).describe('Names as the list shows them'),
      wish: z.enum(TABLE_WISHES),
    }),
    output: z.object({ tables: z.array(z.string()) }),
  },
  'task.events': {
    summary: 'What happened to a task and who did it, the newest first',
    method: 'GET',
    path: '/groups/{group}/tasks/{task}/events',
    access: 'view',
    input: z.strictObject({ ...place, ...page }),
    output: listOf(taskEvent),
  },
  'task.series': {
    summary: 'A task over time: delay and what was done by then, for up to 30 days',
    method: 'GET',
    path: '/groups/{group}/tasks/{task}/series',
    access: 'view',
    input: z.strictObject({
      ...place,
      from: moment.optional().describe('None: a day before the end'),
      to: moment.optional().describe('None: now'),
    }),
    output: z.object({ everyMinutes: z.int(), points: z.array(seriesPoint) }),
  },
} as const satisfies Record<string, Operation>;
