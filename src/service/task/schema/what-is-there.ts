/** Looks at the target for what it has refused because it is there already: with the same definition it is good, with another it is not touched. */
import { withRows } from '../../../engine/pg/catalog/tables/filled-tables.ts';
import { SQLSTATE } from '../../../engine/pg/pg-error.ts';
import { diffPlans } from '../../../engine/schema/diff.ts';
import type { SchemaModel } from '../../../engine/schema/model.ts';
import { planSchema } from '../../../engine/schema/plan.ts';
import { readModel } from '../../../engine/schema/read-model.ts';
import { readCommonFacts } from '../../../engine/schema/read-target-facts.ts';
import { rightsChoice } from '../../../engine/schema/rights/rights-choice.ts';
import { openCanonical } from '../../../engine/schema/rewrite/canonical.ts';
import type { StepProblem } from '../../../engine/schema/run/problems.ts';
import { retypedNames } from '../../../engine/selection/target-names.ts';
import type { StepNote } from '../../../engine/target/books/schema-steps.ts';
import { readSourceModel } from '../schema-stage.ts';
import { migratesData, type TaskRun } from '../task-run.ts';

const THERE_ALREADY: ReadonlySet<string> = new Set([
  SQLSTATE.duplicateObject,
  SQLSTATE.duplicateTable,
  SQLSTATE.duplicateFunction,
  SQLSTATE.duplicateSchema,
]);

const OTHER = 'it is there with another definition: opendts schema diff';
const FILLED = 'the table is there already and holds rows';

/**
 * Those of the problems that stand on the target, also of what only waits. Both models are read, which takes seconds where they are large, so
 * only where something was refused for being there: our statements overwrite nothing.
 */
export async function whatIsThere(
  run: TaskRun,
  problems: readonly StepProblem[],
): Promise<readonly StepNote[]> {
  if (!problems.some((one) => one.kind === 'failed' && THERE_ALREADY.has(one.sqlstate))) return [];
  await using target = await run.ends.openTarget('look');
  const facts = await readCommonFacts(await run.ends.source(), target);
  const all = {
    includesTable: () => true,
    wholeDatabase: true,
    done: new Set<string>(),
    rights: rightsChoice(run.request),
  };
  // One model after the other: large ones are not held together.
  const planned = async (read: () => Promise<SchemaModel>) => planSchema(await read(), all, facts);
  const wanted = await planned(() => readSourceModel(run));
  const found = await planned(() => readModel(target));
  const asked = new Set(problems.map(({ step }) => step.id));
  const steps = wanted.steps.filter(({ id }) => asked.has(id));
  const known = new Set(steps.map(({ id }) => id));
  const canonical = await openCanonical(retypedNames(run.selected, run.mapping));
  const differences = new Map(
    diffPlans({ ...wanted, steps }, found, canonical).map(({ id, kind }) => [id, kind]),
  );
  const present = problems.filter(({ step: { id } }) => known.has(id) && differences.get(id) !== 'missing');
  const same = present.filter(({ step }) => !differences.has(step.id));
  const tables = same.flatMap(({ step: { id, creates, relkind } }) =>
    creates && relkind === 'r' ? [{ ...creates, id }] : [],
  );
  const filled = new Set((migratesData(run) ? await withRows(target, tables) : []).map(({ id }) => id));
  return present.map(({ step: { id, phase, statements } }): StepNote => {
    const reason = filled.has(id) ? FILLED : differences.has(id) ? OTHER : null;
    if (reason === null) return { id, phase, statements, state: 'exists-identical', problem: null };
    const problem = { message: reason, sqlstate: null, position: null, statement: null, waitsFor: [] };
    return { id, phase, statements, state: 'exists-different', problem };
  });
}
