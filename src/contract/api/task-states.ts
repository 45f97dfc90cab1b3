/** The states of a task, what persons ask of it and what its owner tells: words that API, CLI and console share. */

export const TASK_STATES = [
  'not-configured',
  'not-started',
  'prechecking',
  'precheck-failed',
  'prechecked',
  'migrating',
  'running',
  'retrying',
  'pausing',
  'paused',
  'failed',
  'stopping',
  'stopped',
  'completed',
  'releasing',
  'release-failed',
  'released',
] as const;
export type TaskState = (typeof TASK_STATES)[number];

/** What persons want of a task: the owner works towards it. */
export const DESIRES = ['idle', 'precheck', 'running', 'paused', 'stopped', 'released'] as const;
export type Desired = (typeof DESIRES)[number];

/** What persons ask for. */
export const PERSON_EVENTS = [
  'configure',
  'precheck',
  'start',
  'pause',
  'resume',
  'stop',
  'release',
  'reset',
  'delete',
] as const;
export type PersonEvent = (typeof PERSON_EVENTS)[number];

/** What the owner of a task tells: the worker that runs it, or who finds that nobody does. */
export const OWNER_EVENTS = [
  'precheck-passed',
  'precheck-failed',
  'began',
  'in-step',
  'retrying',
  'recovered',
  'failed',
  'paused',
  'stopped',
  'completed',
  'released',
  'release-failed',
] as const;
export type OwnerEvent = (typeof OWNER_EVENTS)[number];
