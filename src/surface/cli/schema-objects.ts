/** `opendts schema report|skip|edit`: what became of each object of a schema, and what is to become of those that are not there. */
import { readFileSync } from 'node:fs';
import { AppError } from '../../base/errors/app-error.ts';
import { EXIT, type ExitCode } from '../../base/errors/exit.ts';
import { shellWord } from '../../base/runtime/shell-word.ts';
import type { NextStep } from '../../contract/progress.ts';
import {
  isProblem,
  STEP_STATES,
  type StepChoice,
  type StepRow,
} from '../../engine/target/books/schema-steps.ts';
import { pasteLine } from '../../service/task/request/paste-line.ts';
import { reasonOf } from '../../service/task/schema/notes.ts';
import { chooseForObjects, named, objectsOn, type TaskObjects } from '../../service/task/schema/objects.ts';
import type { CliContext } from './context.ts';
import type { Task } from './options/task-options.ts';
import { openSide } from './sides.ts';
import { document } from './view/json.ts';
import { count, many } from './view/quantities.ts';
import { painter, printable, table } from './view/text.ts';

export interface ObjectFlags {
  readonly json?: boolean;
  readonly all?: boolean;
  readonly showSql?: boolean;
  readonly sql?: string;
  readonly sqlFile?: string;
  readonly undo?: boolean;
}

export interface AskedObjects {
  readonly task: Task;
  readonly ids: readonly string[];
  readonly flags: ObjectFlags;
  readonly context: CliContext;
}

export async function reportObjects({ task, ids, flags, context }: AskedObjects): Promise<ExitCode> {
  await using target = await openSide(task, 'target', 'schema', context.signal);
  const all = await objectsOn(target, { withSql: flags.showSql === true });
  const tasks = ids.length > 0 ? named(all, ids) : all;
  const problems = tasks.flatMap(({ objects }) => objects.filter(isProblem));
  const nextSteps = stepsFor(task, problems);
  if (flags.json) {
    const data = { tasks: tasks.map((of) => described(of, flags)) };
    context.stdout.write(document({ kind: 'SchemaReport', data, nextSteps }));
  } else {
    const isShown = (row: StepRow) => flags.all === true || ids.length > 0 || isWorthALine(row);
    const lines = [
      ...(tasks.length === 0 ? ['no migration into this target has come to its schema'] : []),
      ...tasks.flatMap((of) => reportLines(of, { isShown, withSql: flags.showSql === true, context })),
      ...(nextSteps.length > 0 ? ['Next:'] : []),
      ...nextSteps.flatMap(({ why, command }) => [`  # ${printable(why)}`, `  ${command}`]),
    ];
    context.stdout.write(lines.map((line) => `${line}\n`).join(''));
  }
  return problems.length > 0 ? EXIT.differences : EXIT.ok;
}

/** What is as it should be, or has not had its turn, is only counted. */
function isWorthALine({ state, edited }: StepRow): boolean {
  return edited !== null || (state !== 'created' && state !== 'planned');
}

function stepsFor(task: Task, problems: readonly StepRow[]): NextStep[] {
  const first = problems.find(({ state }) => state !== 'waiting');
  if (!first) return [];
  const id = shellWord(first.id);
  return [
    {
      why: 'Remove the cause and run the migration again; or have other SQL run instead',
      command: `${pasteLine('schema edit', task)} ${id} --sql-file other.sql`,
    },
    {
      why: 'Or do without it, or use what the target has; then run the migration again',
      command: `${pasteLine('schema skip', task)} ${id}`,
    },
  ];
}

function described({ task, objects, notMigrated }: TaskObjects, { showSql = false }: ObjectFlags) {
  return {
    taskId: task.taskId,
    sourceDatabase: task.sourceDatabase,
    counts: Object.fromEntries(countsOf(objects)),
    objects: objects.map((row) => ({
      id: row.id,
      phase: row.phase,
      state: row.state,
      reason: reasonOf(row),
      sqlstate: row.problem?.sqlstate ?? null,
      position: row.problem?.position ?? null,
      waitsFor: row.problem?.waitsFor ?? [],
      edited: row.edited !== null,
      ...(showSql ? { statements: sqlOf(row), refused: row.problem?.statement ?? null } : {}),
    })),
    notMigrated,
  };
}

