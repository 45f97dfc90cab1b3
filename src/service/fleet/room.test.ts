import { describe, expect, it } from 'vitest';
import { fit } from './room.ts';

const SPEC = { jobs: 4, lanes: 2 };

describe('the sessions of a run', () => {
  it('are what the task wants where there is no limit, or room', () => {
    const wanted = { jobs: 4, lanes: 2, source: 10, target: 10 };
    expect(fit(SPEC, { source: null, target: null })).toEqual(wanted);
    expect(fit(SPEC, { source: 10, target: 10 })).toEqual(wanted);
  });

  it('are fewer where others have most of them, lanes first', () => {
    expect(fit(SPEC, { source: null, target: 9 })).toEqual({ jobs: 4, lanes: 1, source: 10, target: 9 });
    expect(fit(SPEC, { source: null, target: 7 })).toEqual({ jobs: 2, lanes: 1, source: 8, target: 7 });
    expect(fit(SPEC, { source: 7, target: null })).toEqual({ jobs: 1, lanes: 2, source: 7, target: 7 });
  });

  it('are none where not one job has room', () => {
    expect(fit(SPEC, { source: 6, target: null })).toBeNull();
    expect(fit(SPEC, { source: null, target: 5 })).toBeNull();
    expect(fit(SPEC, { source: -3, target: null })).toBeNull();
  });
});
