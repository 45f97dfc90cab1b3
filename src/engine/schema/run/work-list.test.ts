/** In which order steps that run side by side are taken. */
import { describe, expect, it } from 'vitest';
import type { SchemaStep } from '../plan.ts';
import { ALONE } from '../draft.ts';
import { batchesInOrder, WorkList } from './work-list.ts';

const MB = 1024n * 1024n;

function step(id: string, megabytes: bigint, given: Partial<SchemaStep> = {}): SchemaStep {
  return {
    id,
    phase: 'index',
    statements: [],
    creates: null,
    relkind: 'i',
    owner: `table of ${id}`,
    dependsOn: [],
    needs: [],
    weight: megabytes * MB,
    ...given,
  };
}

/** Everything in the order in which one worker would take it. */
function taken(steps: readonly SchemaStep[]): string[][] {
  const list = new WorkList(steps);
  const batches: string[][] = [];
  while (!list.isEmpty) {
    const batch = list.take();
    batches.push(batch.map(({ id }) => id));
    list.finish(batch);
  }
  return batches;
}

describe('the work list', () => {
  it('gives the largest first, whatever the plan says, and the small ones of the end together', () => {
    const steps = [step('a', 1n), step('b', 100n), step('c', 900n), step('d', 2n), step('e', 500n)];
    expect(taken(steps)).toEqual([['c'], ['e'], ['b'], ['d', 'a']]);
  });

  it('gives the indexes of one large table one at a time, so that they are built side by side', () => {
    const list = new WorkList([step('a', 50n, { owner: 't' }), step('b', 50n, { owner: 't' })]);
    expect([list.take(), list.take()].map((batch) => batch.map(({ id }) => id))).toEqual([['a'], ['b']]);
  });

  it('gives the next largest when the largest waits for another', () => {
    const list = new WorkList([step('a', 900n, { dependsOn: ['b'] }), step('b', 10n), step('c', 20n)]);
    expect(list.take().map(({ id }) => id)).toEqual(['c']);
    const b = list.take();
    expect(b.map(({ id }) => id)).toEqual(['b']);
    expect(list.take()).toEqual([]);
    list.finish(b);
    expect(list.take().map(({ id }) => id)).toEqual(['a']);
  });
});

describe('steps that keep their order', () => {
  const ids = (steps: readonly SchemaStep[], most: number) =>
    batchesInOrder(steps, most).map((batch) => batch.map(({ id }) => id));

  it('share a transaction while they are small and few, and a large one has its own', () => {
    const steps = [
      step('a', 3n),
      step('b', 3n),
      step('c', 3n),
      step('large', 900n),
      step('d', 0n),
      step('e', 0n),
    ];
    expect(ids(steps, 64)).toEqual([['a', 'b'], ['c'], ['large'], ['d', 'e']]);
    expect(ids(steps.slice(4), 1)).toEqual([['d'], ['e']]);
    expect(ids([], 64)).toEqual([]);
  });

  it('one whose cost is not known is alone', () => {
    const steps = [step('a', 0n), step('refresh', 0n, { weight: ALONE }), step('b', 0n)];
    expect(ids(steps, 64)).toEqual([['a'], ['refresh'], ['b']]);
  });
});
