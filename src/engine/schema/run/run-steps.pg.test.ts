/** A step that is refused: the others, those that need it, and what is not its fault. */
import { describe, expect, it } from 'vitest';
import { freshDatabase, type TestDatabase } from '../../../../test/database.ts';
import { kindsSchema } from '../../../../test/kinds-schema.ts';
import { richSchema } from '../../../../test/rich-schema.ts';
import { planSchema, type SchemaStep } from '../plan.ts';
import { readModel } from '../read-model.ts';
import { readTargetFacts } from '../read-target-facts.ts';
import type { StepProblem } from './problems.ts';
import { runSteps, type StepRunner } from './run-steps.ts';

function step(id: string, sql: string, given: Partial<SchemaStep> = {}): SchemaStep {
  const { needs = [] } = given;
  return {
    id,
    phase: 'pre-data',
    statements: [sql],
    creates: null,
    relkind: null,
    owner: null,
    dependsOn: needs,
    weight: 0n,
    ...given,
    needs,
  };
}

interface Told {
  readonly done: string[];
  readonly problems: StepProblem[];
  readonly batches: number[];
}

function runner(target: TestDatabase, given: Partial<StepRunner> = {}): [StepRunner, Told] {
  const told: Told = { done: [], problems: [], batches: [] };
  return [
    {
      open: () => target.open(),
      jobs: 2,
      done: new Set(),
      record: async () => {},
      onDone: ({ id }) => told.done.push(id),
      onProblems: async (session, problems) => {
        // Nothing is open by then.
        await session.query('BEGIN; ROLLBACK');
        told.problems.push(...problems);
        told.batches.push(problems.length);
      },
      duringIndex: () => {},
      signal: new AbortController().signal,
      ...given,
    },
    told,
  ];
}

const line = (one: StepProblem) =>
  one.kind === 'failed' ? `failed ${one.step.id}` : `${one.step.id} waits for ${one.waitsFor.join()}`;

describe.each(['pre-data', 'index', 'post-data'] as const)('a step that is refused in phase %s', (phase) => {
  it('stops nothing but what needs it; what it had done is undone', async () => {
    await using target = await freshDatabase(15);
    const [run, told] = runner(target);
    const found = await runSteps(
      [
        step('a', 'CREATE TABLE public.a (id int)', { phase }),
        step('bad', 'CREATE TABLE public.half (id int)', {
          phase,
          statements: ['CREATE TABLE public.half (id int)', 'SELECT  nothing FROM public.a'],
        }),
        step('b', 'CREATE TABLE public.b (id int)', { phase, needs: ['a'] }),
        step('on bad', 'CREATE TABLE public.c (id int)', { phase, needs: ['bad', 'b'] }),
        step('on that', 'CREATE TABLE public.d (id int)', { phase, needs: ['on bad'] }),
        step('after bad', 'CREATE TABLE public.e (id int)', { phase, needs: [], dependsOn: ['bad'] }),
      ],
      run,
    );
    expect(found.map(line).toSorted()).toEqual([
      'failed bad',
      'on bad waits for bad',
      'on that waits for bad',
    ]);
    expect(told.problems).toEqual(found);
    expect(found.find(({ kind }) => kind === 'failed')).toMatchObject({
      message: 'column "nothing" does not exist',
      sqlstate: '42703',
      position: 9,
      statement: 'SELECT  nothing FROM public.a',
    });
    const tables = await target.session.query(
      "SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1",
    );
    expect(tables.map(({ name }) => name)).toEqual(['a', 'b', 'e']);
    expect(told.done.toSorted()).toEqual(['a', 'after bad', 'b']);
  });
});

it('what an earlier phase or run has left open is waited for as well', async () => {
  await using target = await freshDatabase(12);
  const [run] = runner(target, { missing: new Map([['gone', ['its cause']]]) });
  const found = await runSteps(
    [
      step('f', 'SELECT 1/0'),
      step('i', 'SELECT 1', { phase: 'index', needs: ['f'] }),
      step('j', 'SELECT 1', { phase: 'post-data', needs: ['gone'] }),
    ],
    run,
  );
  expect(found.map(line)).toEqual(['failed f', 'i waits for f', 'j waits for its cause']);
});

describe('what is not the fault of an object', () => {
  it.each([
    ['a deadlock that comes again and again', '40P01'],
    ['a cancellation', '57014'],
    ['a lock in the way', '55P03'],
    ['a full disk', '53100'],
  ])('%s ends the run, and is not written down as a failure of it', async (_, sqlstate) => {
    await using target = await freshDatabase(18);
    const [run, told] = runner(target);
    const raises = `DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '${sqlstate}'; END $$`;
    await expect(runSteps([step('x', raises)], run)).rejects.toMatchObject({
      code: 'SCHEMA_INTERRUPTED',
      facts: { object: 'x', sqlstate },
    });
    expect(told.problems).toEqual([]);
  });

  it('nor is a record that cannot be written, or a connection that ends', async () => {
    await using target = await freshDatabase(18);
    const [unrecorded] = runner(target, {
      record: async (session) => void (await session.query('SELECT * FROM no.books')),
    });
    await expect(runSteps([step('x', 'SELECT 1')], unrecorded)).rejects.toMatchObject({
      fields: { sqlstate: '42P01' },
    });
    const [cut, told] = runner(target);
    const ends = 'SELECT pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid())';
    await expect(runSteps([step('y', ends)], cut)).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
    expect(told.problems).toEqual([]);
  });
});

it('a step needs its table, but not the constraints that only come before it', async () => {
  await using source = await freshDatabase(18);
  await source.session.query(`${richSchema(18)}; ${kindsSchema(18)}`);
  await using session = await source.open();
  const model = await readModel(session);
  const scope = { includesTable: () => true, wholeDatabase: true, done: new Set<string>() };
  const { steps } = planSchema(model, scope, await readTargetFacts(session, model));
  const byId = new Map(steps.map((one) => [one.id, one]));
  const tables = new Map(
    model.tables.map(({ key, info }) => [
      key,
      steps.find(({ creates }) => creates?.schema === info.schema && creates.name === info.name)?.id,
    ]),
  );
  const reaches = (one: SchemaStep) => {
    const seen = new Set(one.needs);
    for (const id of seen) for (const next of byId.get(id)?.needs ?? []) seen.add(next);
    return seen;
  };
  const lost = steps.filter((one) => {
    const table = tables.get(one.owner ?? '');
    const isTried = one.id.startsWith('row-level security');
    return table !== undefined && one.relkind !== 'S' && !isTried && !reaches(one).has(table);
  });
  expect(lost.map(({ id }) => id)).toEqual([]);
  const constraints = steps.filter(({ id }) => /^(primary key|unique constraint) /.test(id));
  expect(constraints.length).toBeGreaterThan(5);
  const isConstraint = new Set(constraints.map(({ id }) => id));
  for (const { needs, owner } of constraints)
    expect(needs.filter((id) => isConstraint.has(id) && byId.get(id)?.owner === owner)).toEqual([]);
});
