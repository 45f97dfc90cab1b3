/** `opendts verify`: compares the content of every table on both ends. */
import { EXIT } from '../../base/errors/exit.ts';
import type { TableLetters } from '../../contract/progress.ts';
import { displayName, nameKey } from '../../engine/change/relation.ts';
import { readTables } from '../../engine/pg/catalog/tables/tables.ts';
import type { Session } from '../../engine/pg/session.ts';
import { assertTypeNames } from '../../engine/schema/rewrite/type-name.ts';
import { selectTables } from '../../engine/selection/selection.ts';
import { tableWishes } from '../../engine/selection/table-wishes.ts';
import { placesOf, targetNames } from '../../engine/selection/target-names.ts';
import { usableFilters } from '../../engine/source/row-filter.ts';
import { verifyLargeObjects, type LargeObjectVerdict } from '../../engine/verify/large-objects.ts';
import { verifyTables, type TablePair, type TableVerdict } from '../../engine/verify/verify.ts';
import { isLeftOut } from '../../engine/target/books/stopped-tables.ts';
import { lettersOn, perTable } from '../../service/task/dead-letters.ts';
import { stoppedTables } from '../../service/task/stopped.ts';
import type { CliCommand, CliContext } from './context.ts';
import { document } from './view/json.ts';
import { count, many } from './view/quantities.ts';
import { openSide } from './sides.ts';
import { withPartitions } from './options/partition-options.ts';
import { withFilter } from './options/rule-options.ts';
import {
  resolveTask,
  withEnds,
  withJson,
  withTables,
  type Task,
  type TaskFlags,
} from './options/task-options.ts';
import { withMapping } from './options/mapping-options.ts';
import { painter, printable, table } from './view/text.ts';
import { withJobs } from './options/parallel-options.ts';

export const verifyCommand: CliCommand = {
  define(program) {
    const command = program
      .command('verify')
      .description('compare the content of the tables of both databases');
    return withJson(
      withJobs(
        withFilter(withMapping(withPartitions(withTables(withEnds(command))))),
        'tables compared at the same time',
      ),
    );
  },

  async run(command, context) {
    const flags = command.opts<TaskFlags>();
    const task = resolveTask(flags, context);
    await assertTypeNames(task.columnTypes);
    const { pairs, leftOut } = await readPairs(task, context);
    context.stderr.write(`comparing ${many(pairs.length, 'table')} …\n`);
    const options = {
      openSource: () => openSide(task, 'source', 'verify'),
      openTarget: () => openSide(task, 'target', 'verify'),
      jobs: task.jobs,
      signal: context.signal,
      onVerdict: () => {},
    };
    const verdicts = await verifyTables(pairs, options);
    // They are copied with the whole database only.
    const largeObjects = task.tables.length === 0 ? await verifyLargeObjects(options) : null;
    const identical = withLargeObjects(verdicts, largeObjects).every(
      ({ verdict }) => verdict === 'identical',
    );
    const deadLetters = await readDeadLetters(task, pairs, context);
    context.stdout.write(
      flags.json
        ? document({
            kind: 'Verification',
            data: { identical, tables: verdicts, largeObjects, deadLetters, leftOut },
          })
        : [
            ...verdictLines(verdicts, largeObjects, context),
            ...letterLines(deadLetters, context),
            ...leftOut.map(
              (name) => `${printable(name)}: left out (opendts tables --skip), and not compared`,
            ),
          ]
            .map((line) => `${line}\n`)
            .join(''),
    );
    return identical && deadLetters.length === 0 ? EXIT.ok : EXIT.differences;
  },
};

/** `leftOut`: what a person has left out of a migration into this target is not what the source has. */
async function readPairs(
  task: Task,
  { signal }: CliContext,
): Promise<{ pairs: readonly TablePair[]; leftOut: readonly string[] }> {
  await using source = await openSide(task, 'source', 'verify', signal);
  await using target = await openSide(task, 'target', 'verify', signal);
  const wanted = selectTables(await readTables(source), task.tables, task.excludeTables);
  const without = new Set(
    (await stoppedTables(target)).filter(isLeftOut).map(({ table: name }) => nameKey(name)),
  );
  const selected = wanted.filter((info) => !without.has(nameKey(info)));
  const leftOut = wanted.filter((info) => without.has(nameKey(info))).map(displayName);
  const targets = await tablesByName(target);
  // Partitions that keep their names, and such as go into their table's, are both found: by their own names, or as the table.
  const names = targetNames(wanted, task, placesOf(task.partitions, { isMade: false }));
  const filters = await usableFilters(source, selected, tableWishes(wanted, task));
  const pairs = selected.map((info) => ({
    source: info,
    target: targets.get(nameKey(names.table(info))) ?? null,
    names,
    condition: filters.get(info.oid)?.condition,
  }));
  return { pairs, leftOut };
}

/** Of the tables that are compared. */
async function readDeadLetters(
  task: Task,
  pairs: readonly TablePair[],
  { signal }: CliContext,
): Promise<TableLetters[]> {
  await using target = await openSide(task, 'target', 'verify', signal);
  const compared = new Set(pairs.map(({ source }) => nameKey(source)));
  return perTable((await lettersOn(target)).filter(({ table: name }) => compared.has(nameKey(name))));
}

function letterLines(letters: readonly TableLetters[], context: CliContext): string[] {
  const paint = painter(context, context.stdout);
  return letters.map(({ table: name, letters: of }) =>
    paint('red', `${printable(name)}: ${many(of, 'dead letter')}, changes that the target has refused`),
  );
}

async function tablesByName(session: Session): Promise<Map<string, TablePair['source']>> {
  return new Map((await readTables(session)).map((info) => [nameKey(info), info]));
}

function withLargeObjects(
  verdicts: readonly TableVerdict[],
  largeObjects: LargeObjectVerdict | null,
): TableVerdict[] {
  return largeObjects === null ? [...verdicts] : [...verdicts, largeObjects];
}

function verdictLines(
  verdicts: readonly TableVerdict[],
  largeObjects: LargeObjectVerdict | null,
  context: CliContext,
): string[] {
  const paint = painter(context, context.stdout);
  const all = withLargeObjects(verdicts, largeObjects);
  const rows = all.map(({ table: name, verdict, sourceRows, targetRows, reason }) => [
    name,
    verdict,
    count(sourceRows),
    targetRows === null ? '-' : count(targetRows),
    reason ?? '',
  ]);
  const lines = table(['table', 'verdict', 'source rows', 'target rows', ''], rows, [
    'source rows',
    'target rows',
  ]);
  const isBad = ({ verdict }: TableVerdict) => verdict !== 'identical';
  const badTables = verdicts.filter(isBad);
  const total = verdicts.reduce((sum, { sourceRows }) => sum + sourceRows, 0n);
  const where = [
    ...(badTables.length > 0 ? [`${count(badTables.length)} of ${many(verdicts.length, 'table')}`] : []),
    ...(largeObjects !== null && isBad(largeObjects) ? ['large objects'] : []),
  ];
  const objects = largeObjects === null ? '' : `, ${many(largeObjects.sourceRows, 'large object')}`;
  return [
    ...lines,
    where.length === 0
      ? paint('green', `identical: ${many(verdicts.length, 'table')}, ${many(total, 'row')}${objects}`)
      : paint('red', `differences found in ${where.join(' and in ')}`),
  ];
}
