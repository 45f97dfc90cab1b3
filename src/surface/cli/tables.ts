/** `opendts tables`: which tables of a migration do not go on with the others, and what becomes of them; and how to pause, leave out or copy again. */
import { EXIT } from '../../base/errors/exit.ts';
import { formatLsn } from '../../engine/change/lsn.ts';
import { displayName } from '../../engine/change/relation.ts';
import { isPaused } from '../../engine/target/books/stopped-tables.ts';
import {
  askedTables,
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
import { size } from './view/quantities.ts';
import { printable, table } from './view/text.ts';

interface TablesFlags extends TaskFlags {
  readonly pause?: string[];
  readonly skip?: string[];
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
        'list the tables that stand still while the others go on, and choose what becomes of them; pause, leave out or copy again single tables',
      );
    return withJson(withEnds(command))
      .option(
        '--pause <table...>',
        'copy and apply nothing of it until --retry; the source keeps its log for it meanwhile',
      )
      .option(
        '--skip <table...>',
        'leave it out: what the target has of it stays as it is, and nothing is kept for it; --recopy brings it back',
      )
      .option('--retry <table...>', 'let a paused one go on, or a stopped one once the cause is removed')
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
    await chooseForTables(session, flags.pause ?? [], 'pause');
    await chooseForTables(session, flags.skip ?? [], 'skip');
    await chooseForTables(session, flags.retry ?? [], 'retry');
    await chooseForTables(session, flags.apply ?? [], 'apply');
    await chooseForTables(session, flags.recopy ?? [], 'recopy');
    await chooseForTables(session, flags.asIs ?? [], 'as-is');
    await chooseForTables(session, flags.deadLetter ?? [], 'dead-letter');
    const stopped = await stoppedTables(session);
    const notes = [
      ...(await askedTables(session)).map(askedLine),
      ...(await keptTables(session)).map(keptLine),
    ];
    context.stdout.write(
      flags.json
        ? document({ kind: 'StoppedTables', data: stopped.map(described), warnings: notes })
        : [...lines(stopped), ...notes].map((line) => `${line}\n`).join(''),
    );
    return EXIT.ok;
  },
};

function described({ taskId, table, code, reason, endLsn, choice, keptBytes }: StoppedTableOfTask) {
  const appliedUpTo = formatLsn(endLsn);
  return { taskId, table: displayName(table), code, reason, appliedUpTo, choice, keptBytes };
}

function askedLine({ table: name, ask }: Awaited<ReturnType<typeof askedTables>>[number]): string {
  return `${printable(displayName(name))}: ${ask} is asked for; the migration does it as soon as it can`;
}

function keptLine({ table: name }: TableOfTask): string {
  return `${printable(displayName(name))}: what the target refuses is kept as dead letters, until --retry`;
}

const CHANGED = 'is changed on the target';
const STATES = {
  retry: 'is tried again',
  apply: CHANGED,
  auto: CHANGED,
  recopy: 'is copied again',
  skip: 'left out',
} as const;

function lines(stopped: readonly StoppedTableOfTask[]): string[] {
  if (stopped.length === 0) return ['no table has stopped'];
  const rows = stopped.map((one) => [
    printable(displayName(one.table)),
    one.choice === null ? (isPaused(one) ? 'paused' : 'stopped') : STATES[one.choice],
    formatLsn(one.endLsn),
    size(one.keptBytes),
    printable(one.reason),
  ]);
  return table(['table', 'state', 'applied up to', 'log kept for it', 'reason'], rows, ['log kept for it']);
}
