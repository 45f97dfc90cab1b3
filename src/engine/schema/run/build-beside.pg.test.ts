/** Indexes that are built while others write to their table. */
import { describe, expect, it } from 'vitest';
import { freshDatabase, type TestDatabase } from '../../../../test/database.ts';
import { sleep } from '../../../base/runtime/sleep.ts';
import type { SchemaStep } from '../plan.ts';
import { runSteps, type StepRunner } from './run-steps.ts';

const index: SchemaStep = {
  id: 'index of constraint t_v',
  phase: 'index',
  statements: ['CREATE UNIQUE INDEX t_v ON public.t USING btree (v)', "COMMENT ON INDEX public.t_v IS 'c'"],
  creates: { schema: 'public', name: 't_v' },
  relkind: 'i',
  owner: 't',
  dependsOn: [],
  needs: [],
  weight: 100n,
};
const constraint: SchemaStep = {
  ...index,
  id: 'constraint t_v',
  statements: ['ALTER TABLE public.t ADD CONSTRAINT t_v UNIQUE USING INDEX t_v'],
  creates: null,
  relkind: null,
  dependsOn: [index.id],
  needs: [index.id],
  weight: 0n,
};

async function withTable(): Promise<TestDatabase> {
  const target = await freshDatabase(12);
  await target.session.query(
    'CREATE TABLE t (id int, v int); INSERT INTO t SELECT i, i FROM generate_series(1, 100) i',
  );
  return target;
}

function run(
  target: TestDatabase,
  recorded: string[],
  { steps = [index, constraint], ...given }: Partial<StepRunner> & { steps?: SchemaStep[] } = {},
): Promise<unknown> {
  return runSteps(steps, {
    open: () => target.open({ role: 'index' }),
    jobs: 2,
    done: new Set(recorded),
    record: (_, done) => Promise.resolve(void recorded.push(...done.map(({ id }) => id))),
    onDone: () => {},
    duringIndex: () => {},
    besideFrom: 100n,
    signal: new AbortController().signal,
    ...given,
  });
}

const indexes = async ({ session }: TestDatabase) =>
  (
    await session.query(
      "SELECT indexrelid::regclass || CASE WHEN indisvalid THEN '' ELSE ' invalid' END AS name FROM pg_index WHERE indrelid = 't'::regclass",
    )
  ).map(({ name }) => name);

/** Leaves the index of a build that came to an end in its middle. */
async function interrupted(target: TestDatabase, recorded: string[]): Promise<void> {
  await using other = await target.open();
  await other.query('BEGIN; INSERT INTO public.t VALUES (300, 300)');
  const stop = new AbortController();
  const running = run(target, recorded, { signal: stop.signal });
  while (!(await indexes(target)).includes('t_v invalid')) await sleep(20);
  stop.abort(new Error('stopped'));
  await expect(running).rejects.toThrow('stopped');
  await target.session.query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'test:index'",
  );
  await other.query('COMMIT');
  while (
    (await target.session.query("SELECT FROM pg_stat_activity WHERE application_name = 'test:index'"))
      .length > 0
  )
    await sleep(20);
  expect(await indexes(target)).toEqual(['t_v invalid']);
}

describe('an index of a table that is written to', () => {
  it('keeps no writer waiting while it is built', async () => {
    await using target = await withTable();
    await using writer = await target.open();
    await writer.query('BEGIN; INSERT INTO public.t VALUES (200, 200)');
    const recorded: string[] = [];
    const running = run(target, recorded);
    while (!(await indexes(target)).includes('t_v invalid')) await sleep(20);
    // Behind CREATE INDEX this would wait for the writer before.
    await target.session.query("SET lock_timeout = '5s'; INSERT INTO t VALUES (201, 201)");
    await writer.query('COMMIT');
    await running;
    expect(await indexes(target)).toEqual(['t_v']);
    expect(recorded).toEqual([`building ${index.id}`, index.id, constraint.id]);
    const { comment } = await target.session.one(
      "SELECT obj_description('t_v'::regclass, 'pg_class') AS comment",
    );
    expect(comment).toBe('c');
  });

  it('is built anew where a run before has left half of it, and not where it has left the whole', async () => {
    await using target = await withTable();
    const recorded: string[] = [];
    await interrupted(target, recorded);
    await run(target, recorded);
    expect(await indexes(target)).toEqual(['t_v']);
    const { node } = await target.session.one("SELECT pg_relation_filenode('t_v')::text AS node");
    await run(target, [`building ${index.id}`], { steps: [index] });
    expect((await target.session.one("SELECT pg_relation_filenode('t_v')::text AS node")).node).toBe(node);
  });

  it('that cannot be built leaves nothing behind that would go on to refuse rows', async () => {
    await using target = await withTable();
    await target.session.query('INSERT INTO t VALUES (101, 1)');
    const found: string[] = [];
    await run(target, [], {
      onProblems: (_, problems) =>
        Promise.resolve(void found.push(...problems.map(({ kind, step }) => `${kind} ${step.id}`))),
    });
    expect(found).toEqual([`failed ${index.id}`, `waiting ${constraint.id}`]);
    expect(await indexes(target)).toEqual([]);
  });

  it('that the user has made under its name is left alone', async () => {
    await using target = await withTable();
    await target.session.query('CREATE INDEX t_v ON t (id)');
    await expect(run(target, [])).rejects.toMatchObject({
      code: 'SCHEMA_FAILED',
      facts: { problems: expect.stringContaining(index.id), rest: ' For them 1 more wait.' },
    });
    expect(await indexes(target)).toEqual(['t_v']);
  });
});
