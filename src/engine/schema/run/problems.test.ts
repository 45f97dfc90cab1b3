/** Who waits for whom. */
import { describe, expect, it } from 'vitest';
import type { SchemaStep } from '../plan.ts';
import { Problems, refusalText, schemaFailed } from './problems.ts';

function step(id: string, needs: readonly string[] = []): SchemaStep {
  return {
    id,
    phase: 'pre-data',
    statements: [],
    creates: null,
    relkind: null,
    owner: null,
    dependsOn: needs,
    needs,
    weight: 0n,
  };
}

function failed(id: string) {
  return {
    kind: 'failed',
    step: step(id),
    message: 'no',
    sqlstate: '42601',
    position: null,
    statement: '',
  } as const;
}

describe('steps that need what was refused', () => {
  it('wait for it, also through others that wait, and name it and not those', () => {
    const problems = new Problems(new Map([['earlier', ['cause']]]));
    expect(problems.holdsUp(step('free', ['there']))).toBeNull();
    problems.fail(failed('a'));
    expect(problems.holdsUp(step('b', ['a', 'there']))).toMatchObject({ kind: 'waiting', waitsFor: ['a'] });
    expect(problems.holdsUp(step('c', ['b', 'earlier', 'a']))).toMatchObject({ waitsFor: ['a', 'cause'] });
    expect(problems.all.map((one) => `${one.kind} ${one.step.id}`)).toEqual([
      'failed a',
      'waiting b',
      'waiting c',
    ]);
  });
});

describe('the error of a schema', () => {
  it('says how many were refused, the first of them with their reasons, and how many wait', () => {
    const refused = ['a', 'b', 'c', 'd'].map((id) => ({ id, reason: `no ${id}` }));
    expect(schemaFailed(refused, 2, 'No data was copied.').message).toBe(
      '4 objects of the schema cannot be created on the target: a: no a; b: no b; c: no c; and 1 more. For them 2 more wait. No data was copied.',
    );
    expect(schemaFailed(refused.slice(0, 1), 0).message).toBe(
      '1 object of the schema cannot be created on the target: a: no a.',
    );
  });

  it('shows where the server has found the fault', () => {
    expect(refusalText({ message: 'no type', sqlstate: '42704', position: 17 })).toBe(
      'no type (SQLSTATE 42704, at character 17)',
    );
  });
});
