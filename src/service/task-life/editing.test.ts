/** What of a task may be changed when. */
import { describe, expect, it } from 'vitest';
import { TASK_STATES, type TaskState } from '../../contract/api/task-states.ts';
import { taskSettings } from '../../contract/task-spec.ts';
import type { StoredTask } from '../store/task/task-row.ts';
import { changedFields, requireLimitable, stateWhenConfigured } from './editing.ts';

const spec = taskSettings.parse({ rename: { a: 'b', c: 'd' } });
const ends = { sourceConnection: 's', targetConnection: 't' };
// Nothing else of a task is looked at.
const task = (state: TaskState) => ({ ...ends, name: 'x', state, spec }) as StoredTask;
const code = (work: () => unknown) => {
  try {
    return work();
  } catch (thrown) {
    return (thrown as { code?: string }).code;
  }
};

describe('what is changed of a task', () => {
  it('is told by field, the order in objects apart', () => {
    const other = taskSettings.parse({ rename: { c: 'd', a: 'b' } });
    expect(changedFields(task('paused'), { ...ends, spec: other })).toEqual([]);
    const wanted = {
      sourceConnection: 'u',
      targetConnection: 't',
      spec: { ...spec, jobs: 3, start: { slot: 'x' } },
    };
    expect(changedFields(task('paused'), wanted)).toEqual(['source', 'jobs', 'start']);
    expect(changedFields(wanted, { ...ends, spec })).toEqual(['source', 'jobs', 'start']);
  });

  it('is anything before it has begun, which needs another precheck; then what it has made does not depend on', () => {
    const after = (change: object) =>
      Object.fromEntries(
        TASK_STATES.map((state) => [
          state,
          code(() => stateWhenConfigured(task(state), { ...ends, spec: { ...spec, ...change } })),
        ]),
      );
    const before = {
      'not-configured': 'not-started',
      'not-started': 'not-started',
      'precheck-failed': 'not-started',
      prechecked: 'not-started',
    };
    const live = [
      'prechecking',
      'migrating',
      'running',
      'retrying',
      'pausing',
      'paused',
      'failed',
      'stopped',
    ];
    const all = (states: readonly string[], what: (state: string) => string) =>
      Object.fromEntries(states.map((state) => [state, what(state)]));
    const over = all(
      ['stopping', 'completed', 'releasing', 'release-failed', 'released'],
      () => 'TASK_STATE_REFUSES',
    );
    expect(after({ tables: ['a'] })).toEqual({ ...before, ...all(live, () => 'TASK_BEGUN'), ...over });
    // A precheck stays good.
    const same = all([...Object.keys(before), ...live], (state) => state);
    expect(after({ jobs: 9, throttle: { rows: 1 } })).toEqual({ ...same, ...over });
    expect(Object.values(after({})).filter((state) => state === 'TASK_STATE_REFUSES')).toHaveLength(5);
  });

  it('leaves it without settings while an end is missing', () => {
    const wanted = { ...ends, sourceConnection: null, spec };
    expect(stateWhenConfigured(task('prechecked'), wanted)).toBe('not-configured');
  });

  it('may be its limits wherever it runs or will', () => {
    const refused = TASK_STATES.filter((state) => code(() => requireLimitable(task(state))) !== undefined);
    expect(refused).toEqual(['stopping', 'completed', 'releasing', 'release-failed', 'released']);
  });
});
