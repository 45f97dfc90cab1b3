/** `opendts tables`: which tables of a migration have stopped, and what becomes of them. */
import { EXIT } from '../../base/errors/exit.ts';
import { formatLsn } from '../../engine/change/lsn.ts';
import { displayName } from '../../engine/change/relation.ts';
import {
  chooseForTables,
  keptTables,
  stoppedTables,
  type StoppedTableOfTask,
  type TableOfTask,
} from '../../service/task/stopped.ts';
import type { CliCommand } from './context.ts';
import { document } from './view/json.ts';
import { openSide } from './sides.ts';
import { resolveTask, withEnds, withJson, type TaskFlags } from './options/task-options.ts';
import { printable, table } from './view/text.ts';

interface TablesFlags extends TaskFlags {
  readonly retry?: string[];
  readonly apply?: string[];
  readonly recopy?: string[];
  readonly asIs?: string[];
  readonly deadLetter?: string[];
}

export const tablesCommand: CliCommand = {
  define(program) {
    const command = program
      .command('tables')
      .description(
        'list the tables that have stopped while the others go on, and choose what becomes of them',
      );
    return withJson(withEnds(command))
      .option('--retry <table...>', 'apply its changes again, once the cause is removed')
      .option(
        '--apply <table...>',
        "make the source's change of its columns on the target, then apply its changes again",
      )
      .option('--recopy <table...>', 'empty the table on the target and copy it again')
      .option(
        '--dead-letter <table...>',
        'go on, and keep each change that the target refuses as a dead letter, until --retry',
      )
      .option(
        '--as-is <table...>',
        'go on and fill the target table as it is, although its columns differ from the source',
      );
  },

  async run(command, context) {
    const flags = command.opts<TablesFlags>();
    const ends = resolveTask(flags, context);
    await using session = await openSide(ends, 'target', 'tables', context.signal);
    await chooseForTables(session, flags.retry ?? [], 'retry');
    await chooseForTables(session, flags.apply ?? [], 'apply');
    await chooseForTables(session, flags.recopy ?? [], 'recopy');
    await chooseForTables(session, flags.asIs ?? [], 'as-is');
    await chooseForTables(session, flags.deadLetter ?? [], 'dead-letter');
    const stopped = await stoppedTables(session);
    const kept = (await keptTables(session)).map(keptLine);
    context.stdout.write(
      flags.json
        ? document({ kind: 'StoppedTables', data: stopped.map(described), warnings: kept })
        : [...lines(stopped), ...kept].map((line) => `${line}\n`).join(''),
    );
    return EXIT.ok;
  },
};

function described({ taskId, table, code, reason, endLsn, choice }: StoppedTableOfTask) {
  return { taskId, table: displayName(table), code, reason, appliedUpTo: formatLsn(endLsn), choice };
}

function keptLine({ table: name }: TableOfTask): string {
  return `${printable(displayName(name))}: what the target refuses is kept as dead letters, until --retry`;
}

const CHANGED = 'is changed on the target';
const STATES = { retry: 'is tried again', apply: CHANGED, auto: CHANGED, recopy: 'is copied again' } as const;

function lines(stopped: readonly StoppedTableOfTask[]): string[] {
  if (stopped.length === 0) return ['no table has stopped'];
  const rows = stopped.map(({ table: name, endLsn, reason, choice }) => [
    printable(displayName(name)),
    choice === null ? 'stopped' : STATES[choice],
    formatLsn(endLsn),
    printable(reason),
  ]);
  return table(['table', 'state', 'applied up to', 'reason'], rows, []);
}
