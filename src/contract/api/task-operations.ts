/** Operations on tasks: making and changing them. What they live through, and what is seen of it, is in task-life-operations.ts. */
import { z } from 'zod';
import { taskSettings } from '../task-spec.ts';
import { idOrName, listOf, name, page, version } from './fields.ts';
import type { Operation } from './operation.ts';
import { DEFAULT_RETRY, retry, task, taskFields, taskLine } from './task-fields.ts';
import { TASK_STATES } from './task-states.ts';

const place = { group: idOrName, task: idOrName };
const end = idOrName.describe('A saved connection of the group');

export const TASK_OPERATIONS = {
  'task.create': {
    summary: 'Make a task; with both connections it can be started',
    method: 'POST',
    path: '/groups/{group}/tasks',
    access: 'migrate',
    input: z.strictObject({
      group: idOrName,
      name: name.optional().describe('Need not be the only one of its name; none: one is made up'),
      source: end.optional(),
      target: end.optional(),
      spec: taskSettings.prefault({}),
      taskGroup: taskFields.taskGroup.default(null),
      class: taskFields.class.default('small'),
      environment: taskFields.environment.default(null),
      cluster: taskFields.cluster.default(null),
      blackout: taskFields.blackout.default([]),
      connectMinutes: retry.connectMinutes.default(DEFAULT_RETRY.connectMinutes),
      otherMinutes: retry.otherMinutes.default(DEFAULT_RETRY.otherMinutes),
    }),
    output: task,
    creates: 'repeatable',
  },
  'task.list': {
    summary: 'List the tasks of a group, the newest first',
    method: 'GET',
    path: '/groups/{group}/tasks',
    access: 'view',
    input: z.strictObject({
      group: idOrName,
      state: z.enum(TASK_STATES).optional(),
      taskGroup: z.string().max(100).optional(),
      name: z.string().min(1).max(100).optional().describe('Part of a name'),
      ...page,
    }),
    output: listOf(taskLine),
  },
  'task.show': {
    summary: 'Show a task: what it does, how far it is, what failed, and what is possible',
    method: 'GET',
    path: '/groups/{group}/tasks/{task}',
    access: 'view',
    input: z.strictObject(place),
    output: task,
  },
  'task.configure': {
    summary: 'Change a task; once it has begun, only what does not belong to what it has made',
    method: 'PATCH',
    path: '/groups/{group}/tasks/{task}',
    access: 'migrate',
    input: z.strictObject({
      ...place,
      version,
      source: end.optional(),
      target: end.optional(),
      spec: taskSettings.optional().describe('Whole: what is left out gets its default'),
      ...z.object(taskFields).partial().shape,
    }),
    output: task,
  },
  'task.rename': {
    summary: 'Give a task another name',
    method: 'PUT',
    path: '/groups/{group}/tasks/{task}/name',
    access: 'migrate',
    input: z.strictObject({ ...place, version, name }),
    output: task,
  },
  'task.clone': {
    summary: 'Make a task with the settings of another',
    method: 'POST',
    path: '/groups/{group}/tasks/{task}/clone',
    access: 'migrate',
    input: z.strictObject({ ...place, name: name.optional() }),
    output: task,
    creates: 'repeatable',
  },
  'task.delete': {
    summary: 'Forget a task that was released or never started',
    method: 'DELETE',
    path: '/groups/{group}/tasks/{task}',
    access: 'migrate',
    input: z.strictObject({ ...place, version }),
    output: z.object({}),
  },
  'task.throttle': {
    summary: 'Limit a task, also while it runs; a limit that is left out is lifted',
    method: 'PUT',
    path: '/groups/{group}/tasks/{task}/throttle',
    access: 'operate',
    input: z.strictObject({
      ...place,
      version,
      throttle: taskSettings.shape.throttle,
      streamThrottle: taskSettings.shape.streamThrottle,
    }),
    output: task,
  },
  'task.setRetry': {
    summary: 'Say how long a task is tried again; the latest setting counts for all that share a database',
    method: 'PUT',
    path: '/groups/{group}/tasks/{task}/retry',
    access: 'migrate',
    input: z.strictObject({ ...place, version, ...retry }),
    output: task,
  },
} as const satisfies Record<string, Operation>;
