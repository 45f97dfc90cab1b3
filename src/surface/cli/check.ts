/** `opendts check`: would a migration work, how long would it take, what would not move. Changes nothing on either end. */
import { EXIT } from '../../base/errors/exit.ts';
import type { NextStep } from '../../contract/progress.ts';
import { MIGRATION_TYPES } from '../../contract/task-spec.ts';
import { describeEndpoint } from '../../engine/pg/conninfo/conninfo.ts';
import { readTables, type TableInfo } from '../../engine/pg/catalog/tables.ts';
import type { Session } from '../../engine/pg/session.ts';
import { runChecks } from '../../engine/precheck/run-checks.ts';
import { estimate } from '../../engine/precheck/estimate.ts';
import { withPlainPartitions } from '../../engine/schema/plain-partitions.ts';
import { judgeSchema } from '../../engine/schema/plan.ts';
import { FirstModel } from '../../engine/schema/first-model.ts';
import { mapModel } from '../../engine/schema/map/map-model.ts';
import { readTargetFacts } from '../../engine/schema/read-target-facts.ts';
import { assertTypeNames } from '../../engine/schema/rewrite/type-name.ts';
import { rightsChoice } from '../../engine/schema/rights/rights-choice.ts';
import { membership, selectTables } from '../../engine/selection/selection.ts';
import { tableWishes } from '../../engine/selection/table-wishes.ts';
import { placesOf, targetNames } from '../../engine/selection/target-names.ts';
import { readFilters } from '../../engine/source/row-filter.ts';
import { checkReport, type CheckedEnd, type CheckOutcome } from './view/check-report.ts';
import type { CliCommand, CliContext } from './context.ts';
import { document } from './view/json.ts';
import { pasteLine } from '../../service/task/paste-line.ts';
import { databaseSize, openSide, serverVersion } from './sides.ts';
import { withFilter, withOperations } from './options/rule-options.ts';
import { withRights } from './options/rights-options.ts';
import { withSchemaChoices } from './options/schema-options.ts';
import { withPartitions } from './options/partition-options.ts';
import { withSourceObjects } from './options/source-options.ts';
import { withStart } from './options/start-options.ts';
import {
  resolveTask,
  withConflict,
  withEnds,
  withJson,
  withTables,
  withTypes,
  type Task,
  type TaskFlags,
} from './options/task-options.ts';
import { withMapping } from './options/mapping-options.ts';
import { withJobs } from './options/parallel-options.ts';

export const checkCommand: CliCommand = {
  define(program) {
    const command = program
      .command('check')
      .description('look at both databases, change nothing, and say whether and how the migration would go');
    return withJobs(
      withStart(
        withSourceObjects(
          withJson(
            withRights(
              withSchemaChoices(
                withFilter(
                  withOperations(
                    withConflict(withMapping(withPartitions(withTables(withTypes(withEnds(command)))))),
                  ),
                ),
              ),
            ),
          ),
        ),
      ),
      'tables that are to be copied at the same time',
    );
  },

  async run(command, context) {
    const flags = command.opts<TaskFlags>();
    const task = resolveTask(flags, context);
    await assertTypeNames(task.columnTypes);
    const outcome = await checkBoth(task, context);
    const nextSteps = nextAfter(outcome, task);
    context.stdout.write(
      flags.json
        ? document({ kind: 'Check', data: outcome, nextSteps })
        : checkReport(outcome, nextSteps, context)
            .map((line) => `${line}\n`)
            .join(''),
    );
    return outcome.result === 'failed' ? EXIT.check : EXIT.ok;
  },
};

async function checkBoth(task: Task, context: CliContext): Promise<CheckOutcome> {
  await using source = await openSide(task, 'source', 'check', context.signal);
  await using target = await openSide(task, 'target', 'check', context.signal);
  const tables = selectTables(await readTables(source), task.tables, task.excludeTables);
  const wishOf = tableWishes(tables, task);
  context.stderr.write('checking …\n');
  const firstModel = new FirstModel();
  const findings = await runChecks(
    {
      source,
      target,
      firstModel,
      sourceInfo: task.source,
      targetInfo: task.target,
      types: task.types,
      tables,
      targetTables: await readTables(target),
      mapping: targetNames(tables, task, placesOf(task.partitions, { isMade: task.types.has('schema') })),
      partitions: task.partitions,
      wishOf,
      conflict: task.conflict,
      createExtensions: task.createExtensions,
      wholeDatabase: task.tables.length === 0,
      heartbeat: task.heartbeat,
      captureDdl: task.captureDdl,
      replicaIdentity: task.replicaIdentity,
      jobs: task.jobs,
      rights: rightsChoice(task),
      ...(task.publication === undefined ? {} : { publication: task.publication }),
      ...(task.start ? { start: task.start } : {}),
      ...(task.decoder ? { decoder: task.decoder } : {}),
    },
    context.signal,
  );
  const { filters } = await readFilters(source, tables, wishOf);
  const order = ['failed', 'alert', 'passed'];
  return {
    result: findings.some(({ result }) => result === 'failed') ? 'failed' : 'passed',
    types: MIGRATION_TYPES.filter((type) => task.types.has(type)),
    source: await describeEnd(source, describeEndpoint(task.source)),
    target: await describeEnd(target, describeEndpoint(task.target)),
    estimate: await estimate(source, tables, ({ oid }) => filters.get(oid)?.condition ?? null),
    findings: findings.toSorted((a, b) => order.indexOf(a.result) - order.indexOf(b.result)),
    notMigrated: task.types.has('schema')
      ? await notMigrated(source, target, { task, tables, firstModel })
      : [],
  };
}

async function describeEnd(session: Session, endpoint: string): Promise<CheckedEnd> {
  return { endpoint, server: serverVersion(session.version), databaseBytes: await databaseSize(session) };
}

interface Selected {
  readonly task: Task;
  readonly tables: readonly TableInfo[];
  readonly firstModel: FirstModel;
}

async function notMigrated(
  source: Session,
  target: Session,
  { task, tables, firstModel }: Selected,
): Promise<readonly string[]> {
  const wholeDatabase = task.tables.length === 0 && task.excludeTables.length === 0;
  const mapping = targetNames(tables, task, placesOf(task.partitions, { isMade: true }));
  const scope = {
    includesTable: membership(tables.map((table) => mapping.table(table))),
    wholeDatabase,
    done: new Set<string>(),
    rights: rightsChoice(task),
  };
  const read = await firstModel.take(source);
  const made = task.partitions === 'plain' ? withPlainPartitions(read) : read;
  const model = await mapModel(made, mapping, source);
  return judgeSchema(model, scope, await readTargetFacts(target, model, task)).notMigrated;
}

/** When only following changes is impossible, both ways out: without it, or after the change. */
function nextAfter({ result, findings }: CheckOutcome, task: Task): NextStep[] {
  const migrate = (of: Task) => pasteLine('migrate', of);
  if (result === 'passed') return [{ why: 'start the migration', command: migrate(task) }];
  const again = { why: 'check again once this is settled', command: pasteLine('check', task) };
  const noLogicalLog = findings.some(
    ({ check, result: found }) => check === 'wal_level' && found === 'failed',
  );
  if (!noLogicalLog) return [again];
  const types = new Set(task.types);
  types.delete('incremental');
  if (types.size === 0) return [again];
  return [
    { why: 'offline, now: stop the writers on the source, then', command: migrate({ ...task, types }) },
    {
      why: 'with changes followed: set wal_level, restart the source server, check again',
      command: pasteLine('check', task),
    },
  ];
}
