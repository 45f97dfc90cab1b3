/** `opendts migrate`: runs a whole migration in this process, tells how it goes, and says at the end what to do next. */
import { InvalidArgumentError } from 'commander';
import { toAppError } from '../../base/errors/app-error.ts';
import { EXIT, type ExitCode } from '../../base/errors/exit.ts';
import type { MigrationEvent, MigrationSummary } from '../../contract/progress.ts';
import { MIGRATION_TYPES, OPERATIONS } from '../../contract/task-spec.ts';
import { parseLsn } from '../../engine/change/lsn.ts';
import { assertTypeNames } from '../../engine/schema/rewrite/type-name.ts';
import type { CopyLimits } from '../../engine/source/throttle.ts';
import { startMigration } from '../../service/task/migrate.ts';
import { ruleWords } from '../../service/task/request/rule-words.ts';
import { startText } from '../../service/task/source/start-position.ts';
import type { Until } from '../../service/task/task-run.ts';
import { defaultStateDir, openStateDir, type StateDir } from '../../service/task/owner/state-dir.ts';
import type { CliCommand, CliContext } from './context.ts';
import { migrationSummary } from './view/migration-summary.ts';
import { document } from './view/json.ts';
import { openProgressReport } from './view/progress-report.ts';
import { stopExit } from './stop.ts';
import { endName } from './sides.ts';
import { withFilter, withOperations } from './options/rule-options.ts';
import { withRights } from './options/rights-options.ts';
import { withSchemaChoices } from './options/schema-options.ts';
import { withPartitions } from './options/partition-options.ts';
import { withDdl, withSourceObjects } from './options/source-options.ts';
import { withStart } from './options/start-options.ts';
import {
  resolveTask,
  withChunks,
  withConflict,
  withEnds,
  withJson,
  withLimits,
  withProtection,
  withTables,
  withTypes,
  type Task,
  type TaskFlags,
} from './options/task-options.ts';
import { withMapping } from './options/mapping-options.ts';
import { withSlotWait } from './options/slot-wait-option.ts';
import { withWalBudget } from './options/wal-budget-options.ts';
import { withJobs, withLanes } from './options/parallel-options.ts';

export interface MigrateFlags extends TaskFlags {
  readonly until?: Until;
  readonly stateDir?: string;
}

export const migrateCommand: CliCommand = {
  define(program) {
    const command = program
      .command('migrate')
      .description(
        'migrate a database: schema, data, and every change since; run again, it goes on where it was',
      );
    withJson(
      withLanes(
        withJobs(
          withTables(withTypes(withEnds(command))),
          'tables copied and indexes built at the same time',
        ),
      ),
    );
    withStart(
      withSourceObjects(
        withChunks(
          withProtection(
            withLimits(withConflict(withFilter(withOperations(withMapping(withPartitions(command)))))),
          ),
        ),
      ),
    );
    return withSlotWait(withWalBudget(withDdl(withRights(withSchemaChoices(command)))))
      .option('--strict', 'stop at once when a table cannot be migrated, not after all others')
      .option(
        '--until <point>',
        'end at "caught-up" or at an LSN of the source (default: at Ctrl-C)',
        parseUntil,
      )
      .option('--state-dir <folder>', 'where this migration keeps its lock and its options');
  },

  async run(command, context) {
    const flags = command.opts<MigrateFlags>();
    return runMigration(flags, resolveTask(flags, context), context);
  },
};

