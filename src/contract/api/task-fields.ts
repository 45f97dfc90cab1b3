/** What is said of a task: in a list, and whole. */
import { z } from 'zod';
import { blackoutWindow } from '../blackout.ts';
import { PHASES } from '../progress.ts';
import { migrationType, taskSettings } from '../task-spec.ts';
import { id, name, time, version } from './fields.ts';
import { taskProgress } from './task-progress.ts';
import { DESIRES, PERSON_EVENTS, TASK_STATES } from './task-states.ts';

/** As in the console of the cloud; a service of one's own has no prices for them. */
export const CLASSES = ['small', 'medium', 'large', 'xlarge', 'xxlarge'] as const;

const label = z.string().min(1).max(100).nullable();

/** Tried again for so long, in minutes. */
export const retry = {
  connectMinutes: z.int().min(10).max(1440).describe('When a server cannot be reached'),
  otherMinutes: z.int().min(1).max(1440).describe('For other reasons; less than connectMinutes'),
};
export const DEFAULT_RETRY = { connectMinutes: 720, otherMinutes: 10 };

/** What of a task may be given, beside its ends and what it does. */
export const taskFields = {
  taskGroup: name.nullable().describe('Tasks of one name here are started, paused and stopped together'),
  class: z.enum(CLASSES),
  environment: label.describe('Tag: production, test, …'),
  cluster: label.describe('Only workers of this cluster run it; null: the shared ones'),
  blackout: z
    .array(blackoutWindow)
    .max(50)
    .describe(
      'Hours of every day in which lower limits hold: of all that hold at a moment the lowest counts',
    ),
};

const startAt = time.nullable().describe('When it is to be started by itself');

export const taskLine = z.object({
  id,
  name: z.string(),
  taskGroup: z.string().nullable(),
  state: z.enum(TASK_STATES),
  stateSince: time,
  startAt,
  source: z.string().nullable(),
  target: z.string().nullable(),
  types: z.array(migrationType),
  environment: z.string().nullable(),
  phase: z.enum(PHASES).nullable(),
  copied: z.number().nullable().describe('Share of the full copy, 0 to 1'),
  delayMs: z.number().nullable(),
  failureCode: z.string().nullable(),
  worker: z.string().nullable(),
  version,
  createdAt: time,
});

const end = z.object({ id, name: z.string() }).nullable();

export const task = z.object({
  id,
  name: z.string(),
  state: z.enum(TASK_STATES),
  stateSince: time,
  startAt,
  desired: z.enum(DESIRES).describe('What persons want; the state follows'),
  possible: z.array(z.enum(PERSON_EVENTS)).describe('What can be asked for in this state'),
  source: end,
  target: end,
  spec: taskSettings,
  ...taskFields,
  class: z.string(),
  retry: z.object({
    ...retry,
    setAt: time,
    effective: z
      .object({ ...retry, task: z.string() })
      .describe('Of tasks that share a database the latest setting counts: whose, and what it says'),
  }),
  failure: z
    .object({
      code: z.string(),
      message: z.string(),
      remedy: z.string(),
      facts: z.record(z.string(), z.unknown()),
    })
    .nullable()
    .describe('The last one, until it is overcome'),
  failedSince: time.nullable(),
  attempts: z.int().describe('How often it was tried again since'),
  nextAttemptAt: time.nullable(),
  stoppedBy: z.enum(['person', 'failure']).nullable(),
  adjustments: z.record(z.string(), z.unknown()).describe('Parameters that recovery has changed'),
  worker: z.object({ id, name: z.string().nullable() }).nullable(),
  engineTaskId: z.string().nullable().describe('Its id in the books on the target'),
  progress: taskProgress.nullable(),
  progressAt: time.nullable(),
  notes: z.array(z.string()).describe('What a person should know of its settings'),
  startedAt: time.nullable(),
  endedAt: time.nullable(),
  version,
  createdBy: z.string().nullable(),
  createdAt: time,
  updatedAt: time,
});

export const taskEvent = z.object({
  id: z.string(),
  at: time,
  kind: z.string(),
  fromState: z.string().nullable(),
  toState: z.string().nullable(),
  account: z.string().nullable().describe('Null: the service itself'),
  workerId: z.string().nullable(),
  facts: z.record(z.string(), z.unknown()),
});

export const seriesPoint = z.object({
  at: time,
  delayMs: z.number().nullable(),
  lagBytes: z.string().nullable(),
  rowsCopied: z.string(),
  bytesCopied: z.string(),
  changesApplied: z.string(),
});
