/** Live events: what of the tasks of a group has changed, as it changes. */
import { z } from 'zod';
import { id, idOrName } from './fields.ts';
import type { Operation } from './operation.ts';
import { taskLine } from './task-fields.ts';

const event = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('reset') }).describe('Forget the tasks that you know: all of them follow'),
  z.object({ kind: z.literal('task'), task: taskLine }).describe('A task as it is now; the newest counts'),
  z.object({ kind: z.literal('gone'), id }).describe('A task that there is no more'),
  z.object({ kind: z.literal('ready') }).describe('All that was there at the beginning has been told'),
]);
export type LiveEvent = z.infer<typeof event>;

export const EVENT_OPERATIONS = {
  'event.follow': {
    summary: 'Follow the tasks of a group, or one of them: first as they are, then every change',
    method: 'GET',
    path: '/groups/{group}/events',
    access: 'view',
    input: z.strictObject({ group: idOrName, task: idOrName.optional() }),
    output: event,
    stream: true,
  },
} as const satisfies Record<string, Operation>;