/** What is to be run, where somebody wants something else, or what was. */
function sqlOf({ edited, statements }: StepRow): readonly string[] {
  return edited === null ? statements : [edited];
}

function countsOf(objects: readonly StepRow[]): [string, number][] {
  const groups = Map.groupBy(objects, ({ state }) => state);
  return STEP_STATES.map((state) => [state, groups.get(state)?.length ?? 0]);
}

interface View {
  readonly isShown: (row: StepRow) => boolean;
  readonly withSql: boolean;
  readonly context: CliContext;
}

function reportLines(
  { task, objects, notMigrated }: TaskObjects,
  { isShown, withSql, context }: View,
): string[] {
  const paint = painter(context, context.stdout);
  const counts = countsOf(objects).filter(([, number]) => number > 0);
  const summary = counts.map(([state, number]) => `${count(number)} ${state}`).join(', ');
  const rows = objects.filter(isShown);
  const cells = rows.map((row) => [
    row.id,
    row.edited === null ? row.state : `${row.state} (edited)`,
    row.phase ?? '',
    reasonOf(row) ?? '',
  ]);
  return [
    `task ${task.taskId}, of database ${printable(task.sourceDatabase)}: ${many(objects.length, 'object')}`,
    paint(objects.some(isProblem) ? 'red' : 'green', summary),
    ...(cells.length > 0 ? table(['object', 'state', 'phase', 'reason'], cells) : []),
    ...(withSql ? rows.flatMap(sqlLines) : []),
    ...(notMigrated.length > 0 ? ['not migrated:'] : []),
    ...notMigrated.map((line) => `  - ${printable(line)}`),
  ];
}

function sqlLines(row: StepRow): string[] {
  const refused = row.problem?.statement ?? null;
  return [
    '',
    `-- ${printable(row.id)}`,
    ...sqlOf(row).flatMap((statement) => [
      ...(statement === refused ? [`-- refused: ${printable(reasonOf(row) ?? '')}`] : []),
      ...`${statement.trimEnd().replace(/;$/, '')};`.split('\n').map(printable),
    ]),
  ];
}

export async function skipObjects(asked: AskedObjects): Promise<ExitCode> {
  const isUndone = asked.flags.undo === true;
  return choose(
    asked,
    { kind: isUndone ? 'undo-skip' : 'skip' },
    isUndone ? 'gets its turn again' : 'is skipped; what needs it is tried all the same',
  );
}

export async function editObject(asked: AskedObjects): Promise<ExitCode> {
  const { ids, flags } = asked;
  const given = [flags.sql, flags.sqlFile, flags.undo].filter((one) => one !== undefined);
  if (given.length !== 1 || ids.length > 1)
    throw new AppError('USAGE', {
      problem: 'schema edit takes one object, and one of --sql, --sql-file and --undo.',
      remedy: `Write: opendts schema edit 'view shop.v' --sql-file v.sql`,
    });
  if (flags.undo) return choose(asked, { kind: 'undo-edit' }, 'has its own SQL again');
  const sql = flags.sql ?? readSql(flags.sqlFile ?? '');
  return choose(asked, { kind: 'edit', sql }, 'is created by that SQL');
}

function readSql(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new AppError('USAGE', {
      problem: `The SQL cannot be read: ${reason}.`,
      remedy: 'Check path and rights.',
    });
  }
}

async function choose(
  { task, ids, flags, context }: AskedObjects,
  choice: StepChoice,
  words: string,
): Promise<ExitCode> {
  if (ids.length === 0)
    throw new AppError('USAGE', {
      problem: 'No object is named.',
      remedy: 'Name it as it is listed: opendts schema report.',
    });
  await using target = await openSide(task, 'target', 'schema', context.signal);
  const chosen = await chooseForObjects(target, ids, choice);
  context.stdout.write(
    flags.json
      ? document({ kind: 'SchemaChoice', data: { choice: choice.kind, objects: chosen } })
      : chosen.map(({ id }) => `${printable(id)} ${words}, by the next run of the migration\n`).join(''),
  );
  return EXIT.ok;
}
