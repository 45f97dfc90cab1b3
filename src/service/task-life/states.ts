/**
 * The life of a task: its total transition table, state × event → state or refusal. Pure; docs/task-states.md is made from it. What is
 * written in the store when a task goes from one state to another stands in transition.ts.
 */
import {
  OWNER_EVENTS,
  PERSON_EVENTS,
  TASK_STATES,
  type Desired,
  type OwnerEvent,
  type PersonEvent,
  type TaskState,
} from '../../contract/api/task-states.ts';

export type TaskEvent = PersonEvent | OwnerEvent;
const EVENTS: readonly TaskEvent[] = [...PERSON_EVENTS, ...OWNER_EVENTS];

/** A task that is deleted has no state any more. */
type Next = TaskState | 'deleted';
type Row = Readonly<Partial<Record<TaskEvent, Next>>>;

/** What is not named here is refused. */
const TABLE: Readonly<Record<TaskState, Row>> = {
  'not-configured': { configure: 'not-started', delete: 'deleted' },
  'not-started': {
    configure: 'not-started',
    precheck: 'prechecking',
    start: 'prechecking',
    reset: 'not-configured',
    delete: 'deleted',
  },
  prechecking: {
    'precheck-passed': 'prechecked',
    'precheck-failed': 'precheck-failed',
    failed: 'precheck-failed',
    stop: 'stopping',
  },
  'precheck-failed': {
    configure: 'not-started',
    precheck: 'prechecking',
    start: 'prechecking',
    reset: 'not-configured',
    delete: 'deleted',
  },
  // A start goes on from here by itself: its owner says that it began.
  prechecked: {
    configure: 'not-started',
    precheck: 'prechecking',
    start: 'migrating',
    stop: 'stopped',
    began: 'migrating',
    reset: 'not-configured',
    delete: 'deleted',
  },
  migrating: {
    began: 'migrating',
    'in-step': 'running',
    retrying: 'retrying',
    failed: 'failed',
    completed: 'completed',
    pause: 'pausing',
    stop: 'stopping',
  },
  // In step is what the present owner says: another one has yet to come there.
  running: {
    began: 'migrating',
    retrying: 'retrying',
    failed: 'failed',
    pause: 'pausing',
    stop: 'stopping',
  },
  retrying: {
    began: 'migrating',
    recovered: 'migrating',
    'in-step': 'running',
    retrying: 'retrying',
    failed: 'failed',
    pause: 'pausing',
    stop: 'stopping',
  },
  // It may come to its end before it has heard of the wish.
  pausing: { paused: 'paused', completed: 'completed', failed: 'paused', stop: 'stopping' },
  paused: { resume: 'migrating', stop: 'stopped', release: 'releasing' },
  // Tried again by itself for some hours, which pause, stop and release end.
  failed: {
    resume: 'migrating',
    pause: 'paused',
    stop: 'stopped',
    release: 'releasing',
    began: 'migrating',
    retrying: 'retrying',
  },
  stopping: { stopped: 'stopped', completed: 'completed', failed: 'stopped' },
  // Only a start brings it back: nothing does so by itself.
  stopped: { start: 'migrating', release: 'releasing' },
  completed: { release: 'releasing' },
  releasing: { released: 'released', failed: 'release-failed', 'release-failed': 'release-failed' },
  'release-failed': { release: 'releasing' },
  released: { reset: 'not-configured', delete: 'deleted' },
};

/** What the event makes of a task in that state; null where it is refused. */
export function nextState(state: TaskState, event: TaskEvent): Next | null {
  return TABLE[state][event] ?? null;
}

/** What persons can ask for in that state. */
export function possibleIn(state: TaskState): PersonEvent[] {
  return PERSON_EVENTS.filter((event) => nextState(state, event) !== null);
}

const DESIRED: Readonly<Partial<Record<TaskEvent, Desired>>> = {
  configure: 'idle',
  reset: 'idle',
  precheck: 'precheck',
  start: 'running',
  resume: 'running',
  pause: 'paused',
  stop: 'stopped',
  release: 'released',
};

/** What is wanted of the task after the event. Of what the owner tells, only the end of a precheck changes that. */
export function desiredAfter(desired: Desired, event: TaskEvent, to: TaskState): Desired {
  if (to === 'precheck-failed') return 'idle';
  if (event === 'precheck-passed' && desired === 'precheck') return 'idle';
  return DESIRED[event] ?? desired;
}

/** In these somebody has to do something for the task, whatever is wanted of it. */
const BUSY: ReadonlySet<TaskState> = new Set<TaskState>([
  'prechecking',
  'migrating',
  'running',
  'retrying',
  'pausing',
  'stopping',
  'releasing',
]);

/** Whether a worker must have the task now. A failed one is a matter of its next attempt. */
export function needsOwner({
  state,
  desired,
}: {
  readonly state: TaskState;
  readonly desired: Desired;
}): boolean {
  return BUSY.has(state) || (state === 'prechecked' && desired === 'running');
}

/** The whole table, for the page that is made of it. */
export function transitions(): { state: TaskState; event: TaskEvent; to: Next }[] {
  return TASK_STATES.flatMap((state) =>
    EVENTS.flatMap((event) => {
      const to = nextState(state, event);
      return to === null ? [] : [{ state, event, to }];
    }),
  );
}