/** Also for other commands that run a migration, or a part of one. */
export async function runMigration(flags: MigrateFlags, task: Task, context: CliContext): Promise<ExitCode> {
  await assertTypeNames(task.columnTypes);
  const json = flags.json === true;
  const pairs = (record: Readonly<Record<string, string>>) =>
    Object.entries(record).map(([from, to]) => `${from}=${to}`);
  const options = {
    source: endName(task.source),
    target: endName(task.target),
    types: MIGRATION_TYPES.filter((type) => task.types.has(type)),
    tables: [...task.tables],
    excludeTables: [...task.excludeTables],
    rename: pairs(task.rename),
    capitalization: task.capitalization,
    excludeColumns: [...task.excludeColumns],
    columnTypes: pairs(task.columnTypes),
    primaryKeys: pairs(task.primaryKeys),
    operations: OPERATIONS.filter((operation) => task.operations.includes(operation)),
    ...ruleWords(task.rules),
    conflict: task.conflict,
    partitions: task.partitions,
    start: task.start ? Object.entries(startText(task.start)).map(([name, value]) => `${name}=${value}`) : [],
    publication: task.publication ?? '',
    decoder: task.decoder ?? 'auto',
  };
  using state = openStateDir(flags.stateDir ?? defaultStateDir(context.config.stateHome, options), options);
  const run = { task, flags, until: flags.until ?? { kind: 'signal' }, state } as const;
  const summary = await followed(run, context);
  const { warnings, nextSteps, ...data } = summary;
  context.stdout.write(
    json
      ? document({ kind: 'MigrationSummary', data, warnings, nextSteps })
      : migrationSummary(summary)
          .map((line) => `${line}\n`)
          .join(''),
  );
  return exitOf(summary, context);
}

interface Run {
  readonly task: Task;
  readonly until: Until;
  readonly state: StateDir;
  readonly flags: MigrateFlags;
}

/** Runs the migration with its progress on stderr and its phase in the state directory. */
async function followed({ task, until, state, flags }: Run, context: CliContext): Promise<MigrationSummary> {
  const { signal, failpoints } = context;
  using report = openProgressReport(context, flags.json === true);
  const migration = startMigration(
    { ...task, until },
    { signal, failpoints, onEvent: (event) => report.event(event) },
  );
  report.follow(() => migration.progress());
  const say = (level: MigrationEvent['level'], message: string) =>
    report.event({ level, phase: migration.progress().phase, message });
  context.onReload(() => {
    try {
      const { limits, streamLimits } = resolveTask(flags, context);
      migration.limit(limits);
      migration.limitStream(streamLimits);
      const stream = describeLimits({ ...streamLimits, queriesPerSecond: null });
      say('info', `limits of the copy: ${describeLimits(limits)}; of changes: ${stream}`);
    } catch (thrown) {
      // The migration goes on under the old limits.
      say('warn', `the limits stay as they are: ${toAppError(thrown).message}`);
    }
  });
  const note = () => {
    const { taskId, phase } = migration.progress();
    state.note(taskId, phase);
  };
  const timer = setInterval(note, 1000);
  const onStop = () => say('info', STOPPING);
  signal.addEventListener('abort', onStop, { once: true });
  try {
    const summary = await migration.finished;
    state.note(summary.taskId, summary.outcome);
    return summary;
  } finally {
    clearInterval(timer);
    signal.removeEventListener('abort', onStop);
  }
}

function describeLimits({ queriesPerSecond, rowsPerSecond, bytesPerSecond }: CopyLimits): string {
  const parts = [
    bytesPerSecond === null ? '' : `${bytesPerSecond / 1e6} MB/s`,
    rowsPerSecond === null ? '' : `${rowsPerSecond} rows/s`,
    queriesPerSecond === null ? '' : `${queriesPerSecond} statements/s`,
  ];
  return parts.filter((part) => part !== '').join(', ') || 'none';
}

const STOPPING = 'stopping at the next safe point (once more: stop at once)';

function exitOf({ outcome, deadLetters }: MigrationSummary, { signal }: CliContext): ExitCode {
  if (outcome === 'stopped') return stopExit(signal);
  return deadLetters.length > 0 ? EXIT.differences : EXIT.ok;
}

function parseUntil(text: string): Until {
  if (text === 'caught-up') return { kind: 'caught-up' };
  try {
    return { kind: 'lsn', lsn: parseLsn(text) };
  } catch {
    throw new InvalidArgumentError('Write caught-up, or an LSN such as 16/B374D848.');
  }
}
