/** `opendts schema`: what a schema migration would create, how the schemas of two live databases differ; and the migration of the schema alone. */
import { Argument } from 'commander';
import { AppError } from '../../base/errors/app-error.ts';
import { tightHeap } from '../../base/runtime/tight-heap.ts';
import { EXIT, type ExitCode } from '../../base/errors/exit.ts';
import { displayName, type QualifiedName } from '../../engine/change/relation.ts';
import { readTables } from '../../engine/pg/catalog/tables/tables.ts';
import type { Session } from '../../engine/pg/session.ts';
import { diffPlans, type SchemaDifference } from '../../engine/schema/diff.ts';
import { mapModel } from '../../engine/schema/map/map-model.ts';
import { missingExtensions } from '../../engine/schema/missing-extensions.ts';
import { withPlainPartitions } from '../../engine/schema/plain-partitions.ts';
import type { SchemaModel } from '../../engine/schema/model.ts';
import { planSchema, type SchemaPlan, type SchemaScope } from '../../engine/schema/plan.ts';
import { readCommonFacts, readTargetFacts } from '../../engine/schema/read-target-facts.ts';
import { schemasWithoutOwner, withoutOwners } from '../../engine/schema/rights/known-owners.ts';
import { rightsChoice } from '../../engine/schema/rights/rights-choice.ts';
import type { TargetFacts } from '../../engine/schema/target-facts.ts';
import { openCanonical } from '../../engine/schema/rewrite/canonical.ts';
import { assertTypeNames } from '../../engine/schema/rewrite/type-name.ts';
import { readModel } from '../../engine/schema/read-model.ts';
import { membership, selectTables } from '../../engine/selection/selection.ts';
import {
  placesOf,
  retypedNames,
  targetNames,
  type TargetNames,
} from '../../engine/selection/target-names.ts';
import type { CliCommand, CliContext } from './context.ts';
import { runMigration, type MigrateFlags } from './migrate.ts';
import { withJobs } from './options/parallel-options.ts';
import { editObject, reportObjects, skipObjects, type ObjectFlags } from './schema-objects.ts';
import { document, documentParts } from './view/json.ts';
import { many } from './view/quantities.ts';
import { writeParts } from './view/write-parts.ts';
import { openSide } from './sides.ts';
import { withPartitions } from './options/partition-options.ts';
import { withRights } from './options/rights-options.ts';
import { withSchemaChoices } from './options/schema-options.ts';
import { resolveTask, withEnds, withJson, withTables, type Task } from './options/task-options.ts';
import { withMapping } from './options/mapping-options.ts';
import { painter } from './view/text.ts';

const ACTIONS = ['plan', 'diff', 'apply', 'report', 'skip', 'edit'] as const;
type Action = (typeof ACTIONS)[number];
const OF_OBJECTS: readonly Action[] = ['report', 'skip', 'edit'];

export const schemaCommand: CliCommand = {
  define(program) {
    const command = program
      .command('schema')
      .description(
        'plan: the statements that would create the schema on the target, in order; diff: how the definitions of both databases differ; apply: create the schema, as migrate --types schema; report: what became of each object; skip, edit: do without an object, or create it by other SQL, from the next run on',
      )
      .addArgument(new Argument('<action>', ACTIONS.join(', ')).choices(ACTIONS))
      .argument(
        '[object...]',
        "report, skip, edit: ids as report lists them, such as 'view shop.orders_by_day'",
      );
    const named = withRights(withSchemaChoices(withMapping(withPartitions(withTables(withEnds(command))))));
    return withJson(withJobs(named, 'apply: indexes built at the same time'))
      .option('--all', 'report: also the objects that are as they should be')
      .option('--show-sql', 'report: with the statements')
      .option('--sql <text>', 'edit: the statements to run instead')
      .option('--sql-file <file>', 'edit: a file with them')
      .option('--undo', 'skip, edit: take that back')
      .option('--state-dir <folder>', 'apply: where this migration keeps its lock and its options');
  },

  async run(command, context) {
    const flags = command.opts<SchemaFlags>();
    const [action, ids] = command.processedArgs as [Action, string[]];
    if (ids.length > 0 && !OF_OBJECTS.includes(action))
      throw new AppError('USAGE', {
        problem: `schema ${action} is about the whole schema: it takes no objects.`,
        remedy: 'Choose tables with --table and --exclude-table.',
      });
    if (action === 'apply')
      return runMigration(flags, resolveTask({ ...flags, types: ['schema'] }, context), context);
    const task = resolveTask(flags, context);
    await assertTypeNames(task.columnTypes);
    if (action === 'report') return reportObjects({ task, ids, flags, context });
    if (action === 'skip') return skipObjects({ task, ids, flags, context });
    if (action === 'edit') return editObject({ task, ids, flags, context });
    using _heap = tightHeap();
    await using source = await openSide(task, 'source', 'schema', context.signal);
    await using target = await openSide(task, 'target', 'schema', context.signal);
    const asked = { task, source, target, context, json: flags.json ?? false };
    return action === 'plan' ? await showPlan(asked) : await showDifferences(asked);
  },
};

