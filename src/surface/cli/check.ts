/** `opendts check`: would a migration work, how long would it take, what would not move. Changes nothing on either end. */
import { EXIT } from '../../base/errors/exit.ts';
import type { NextStep } from '../../contract/progress.ts';
import { assertTypeNames } from '../../engine/schema/rewrite/type-name.ts';
import { checkMigration, type CheckOutcome } from '../../service/task/check-migration.ts';
import { checkReport } from './view/check-report.ts';
import type { CliCommand } from './context.ts';
import { document } from './view/json.ts';
import { pasteLine } from '../../service/task/request/paste-line.ts';
import { openSide } from './sides.ts';
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
    context.stderr.write('checking …\n');
    const { signal } = context;
    const outcome = await checkMigration(task, (side) => openSide(task, side, 'check', signal), signal);
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
