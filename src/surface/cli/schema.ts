/** `opendts schema`: what a schema migration would create, and how the schemas of two live databases differ. Changes nothing. */
import { Argument } from 'commander';
import { EXIT, type ExitCode } from '../../base/errors/exit.ts';
import { displayName } from '../../engine/change/relation.ts';
import { readTables } from '../../engine/pg/catalog/tables.ts';
import type { Session } from '../../engine/pg/session.ts';
import { diffPlans, type SchemaDifference } from '../../engine/schema/diff.ts';
import { missingExtensions } from '../../engine/schema/missing-extensions.ts';
import type { SchemaModel } from '../../engine/schema/model.ts';
import { withPlainPartitions } from '../../engine/schema/plain-partitions.ts';
import { planSchema, type SchemaPlan } from '../../engine/schema/plan.ts';
import { readCommonFacts, readTargetFacts } from '../../engine/schema/read-target-facts.ts';
import type { TargetFacts } from '../../engine/schema/target-facts.ts';
import { openCanonical } from '../../engine/schema/rewrite/canonical.ts';
import { readModel } from '../../engine/schema/read-model.ts';
import { membership, selectTables } from '../../engine/selection/selection.ts';
import type { CliCommand, CliContext } from './context.ts';
import { document } from './view/json.ts';
import { many } from './view/quantities.ts';
import { openSide } from './sides.ts';
import {
  resolveTask,
  withEnds,
  withJson,
  withTables,
  type Task,
  type TaskFlags,
} from './options/task-options.ts';
import { withPartitions } from './options/partition-options.ts';
import { painter } from './view/text.ts';

const ACTIONS = ['plan', 'diff'] as const;
type Action = (typeof ACTIONS)[number];

export const schemaCommand: CliCommand = {
  define(program) {
    const command = program
      .command('schema')
      .description(
        'plan: the statements that would create the schema on the target, in order; diff: how the definitions of both databases differ',
      )
      .addArgument(new Argument('<action>', ACTIONS.join(', ')).choices(ACTIONS));
    return withJson(withPartitions(withTables(withEnds(command))));
  },

  async run(command, context) {
    const flags = command.opts<TaskFlags>();
    const [action] = command.processedArgs as [Action];
    const task = resolveTask(flags, context);
    await using source = await openSide(task, 'source', 'schema', context.signal);
    await using target = await openSide(task, 'target', 'schema', context.signal);
    const asked = { task, source, target, context, json: flags.json ?? false };
    return action === 'plan' ? await showPlan(asked) : await showDifferences(asked);
  },
};

interface Asked {
  readonly task: Task;
  readonly source: Session;
  readonly target: Session;
  readonly context: CliContext;
  readonly json: boolean;
}

/** The plan for a database as it is, or with plain tables for partitioned ones, on a server of which these things are known. */
async function planOf(
  session: Session,
  read: SchemaModel,
  { task, facts }: { task: Task; facts: TargetFacts },
) {
  const selected = selectTables(await readTables(session), task.tables, task.excludeTables);
  const model = task.partitions === 'plain' ? withPlainPartitions(read) : read;
  const wholeDatabase = task.tables.length === 0 && task.excludeTables.length === 0;
  const scope = { includesTable: membership(selected), wholeDatabase, done: new Set<string>() };
  return planSchema(model, scope, facts);
}

async function showPlan({ task, source, target, context, json }: Asked): Promise<ExitCode> {
  const model = await readModel(source);
  const plan = await planOf(source, model, { task, facts: await readTargetFacts(target, model) });
  const notMigrated = [
    ...(await missingExtensions(model, target)),
    ...plan.blocked.map(({ table, reason }) => `table ${displayName(table)}: ${reason}`),
    ...plan.notMigrated,
  ];
  context.stdout.write(
    json
      ? document({ kind: 'SchemaPlan', data: { steps: plan.steps.map(shown), notMigrated } })
      : planLines(plan, notMigrated)
          .map((line) => `${line}\n`)
          .join(''),
  );
  return EXIT.ok;
}

function shown({ id, phase, statements, dependsOn }: SchemaPlan['steps'][number]) {
  return { id, phase, statements, dependsOn };
}

/** A script that psql can run; what is not migrated is in comments. */
function planLines({ steps }: SchemaPlan, notMigrated: readonly string[]): string[] {
  return [
    "SET search_path = '';",
    'SET check_function_bodies = off;',
    '',
    ...steps.flatMap(({ id, phase, statements }) => [
      `-- ${phase}: ${oneLine(id)}`,
      ...statements.map((statement) => `${statement};`),
      '',
    ]),
    ...notMigrated.map((line) => `-- not migrated: ${oneLine(line)}`),
    `-- ${many(steps.length, 'step')}`,
  ];
}

async function showDifferences({ task, source, target, context, json }: Asked): Promise<ExitCode> {
  const [here, there] = [await readModel(source), await readModel(target)];
  const facts = await readCommonFacts({ session: source, model: here }, { session: target, model: there });
  const [wanted, found] = [
    await planOf(source, here, { task, facts }),
    await planOf(target, there, { task, facts }),
  ];
  const differences = diffPlans(wanted, found, await openCanonical());
  const missing = await missingExtensions(here, target);
  const isSame = differences.length + missing.length === 0;
  // What neither plan creates cannot be compared by it.
  const notCompared = [...new Set([...wanted.notMigrated, ...found.notMigrated])];
  context.stdout.write(
    json
      ? document({
          kind: 'SchemaDifferences',
          data: { identical: isSame, differences, missingExtensions: missing, notCompared },
        })
      : [
          ...differences.flatMap((one) => differenceLines(one)),
          ...missing,
          ...notCompared.map((line) => `not compared: ${oneLine(line)}`),
          isSame
            ? painter(context, context.stdout)(
                'green',
                `no difference in ${many(wanted.steps.length, 'step')}`,
              )
            : painter(context, context.stdout)(
                'red',
                `${many(differences.length + missing.length, 'difference')} found`,
              ),
        ]
          .map((line) => `${line}\n`)
          .join(''),
  );
  return isSame ? EXIT.ok : EXIT.differences;
}

const WORDS = { missing: 'only on the source', extra: 'only on the target', different: 'differs' } as const;

/** As `diff` shows it: `-` for the source, `+` for the target. */
function differenceLines({ id, kind, source, target }: SchemaDifference): string[] {
  const marked = (sign: string, statements: readonly string[]) =>
    statements.flatMap((statement) => `${statement};`.split('\n').map((line) => `${sign} ${line}`));
  const common = new Set(source.filter((statement) => target.includes(statement)));
  const own = (statements: readonly string[]) => statements.filter((statement) => !common.has(statement));
  return [`${oneLine(id)}: ${WORDS[kind]}`, ...marked('-', own(source)), ...marked('+', own(target))];
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ');
}