type SchemaFlags = MigrateFlags & ObjectFlags;

interface Asked {
  readonly task: Task;
  readonly source: Session;
  readonly target: Session;
  readonly context: CliContext;
  readonly json: boolean;
}

interface Chosen {
  readonly names: TargetNames;
  /** By the names of the target. */
  readonly scope: SchemaScope;
  /** Columns that get another type, by their names on the target. */
  readonly retyped: ReadonlySet<string>;
}

async function choose(source: Session, task: Task): Promise<Chosen> {
  const selected = selectTables(await readTables(source), task.tables, task.excludeTables);
  const names = targetNames(selected, task, placesOf(task.partitions, { isMade: true }));
  const includesTable = membership(selected.map((table) => names.table(table)));
  const wholeDatabase = task.tables.length === 0 && task.excludeTables.length === 0;
  return {
    names,
    retyped: retypedNames(selected, names),
    scope: { includesTable, wholeDatabase, done: new Set(), rights: rightsChoice(task) },
  };
}

/** The source as it is to be on the target. */
async function readWanted(source: Session, task: Task, names: TargetNames): Promise<SchemaModel> {
  const read = await readModel(source);
  return mapModel(task.partitions === 'plain' ? withPlainPartitions(read) : read, names, source);
}

async function showPlan({ task, source, target, context, json }: Asked): Promise<ExitCode> {
  const { names, scope } = await choose(source, task);
  const model = await readWanted(source, task, names);
  const facts = await readTargetFacts(target, model, task);
  const plan = planSchema(model, scope, facts);
  const notMigrated = [
    ...missingExtensions(model, facts),
    ...plan.blocked.map(({ table, reason }) => `table ${displayName(table)}: ${reason}`),
    ...plan.notMigrated,
  ];
  await writeParts(
    context.stdout,
    json
      ? documentParts('SchemaPlan', 'steps', { items: shown(plan), data: { notMigrated } })
      : planLines(plan, notMigrated),
  );
  return EXIT.ok;
}

function* shown({ steps }: SchemaPlan) {
  for (const { id, phase, statements, dependsOn } of steps) yield { id, phase, statements, dependsOn };
}

/** A script that psql can run; what is not migrated is in comments. */
function* planLines({ steps }: SchemaPlan, notMigrated: readonly string[]): Generator<string> {
  yield "SET search_path = '';\nSET check_function_bodies = off;\n\n";
  for (const { id, phase, statements } of steps) {
    yield `-- ${phase}: ${oneLine(id)}\n`;
    for (const statement of statements) yield `${statement};\n`;
    yield '\n';
  }
  for (const line of notMigrated) yield `-- not migrated: ${oneLine(line)}\n`;
  yield `-- ${many(steps.length, 'step')}\n`;
}

async function showDifferences({ task, source, target, context, json }: Asked): Promise<ExitCode> {
  const { names, scope, retyped } = await choose(source, task);
  const facts = await readCommonFacts(source, target);
  const includesTable = scope.wholeDatabase ? () => true : (name: QualifiedName) => scope.includesTable(name);
  const here = await planned(() => readWanted(source, task, names), scope, facts);
  const there = await planned(
    async () => withoutOwners(await readModel(target), here.withoutOwner),
    { ...scope, includesTable },
    facts,
  );
  const differences = diffPlans(here, there, await openCanonical(retyped));
  const present = new Set(there.extensions.map(({ name }) => name));
  const missing = missingExtensions(here, { extensions: present, creatable: new Set() });
  const isSame = differences.length + missing.length === 0;
  // What neither plan creates cannot be compared by it.
  const notCompared = [...new Set([...here.notMigrated, ...there.notMigrated])];
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
            ? painter(context, context.stdout)('green', `no difference in ${many(here.steps.length, 'step')}`)
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

/** What is compared; the model and the rest of the plan are gone when the other one is read. */
async function planned(read: () => Promise<SchemaModel>, scope: SchemaScope, facts: TargetFacts) {
  const model = await read();
  const { steps, notMigrated } = planSchema(model, scope, facts);
  return {
    steps: steps.map(({ id, statements }) => ({ id, statements })),
    notMigrated,
    extensions: model.extensions,
    withoutOwner: schemasWithoutOwner(model),
  };
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
