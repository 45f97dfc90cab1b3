/** Runs phases of the plan with their books: what is done is passed over, what is refused is written down, and looked for on the target. */
import type { Session } from '../../../engine/pg/session.ts';
import { withoutOrphans } from '../../../engine/schema/ddl/rights-ddl.ts';
import { createdBy } from '../../../engine/schema/ddl/role-ddl.ts';
import type { SchemaPhase, SchemaPlan, SchemaStep } from '../../../engine/schema/plan.ts';
import type { Missing, StepProblem } from '../../../engine/schema/run/problems.ts';
import { runSteps, type StepRunner } from '../../../engine/schema/run/run-steps.ts';
import {
  isProblem,
  noteSteps,
  readDoneSteps,
  readSteps,
  recordSteps,
  type StepNote,
  type StepRow,
} from '../../../engine/target/books/schema-steps.ts';
import { watchIndexBuilds } from '../index-watch.ts';
import { warn, type TaskRun } from '../task-run.ts';
import { noteOf, sayOpen } from './notes.ts';
import { whatIsThere } from './what-is-there.ts';

type Rows = ReadonlyMap<string, StepRow>;

/** An index of a smaller table is built before the changes that wait for it have become many. */
const BESIDE_FROM = 64n * 1024n * 1024n;

/**
 * Runs the plan's steps of these phases that are not there yet; `besideStream`: changes are applied meanwhile. Returns those that are not
 * there after that: they have stopped nothing else.
 */
export async function runPhases(
  run: TaskRun,
  plan: SchemaPlan,
  phases: readonly SchemaPhase[],
  { besideStream = false } = {},
): Promise<readonly StepNote[]> {
  const open: StepNote[] = [];
  for (const phase of phases) {
    const steps = plan.steps.filter((step) => step.phase === phase);
    open.push(...(await runPhase(run, steps, { isIndex: phase === 'index', besideStream })));
  }
  return open;
}

/**
 * What was refused before the data, or waited: somebody may have removed the cause meanwhile. What the source has got since then is not
 * begun.
 */
export async function retryPreData(run: TaskRun, plan: SchemaPlan): Promise<void> {
  const open = await readSteps(await run.ends.target(), run.taskId, { which: 'open', phase: 'pre-data' });
  const left = plan.steps.filter(({ id, phase }) => phase === 'pre-data' && open.has(id));
  if (left.length > 0) await runPhase(run, left, { isIndex: false, besideStream: false });
}

interface PhaseOptions {
  readonly isIndex: boolean;
  readonly besideStream: boolean;
}

async function runPhase(
  run: TaskRun,
  planned: readonly SchemaStep[],
  options: PhaseOptions,
): Promise<readonly StepNote[]> {
  const target = await run.ends.target();
  const rows = await readSteps(target, run.taskId, { which: 'touched' });
  const done = await readDoneSteps(target, run.taskId);
  const known = new Set([...done, ...rows.keys()]);
  const steps = withoutOrphans(planned, known).map((step) => asEdited(step, rows));
  if (options.isIndex) {
    run.book.indexesTotal = steps.length;
    run.book.indexesDone = steps.filter((step) => done.has(step.id)).length;
  }
  await using _watch = options.isIndex && steps.length > 0 ? watchIndexBuilds(run) : null;
  const tried = { rows, steps, done, missing: missingOf(rows, steps) };
  const runner = runnerOf(run, tried, options);
  const open = await passOver(run, { ...tried, runner, problems: await runSteps(steps, runner) });
  run.hooks.signal.throwIfAborted();
  sayRoles(run, steps, new Set([...done, ...open.map(({ id }) => id)]));
  sayOpen(run, open);
  return open;
}

/** `others`: steps that were done before, or are not done. */
function sayRoles(run: TaskRun, steps: readonly SchemaStep[], others: ReadonlySet<string>): void {
  const roles = steps.flatMap(({ id }) => (others.has(id) ? [] : (createdBy(id) ?? [])));
  if (roles.length > 0) warn(run, `created on the target, without a password: role ${roles.join(', ')}`);
}

