/** Operations on workers: what runs where. */
import { z } from 'zod';
import { id, idOrName, time } from './fields.ts';
import type { Operation } from './operation.ts';
import { TASK_STATES } from './task-states.ts';

const worker = z.object({
  id,
  name: z.string(),
  version: z.string(),
  region: z.string().nullable(),
  cluster: z.string().nullable(),
  host: z.string(),
  pid: z.int(),
  startedAt: time,
  seenAt: time,
  isAlive: z.boolean().describe('Seen within the last seconds'),
  isDraining: z.boolean().describe('It takes no more tasks, and leaves those that it has'),
  capacity: z.int(),
  tasks: z.array(z.object({ id, name: z.string(), group: z.string(), state: z.enum(TASK_STATES) })),
});

export const WORKER_OPERATIONS = {
  'worker.list': {
    summary: 'List the workers with the tasks that each of them runs',
    method: 'GET',
    path: '/workers',
    access: 'administrator',
    input: z.strictObject({}),
    output: z.object({ items: z.array(worker) }),
  },
  'worker.drain': {
    summary: 'Let a worker leave its tasks to others and take no more; or let it take tasks again',
    method: 'POST',
    path: '/workers/{worker}/drain',
    access: 'administrator',
    input: z.strictObject({ worker: idOrName, drain: z.boolean().default(true) }),
    output: z.object({ id, name: z.string(), isDraining: z.boolean() }),
  },
} as const satisfies Record<string, Operation>;
