/** Schema migration inside a task: the plan is read anew at each start, and what the target records as done is passed over. */
import { isShortOfConnections } from '../../engine/pg/connect-failure.ts';
import type { Session } from '../../engine/pg/session.ts';
import { membership } from '../../engine/selection/selection.ts';
import { missingExtensions } from '../../engine/schema/missing-extensions.ts';
import { readTargetFacts } from '../../engine/schema/read-target-facts.ts';
import { withOwnIdentities } from '../../engine/schema/own-identities.ts';
import { planSchema, type SchemaPhase, type SchemaPlan, type SchemaStep } from '../../engine/schema/plan.ts';
import { withoutOrphans } from '../../engine/schema/ddl/rights-ddl.ts';
import { createdBy } from '../../engine/schema/ddl/role-ddl.ts';
import { ATTACHING } from '../../engine/schema/ddl/table-ddl.ts';
import { rightsChoice } from '../../engine/schema/rights/rights-choice.ts';
import { runSteps } from '../../engine/schema/run-steps.ts';
import type { TableInfo } from '../../engine/pg/catalog/tables.ts';
import { qname } from '../../engine/pg/ident.ts';
import { readDoneSteps, recordSteps } from '../../engine/target/books/done-steps.ts';
import { readSourceIdentities } from '../../engine/target/books/task-row.ts';
import { watchIndexBuilds } from './index-watch.ts';
import { warn, type TaskRun } from './task-run.ts';

/** Of the whole selection, or of a few tables with what belongs to them and what they need. */
export async function planFor(run: TaskRun, only?: readonly TableInfo[]): Promise<SchemaPlan> {
  if (!run.request.types.has('schema')) return { steps: [], notMigrated: [], blocked: [] };
  const [source, target] = [await run.ends.source(), await run.ends.target()];
  const own = await readSourceIdentities(target, run.taskId);
  const model = withOwnIdentities(await run.firstModel.take(source), own);
  const scope = only
    ? { includesTable: membership(only), wholeDatabase: false }
    : { includesTable: membership(run.selected), wholeDatabase: run.wholeDatabase };
  const done = await readDoneSteps(target, run.taskId);
  const rights = rightsChoice(run.request);
  const plan = planSchema(model, { ...scope, done, rights }, await readTargetFacts(target, model));
  for (const object of [...(await missingExtensions(model, target)), ...plan.notMigrated])
    if (!run.notMigrated.includes(object)) run.notMigrated.push(object);
  return plan;
}

/**
 * What changes need before a table is copied: the index of its primary key, by which they find rows. A table without one keeps all its
 * indexes: one of them may be its replica identity. So does a partition
 * that is attached to a table that has its indexes already, and what such steps need.
 */
export function keysOnly(plan: SchemaPlan): SchemaPlan {
  const isKey = ({ id }: SchemaStep) => /^(index of )?primary key /.test(id);
  const withKey = new Set(plan.steps.filter(isKey).map(({ owner }) => owner));
  const joins = new Set(plan.steps.filter(({ id }) => id.startsWith(ATTACHING)).map(({ owner }) => owner));
  const isNeeded = (step: SchemaStep) =>
    step.phase !== 'index' || isKey(step) || !withKey.has(step.owner) || joins.has(step.owner);
  const byId = new Map(plan.steps.map((step) => [step.id, step]));
  const kept = new Set(plan.steps.filter(isNeeded));
  for (const step of kept) for (const id of step.dependsOn) kept.add(byId.get(id) ?? step);
  return { ...plan, steps: plan.steps.filter((step) => kept.has(step)) };
}

/** Without what would act on the changes that we write: foreign keys, triggers, rules, and what needs one of them. */
export function firingNothing(plan: SchemaPlan): SchemaPlan {
  const left = new Set<string>();
  for (const { id, phase, dependsOn } of plan.steps)
    if (phase === 'foreign-key' || /^(trigger|rule) /.test(id) || dependsOn.some((one) => left.has(one)))
      left.add(id);
  return { ...plan, steps: plan.steps.filter(({ id }) => !left.has(id)) };
}

/** An index of a smaller table is built before the changes that wait for it have become many. */
const BESIDE_FROM = 64n * 1024n * 1024n;

/** Runs the plan's steps of these phases that the target has not recorded yet; `besideStream`: changes are applied meanwhile. */
export async function runPhases(
  run: TaskRun,
  plan: SchemaPlan,
  phases: readonly SchemaPhase[],
  { besideStream = false } = {},
): Promise<void> {
  const isIndex = (step: SchemaStep) => step.phase === 'index';
  for (const phase of phases) {
    const done = await readDoneSteps(await run.ends.target(), run.taskId);
    const steps = withoutOrphans(
      plan.steps.filter((step) => step.phase === phase),
      done,
    );
    if (phase === 'index') {
      run.book.indexesTotal = steps.length;
      run.book.indexesDone = steps.filter((step) => done.has(step.id)).length;
    }
    await using _watch = phase === 'index' && steps.length > 0 ? watchIndexBuilds(run) : null;
    await runSteps(steps, {
      open: () => (phase === 'index' ? openBuilder(run) : run.ends.openTarget('schema')),
      jobs: run.request.jobs,
      done,
      record: (session, done) =>
        recordSteps(
          session,
          run,
          done.map((step) => step.id),
        ),
      onDone: (step) => {
        if (isIndex(step)) run.book.indexesDone++;
      },
      ...(besideStream ? { besideFrom: BESIDE_FROM } : {}),
      duringIndex: () => run.hooks.failpoints.pass('schema.during-index-build'),
      signal: run.hooks.signal,
    });
    sayRoles(run, steps, done);
    run.hooks.signal.throwIfAborted();
  }
}

function sayRoles(run: TaskRun, steps: readonly SchemaStep[], done: ReadonlySet<string>): void {
  const roles = steps.flatMap(({ id }) => (done.has(id) ? [] : (createdBy(id) ?? [])));
  if (roles.length > 0) warn(run, `created on the target, without a password: role ${roles.join(', ')}`);
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

const ANALYZE_BATCH = 50;

/** Statistics, so that the first queries (ours too) are planned well. The largest tables first, many small ones in one statement. */
export async function analyze(run: TaskRun): Promise<void> {
  const waiting = run.tables.toSorted((a, b) => (a.bytes < b.bytes ? 1 : a.bytes > b.bytes ? -1 : 0));
  let workers = Math.min(run.request.jobs, waiting.length);
  const worker = async () => {
    await using session = await run.ends.openTarget('analyze').catch((thrown: unknown) => {
      // Where the server has no connection left, the others do its share.
      if (workers === 1 || !isShortOfConnections(thrown)) throw thrown;
      workers--;
      return null;
    });
    if (session === null) return;
    while (waiting.length > 0 && !run.hooks.signal.aborted) {
      const size = Math.max(1, Math.min(ANALYZE_BATCH, Math.floor(waiting.length / run.request.jobs / 2)));
      const names = waiting.splice(0, size).map((table) => qname(run.targetOf(table)));
      await session.query(`ANALYZE ${names.join(', ')}`);
    }
  };
  await Promise.all(Array.from({ length: workers }, worker));
}
