/** Is the schema there, as far as the task's next stage needs it? And what the books have of the plan as a whole. */
import { nameKey } from '../../../engine/change/relation.ts';
import { absentTables } from '../../../engine/pg/catalog/tables/absent-tables.ts';
import { withRows } from '../../../engine/pg/catalog/tables/filled-tables.ts';
import { objectId } from '../../../engine/schema/object-id.ts';
import type { SchemaPlan } from '../../../engine/schema/plan.ts';
import { schemaFailed } from '../../../engine/schema/run/problems.ts';
import {
  forgetSteps,
  planSteps,
  readDoneSteps,
  readSteps,
  writeNotMigrated,
  type StepNote,
  type StepRow,
} from '../../../engine/target/books/schema-steps.ts';
import type { TaskRun } from '../task-run.ts';
import { failedFor } from './notes.ts';

/** Before the plan is run: what is to come can be seen, and chosen for. What the source has no more is no problem of anybody. */
export async function bookPlan(run: TaskRun, plan: SchemaPlan): Promise<void> {
  const target = await run.ends.target();
  const open = await readSteps(target, run.taskId, { which: 'open' });
  const ids = new Set(plan.steps.map(({ id }) => id));
  const gone = [...open.keys()].filter((id) => !ids.has(id));
  if (gone.length > 0) await target.transaction(() => forgetSteps(target, run, gone));
  // Later on, what the source has got since is not taken in.
  if (run.task.phase === 'schema') {
    const done = await readDoneSteps(target, run.taskId);
    await planSteps(
      target,
      run,
      plan.steps.filter(({ id }) => !done.has(id)),
    );
  }
  await writeNotMigrated(target, run, run.notMigrated);
}

/**
 * Throws SCHEMA_FAILED where rows would have nowhere to go, or would be mixed with others: a table that was not created, or that is not
 * ours alone and holds rows. Everything else can be created while the data are there.
 */
export async function assertTablesReady(
  run: TaskRun,
  plan: SchemaPlan,
  open: readonly StepNote[],
): Promise<void> {
  const steps = new Map(plan.steps.map((step) => [step.id, step]));
  const isTable = ({ id }: StepNote) => /^[rp]$/.test(steps.get(id)?.relkind ?? '');
  if (open.some(isTable)) throw failedFor(open, 'No data was copied.');
  const target = await run.ends.target();
  const touched = await readSteps(target, run.taskId, { which: 'touched' });
  const makers = new Map(plan.steps.flatMap(({ id, creates }) => (creates ? [[nameKey(creates), id]] : [])));
  const tables = run.tables.map((table) => {
    const name = run.targetOf(table);
    const maker = makers.get(nameKey(name));
    // Made by our own statements, so that nobody's rows are in it.
    const isOurs = maker !== undefined && !touched.has(maker);
    return { ...name, id: maker ?? objectId('table', name.schema, name.name), isOurs };
  });
  const absent = await absentTables(target, tables);
  const theirs = tables.filter((table) => !absent.includes(table) && !table.isOurs);
  const filled = await withRows(target, theirs);
  if (absent.length + filled.length === 0) return;
  throw schemaFailed(
    [
      ...absent.map(({ id }) => ({
        id,
        reason: 'it is not on the target: create it there, or leave it out',
      })),
      ...filled.map(({ id }) => ({
        id,
        reason: 'it holds rows, which would be mixed: empty it on the target',
      })),
    ],
    0,
    'No data was copied.',
  );
}

/** Throws SCHEMA_FAILED where something is left open. */
export async function assertSchemaComplete(run: TaskRun, outlook: string): Promise<void> {
  if (!run.request.types.has('schema')) return;
  const rows = await readSteps(await run.ends.target(), run.taskId, { which: 'open' });
  const open = [...rows.values()].filter((row) => !mayWait(run, row));
  if (open.length > 0) throw failedFor(open, outlook);
}

/** Where changes are followed, foreign keys and what fires are left out under some conditions, which the run has told. */
function mayWait({ request }: TaskRun, { state, phase }: StepRow): boolean {
  const isLate = phase === 'foreign-key' || phase === 'post-data';
  return state === 'planned' && isLate && request.types.has('incremental');
}
