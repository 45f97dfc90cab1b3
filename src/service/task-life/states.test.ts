/** The whole table by hand: what each event makes of a task in each state. */
import { describe, expect, it } from 'vitest';
import { OWNER_EVENTS, PERSON_EVENTS, TASK_STATES, type TaskState } from '../../contract/api/task-states.ts';
import { desiredAfter, needsOwner, nextState, possibleIn, transitions, type TaskEvent } from './states.ts';

/** `event: from, from > to`, one line a change; whatever is not here is refused. */
const LIFE = `
configure: not-configured, not-started, precheck-failed, prechecked > not-started
precheck: not-started, precheck-failed, prechecked > prechecking
start: not-started, precheck-failed > prechecking
start: prechecked, stopped > migrating
pause: migrating, running, retrying > pausing
pause: failed > paused
resume: paused, failed > migrating
stop: prechecking, migrating, running, retrying, pausing > stopping
stop: prechecked, paused, failed > stopped
release: paused, failed, stopped, completed, release-failed > releasing
reset: not-started, precheck-failed, prechecked, released > not-configured
delete: not-configured, not-started, precheck-failed, prechecked, released > deleted
precheck-passed: prechecking > prechecked
precheck-failed: prechecking > precheck-failed
began: prechecked, migrating, running, retrying, failed > migrating
in-step: migrating, retrying > running
retrying: migrating, running, retrying, failed > retrying
recovered: retrying > migrating
failed: prechecking > precheck-failed
failed: migrating, running, retrying > failed
failed: pausing > paused
failed: stopping > stopped
failed: releasing > release-failed
paused: pausing > paused
stopped: stopping > stopped
completed: migrating, pausing, stopping > completed
released: releasing > released
release-failed: releasing > release-failed
`;
const EVENTS: readonly TaskEvent[] = [...PERSON_EVENTS, ...OWNER_EVENTS];

function byHand(): Map<string, string> {
  const all = new Map<string, string>();
  for (const line of LIFE.trim().split('\n')) {
    const [, event = '', from = '', to = ''] = /^(.+): (.+) > (.+)$/.exec(line) ?? [];
    for (const state of from.split(', ')) all.set(`${state} ${event}`, to);
  }
  return all;
}

describe('the life of a task', () => {
  const expected = byHand();
  it.each(TASK_STATES)('from %s', (state) => {
    const found = EVENTS.map((event) => [event, nextState(state, event)]);
    expect(found).toEqual(EVENTS.map((event) => [event, expected.get(`${state} ${event}`) ?? null]));
  });

  it('is told whole for the page of it', () => {
    const told = transitions().map(({ state, event, to }) => [`${state} ${event}`, to]);
    expect(new Map(told as [string, string][])).toEqual(expected);
  });

  it('always leaves somebody something to do: no state is a dead end', () => {
    for (const state of TASK_STATES)
      expect([state, possibleIn(state).length > 0 || needsOwner({ state, desired: 'idle' })]).toEqual([
        state,
        true,
      ]);
  });

  it('lets nothing but a person bring back what a person has stopped', () => {
    for (const state of ['paused', 'stopped', 'released'] satisfies TaskState[])
      expect(OWNER_EVENTS.filter((event) => nextState(state, event) !== null)).toEqual([]);
  });
});

describe('what is wanted of a task', () => {
  it('is what was asked for last', () => {
    expect(desiredAfter('idle', 'precheck', 'prechecking')).toBe('precheck');
    expect(desiredAfter('idle', 'start', 'prechecking')).toBe('running');
    expect(desiredAfter('running', 'pause', 'pausing')).toBe('paused');
    expect(desiredAfter('paused', 'resume', 'migrating')).toBe('running');
    expect(desiredAfter('running', 'stop', 'stopping')).toBe('stopped');
    expect(desiredAfter('stopped', 'release', 'releasing')).toBe('released');
    expect(desiredAfter('released', 'reset', 'not-configured')).toBe('idle');
  });

  it('is nothing more once a precheck has ended, unless a start asked for it', () => {
    expect(desiredAfter('precheck', 'precheck-passed', 'prechecked')).toBe('idle');
    expect(desiredAfter('running', 'precheck-passed', 'prechecked')).toBe('running');
    expect(desiredAfter('running', 'failed', 'precheck-failed')).toBe('idle');
  });

  it('stays through whatever the owner tells on the way', () => {
    for (const event of ['began', 'in-step', 'retrying', 'failed', 'completed'] satisfies TaskEvent[])
      expect(desiredAfter('running', event, 'migrating')).toBe('running');
  });

  it('has a worker where something is to be done', () => {
    const busy = (desired: 'idle' | 'running') =>
      TASK_STATES.filter((state) => needsOwner({ state, desired }));
    const always = ['prechecking', 'migrating', 'running', 'retrying', 'pausing', 'stopping', 'releasing'];
    expect(busy('idle')).toEqual(always);
    expect(busy('running')).toEqual([...always.slice(0, 1), 'prechecked', ...always.slice(1)]);
  });
});