/** As a person wants it; never built CONCURRENTLY, which only one statement of ours can be. */
function asEdited(step: SchemaStep, rows: Rows): SchemaStep {
  const edited = rows.get(step.id)?.edited ?? null;
  if (edited === null) return step;
  return { ...step, statements: [edited], relkind: step.relkind === 'i' ? null : step.relkind };
}

/** What other phases have left open. These steps get their turn now. */
function missingOf(rows: Rows, steps: readonly SchemaStep[]): Missing {
  const own = new Set(steps.map(({ id }) => id));
  return new Map(
    [...rows.values()]
      .filter((row) => !own.has(row.id) && isProblem(row))
      .map(({ id, problem }) => [id, problem && problem.waitsFor.length > 0 ? problem.waitsFor : [id]]),
  );
}

interface Tried {
  readonly rows: Rows;
  readonly done: ReadonlySet<string>;
  readonly missing: Missing;
}

function runnerOf(
  run: TaskRun,
  { done, missing }: Tried,
  { isIndex, besideStream }: PhaseOptions,
): StepRunner {
  const { failpoints, signal } = run.hooks;
  return {
    open: () => (isIndex ? openBuilder(run) : run.ends.openTarget('schema')),
    jobs: run.request.jobs,
    done,
    missing,
    record: (session, steps) => recordSteps(session, run, steps),
    onDone: () => {
      if (isIndex) run.book.indexesDone++;
    },
    onProblems: (session, problems) => noteSteps(session, run, problems.map(noteOf)),
    duringIndex: () => failpoints.pass('schema.during-index-build'),
    betweenSteps: () => failpoints.pass('schema.between-steps'),
    ...(besideStream ? { besideFrom: BESIDE_FROM } : {}),
    signal,
  };
}

/** What the target refused because it has the same already is good; what waited for that gets its turn. */
async function passOver(
  run: TaskRun,
  {
    rows,
    done,
    missing,
    runner,
    problems,
  }: Tried & { readonly runner: StepRunner; readonly problems: readonly StepProblem[] },
): Promise<readonly StepNote[]> {
  const isEdited = ({ step }: StepProblem) => (rows.get(step.id)?.edited ?? null) !== null;
  const there = await whatIsThere(
    run,
    problems.filter((one) => !isEdited(one)),
  );
  if (there.length === 0) return problems.map(noteOf);
  await noteSteps(await run.ends.target(), run, there);
  const known = new Set(there.map(({ id }) => id));
  const good = new Set(there.filter(({ state }) => state === 'exists-identical').map(({ id }) => id));
  const different = there.filter(({ state }) => state === 'exists-different');
  const others = problems.filter(({ step }) => !known.has(step.id));
  for (const { step } of problems) if (good.has(step.id)) runner.onDone(step);
  if (good.size === 0) return [...different, ...others.map(noteOf)];
  const again = await runSteps(
    others.map(({ step }) => step),
    {
      ...runner,
      done: new Set([...done, ...good]),
      missing: new Map([...missing, ...different.map(({ id }) => [id, [id]] as const)]),
    },
  );
  return [...different, ...again.map(noteOf)];
}

/**
 * An index is sorted in memory where it fits; a server that is given more keeps it. How many workers share one build stays the server's
 * choice: `jobs` builds run side by side, the largest begun first, and each may have two workers by default already, from a pool that the
 * server limits for all. More would only move them from one build to another, and who has set none wants his cores for something else.
 */
const SORT_MEMORY_KB = 256 * 1024;

async function openBuilder(run: TaskRun): Promise<Session> {
  const session = await run.ends.openTarget('index');
  await session.query(
    `SELECT pg_catalog.set_config('maintenance_work_mem', GREATEST(s.setting::int, ${SORT_MEMORY_KB})::text || 'kB', false)
       FROM pg_catalog.pg_settings s WHERE s.name = 'maintenance_work_mem'`,
  );
  return session;
}
