/** Schema migration inside a task: the plan is read anew at each start, and what the target records as done is passed over. */
import { tightHeap } from '../../base/runtime/tight-heap.ts';
import { isShortOfConnections } from '../../engine/pg/connect-failure.ts';
import { membership } from '../../engine/selection/selection.ts';
import { mapModel } from '../../engine/schema/map/map-model.ts';
import { tableKey } from '../../engine/schema/map/name-map.ts';
import { missingExtensions } from '../../engine/schema/missing-extensions.ts';
import { readTargetFacts } from '../../engine/schema/read-target-facts.ts';
import type { SchemaModel } from '../../engine/schema/model.ts';
import { withOwnIdentities } from '../../engine/schema/own-identities.ts';
import { nameKey } from '../../engine/change/relation.ts';
import { absentTables } from '../../engine/pg/catalog/tables/absent-tables.ts';
import { withPlainPartitions } from '../../engine/schema/plain-partitions.ts';
import { planSchema, type SchemaPlan, type SchemaStep } from '../../engine/schema/plan.ts';
import { ATTACHING } from '../../engine/schema/ddl/table-ddl.ts';
import { rightsChoice } from '../../engine/schema/rights/rights-choice.ts';
import type { TargetNames } from '../../engine/selection/target-names.ts';
import type { TableInfo } from '../../engine/pg/catalog/tables/tables.ts';
import { qname } from '../../engine/pg/ident.ts';
import { readDoneSteps, readSteps } from '../../engine/target/books/schema-steps.ts';
import { readSourceIdentities } from '../../engine/target/books/task-row.ts';
import { mappingOf, type TaskRun } from './task-run.ts';

/** As the source would be without us, as it is to be on the target; `only`: for these tables. */
export async function readSourceModel(run: TaskRun, only?: readonly TableInfo[]): Promise<SchemaModel> {
  const source = await run.ends.source();
  const own = await readSourceIdentities(await run.ends.target(), run.taskId);
  const model = withOwnIdentities(await run.firstModel.take(source), own);
  return mapModel(withTaskPartitions(run, model, only), namesWith(run, only), source);
}

/** Tables that are only coming in have their names too. */
function namesWith(run: TaskRun, only: readonly TableInfo[] | undefined): TargetNames {
  const known = new Set(run.selected.map(({ oid }) => oid));
  const fresh = only?.filter(({ oid }) => !known.has(oid)) ?? [];
  return fresh.length === 0 ? run.mapping : mappingOf(run.request, [...run.selected, ...fresh], run);
}

export const NOTHING_PLANNED: SchemaPlan = { steps: [], notMigrated: [], blocked: [] };

/** Of the whole selection, or of a few tables with what belongs to them and what they need. */
export async function planFor(run: TaskRun, only?: readonly TableInfo[]): Promise<SchemaPlan> {
  if (!run.request.types.has('schema')) return NOTHING_PLANNED;
  using _heap = tightHeap();
  const target = await run.ends.target();
  const model = await readSourceModel(run, only);
  const names = namesWith(run, only);
  const tables = (only ?? run.selected).map((table) => names.table(table));
  const scope = { includesTable: membership(tables), wholeDatabase: only ? false : run.wholeDatabase };
  // A partition that was refused keeps its id, by which somebody may have chosen for it.
  const touched = await readSteps(target, run.taskId, { which: 'touched' });
  const done = new Set([...(await readDoneSteps(target, run.taskId)), ...touched.keys()]);
  const facts = await readTargetFacts(target, model, run.request);
  const plan = planSchema(model, { ...scope, done, rights: rightsChoice(run.request) }, facts);
  for (const object of [...missingExtensions(model, facts), ...plan.notMigrated])
    if (!run.notMigrated.includes(object)) run.notMigrated.push(object);
  return plan;
}

/** What stands with which table is what the task knows; a partition that stands apart is made for itself where it alone is asked for. */
function withTaskPartitions(
  run: TaskRun,
  model: SchemaModel,
  only: readonly TableInfo[] | undefined,
): SchemaModel {
  if (run.request.partitions !== 'plain') return model;
  const known = new Map(run.selected.map(({ oid, rootOid }) => [oid, rootOid]));
  return withPlainPartitions(model, ({ oid, rootOid }) => {
    if (only && run.apart.has(oid)) return null;
    return known.has(oid) ? (known.get(oid) ?? null) : rootOid;
  });
}

/**
 * What changes need before a table is copied: the index of its primary key, by which they find rows. A table without one keeps all its
 * indexes: one of them may be its replica identity. So does a partition
 * that is attached to a table that has its indexes already, and what such steps need.
 */
export function keysOnly(
  plan: SchemaPlan,
  { selected, mapping }: Pick<TaskRun, 'selected' | 'mapping'>,
): SchemaPlan {
  const isKey = ({ id }: SchemaStep) => /^(index of )?primary key /.test(id);
  // Rows of a table with another primary key are found by the source's.
  const rekeyed = new Set<string | null>(
    selected.filter((table) => mapping.primaryKey(table) !== null).map(tableKey),
  );
  const withKey = new Set(
    plan.steps.filter((step) => isKey(step) && !rekeyed.has(step.owner)).map(({ owner }) => owner),
  );
  const joins = new Set(plan.steps.filter(({ id }) => id.startsWith(ATTACHING)).map(({ owner }) => owner));
  const isNeeded = (step: SchemaStep) =>
    step.phase !== 'index' || isKey(step) || !withKey.has(step.owner) || joins.has(step.owner);
  const byId = new Map(plan.steps.map((step) => [step.id, step]));
  const kept = new Set(plan.steps.filter(isNeeded));
  // Not what they only come after: a primary key would bring all indexes of its table.
  for (const step of kept) for (const id of step.needs) kept.add(byId.get(id) ?? step);
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

const ANALYZE_BATCH = 50;

/** Statistics, so that the first queries (ours too) are planned well. The largest tables first, many small ones in one statement. */
export async function analyze(run: TaskRun): Promise<void> {
  const bySize = (await standing(run)).toSorted((a, b) =>
    a.bytes < b.bytes ? 1 : a.bytes > b.bytes ? -1 : 0,
  );
  // Of those that go into one, one stands for all.
  const waiting = [...new Set(bySize.map((table) => qname(run.targetOf(table))))];
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
      const names = waiting.splice(0, size);
      await session.query(`ANALYZE ${names.join(', ')}`);
    }
  };
  await Promise.all(Array.from({ length: workers }, worker));
}

/** Without tables that are not on the target, as where only their schema was to be created and the target has refused them. */
async function standing(run: TaskRun): Promise<readonly TableInfo[]> {
  const absent = await absentTables(await run.ends.target(), run.tables.map(run.targetOf));
  const names = new Set(absent.map(nameKey));
  return run.tables.filter((table) => !names.has(nameKey(run.targetOf(table))));
}
