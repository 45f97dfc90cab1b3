/** `opendts dead-letters`: changes that the target has refused and that are kept there; shown, applied after all, or dropped. */
import { Argument, InvalidArgumentError } from 'commander';
import { AppError } from '../../base/errors/app-error.ts';
import { EXIT, type ExitCode } from '../../base/errors/exit.ts';
import { isLarge, readable, UNCHANGED, type Tuple } from '../../engine/change/change.ts';
import { formatLsn } from '../../engine/change/lsn.ts';
import { displayName } from '../../engine/change/relation.ts';
import type { Session } from '../../engine/pg/session.ts';
import {
  describeLetterKey,
  dropLetters,
  readLetterRows,
  readLetters,
  type Letter,
  type LetterChoice,
  type LetterRows,
} from '../../engine/target/letters/stored-letters.ts';
import { chooseLetters, lettersOn, perTable, replayLetters } from '../../service/task/dead-letters.ts';
import type { CliCommand, CliContext } from './context.ts';
import { document } from './view/json.ts';
import { count, many } from './view/quantities.ts';
import { openSide } from './sides.ts';
import { resolveTask, withEnds, withJson, type Ends, type TaskFlags } from './options/task-options.ts';
import { printable, table } from './view/text.ts';

interface LetterFlags extends TaskFlags {
  readonly id?: bigint[];
  readonly showValues?: boolean;
  readonly limit?: number;
}

const ACTIONS = ['list', 'replay', 'drop'] as const;
type Action = (typeof ACTIONS)[number];

const LIMIT = 100;
/** Of one value. */
const SHOWN_BYTES = 10_000;

export const deadLettersCommand: CliCommand = {
  define(program) {
    const command = program
      .command('dead-letters')
      .description(
        'look at changes that the target has refused and that are kept there, apply them after all, or drop them',
      )
      .addArgument(new Argument('<action>', ACTIONS.join(', ')).choices(ACTIONS))
      .argument(
        '[table...]',
        'letters of these tables: schema.table, schema.*, table; list shows all without',
      );
    return withJson(withEnds(command))
      .option('--id <n...>', 'letters with these numbers', parseId)
      .option('--limit <n>', `list: at most so many (default: ${LIMIT})`, parseLimit)
      .option('--show-values', `list: with the values of the rows, each up to ${count(SHOWN_BYTES)} bytes`);
  },

  async run(command, context) {
    const flags = command.opts<LetterFlags>();
    const [action, patterns] = command.processedArgs as [Action, string[]];
    const asked = { patterns, ids: flags.id ?? [] };
    if (action !== 'list' && asked.patterns.length + asked.ids.length === 0)
      throw new AppError('USAGE', {
        problem: `Which letters to ${action} is not said.`,
        remedy: 'Name tables (a pattern such as "*" will do), or letters with --id.',
      });
    const ends = resolveTask(flags, context);
    await using target = await openSide(ends, 'target', 'dead-letters', context.signal);
    if (action === 'list') return await list(target, { ...flags, ...asked }, context);
    const choice = await chooseLetters(target, asked);
    return action === 'drop'
      ? await drop(target, choice, { flags, context })
      : await replay({ ends, target }, choice, { flags, context });
  },
};

interface Asked extends LetterFlags {
  readonly patterns: readonly string[];
  readonly ids: readonly bigint[];
}

async function list(target: Session, asked: Asked, { stdout }: CliContext): Promise<ExitCode> {
  const all = await lettersOn(target);
  const isAll = asked.patterns.length + asked.ids.length === 0;
  const choice = isAll ? { tables: all, ids: [] } : await chooseLetters(target, asked);
  const limit = asked.limit ?? LIMIT;
  const letters = all.length > 0 ? await readLetters(target, choice, { after: '0', limit }) : [];
  const described: DescribedLetter[] = [];
  for (const letter of letters) {
    const rows = asked.showValues ? await readLetterRows(target, letter.id, SHOWN_BYTES) : null;
    described.push({ ...describedLetter(letter), ...(rows ? valuesOf(rows) : {}) });
  }
  const counts = perTable(all);
  stdout.write(
    asked.json
      ? document({ kind: 'DeadLetters', data: { tables: counts, letters: described } })
      : lines(counts, described)
          .map((line) => `${line}\n`)
          .join(''),
  );
  return EXIT.ok;
}

interface Surroundings {
  readonly flags: LetterFlags;
  readonly context: CliContext;
}

async function drop(
  target: Session,
  choice: LetterChoice,
  { flags, context: { stdout } }: Surroundings,
): Promise<ExitCode> {
  const dropped = await dropLetters(target, choice);
  stdout.write(
    flags.json
      ? document({ kind: 'DeadLettersDropped', data: { dropped } })
      : `dropped ${many(dropped, 'dead letter')}\n`,
  );
  return EXIT.ok;
}

async function replay(
  { ends, target }: { ends: Ends; target: Session },
  choice: LetterChoice,
  { flags, context }: Surroundings,
): Promise<ExitCode> {
  await using opened = new AsyncDisposableStack();
  let source: Promise<Session | null> | null = null;
  const askSource = () =>
    (source ??= openSide(ends, 'source', 'dead-letters', context.signal).then(
      (session) => opened.use(session),
      () => null,
    ));
  const { replayed, refused } = await replayLetters(target, choice, {
    source: askSource,
    signal: context.signal,
  });
  const data = {
    replayed,
    refused: refused.map(({ letter, error }) => ({
      ...describedLetter(letter),
      code: error.code,
      reason: error.message,
    })),
  };
  context.stdout.write(
    flags.json
      ? document({ kind: 'DeadLettersReplayed', data })
      : [
          `replayed ${many(replayed, 'dead letter')}`,
          ...refused.map(({ letter, error }) =>
            printable(`refused again: ${letter.id}: ${error.message} ${error.remedy}`),
          ),
        ]
          .map((line) => `${line}\n`)
          .join(''),
  );
  return refused.length > 0 ? EXIT.differences : EXIT.ok;
}

interface Values {
  readonly [column: string]: string | null | { readonly unchanged: true };
}

interface DescribedLetter {
  readonly id: string;
  readonly table: string;
  readonly target: string;
  readonly operation: string;
  readonly key: string;
  /** Where the commit record of its transaction begins, and its place in the transaction. */
  readonly position: { readonly finalLsn: string; readonly ordinal: bigint };
  readonly code: string;
  readonly sqlstate: string;
  readonly reason: string;
  readonly at: string;
  readonly triedAt: string | null;
  readonly taskId: string;
  readonly old?: Values | null;
  readonly new?: Values | null;
}

function describedLetter(letter: Letter): DescribedLetter {
  const { id, kind, finalLsn, ordinal, code, sqlstate, reason, madeAt, triedAt, taskId } = letter;
  return {
    id,
    table: displayName(letter.table),
    target: displayName(letter.target),
    operation: kind,
    key: describeLetterKey(letter),
    position: { finalLsn: formatLsn(finalLsn), ordinal },
    code,
    sqlstate,
    reason,
    at: madeAt,
    triedAt,
    taskId,
  };
}

function valuesOf(rows: LetterRows): Pick<DescribedLetter, 'old' | 'new'> {
  const named = (row: Tuple | null, isKnown: (column: string) => boolean): Values | null =>
    row &&
    Object.fromEntries(
      rows.columns.flatMap((column, at): [string, Values[string]][] => {
        const cell = row[at];
        if (!isKnown(column)) return [];
        if (cell === UNCHANGED) return [[column, { unchanged: true }]];
        return [[column, typeof cell === 'string' || isLarge(cell) ? readable(cell) : null]];
      }),
    );
  return { old: named(rows.old, (column) => rows.oldColumns.has(column)), new: named(rows.new, () => true) };
}

function lines(
  counts: readonly { table: string; letters: bigint }[],
  letters: readonly DescribedLetter[],
): string[] {
  if (counts.length === 0) return ['no dead letters'];
  const rows = letters.map(({ id, table: name, operation, key, position, reason }) => [
    id,
    printable(name),
    operation,
    printable(key),
    `${position.finalLsn} #${position.ordinal}`,
    printable(reason),
  ]);
  const values = letters.flatMap((letter) =>
    (['old', 'new'] as const).flatMap((which) =>
      letter[which] ? [printable(`${letter.id} ${which}: ${JSON.stringify(letter[which])}`)] : [],
    ),
  );
  return [
    ...counts.map(({ table: name, letters: of }) => `${printable(name)}: ${many(of, 'dead letter')}`),
    ...table(['id', 'table', 'operation', 'key', 'position', 'reason'], rows, ['id']),
    ...values,
  ];
}

function parseId(text: string, before: bigint[] | undefined): bigint[] {
  if (!/^[1-9]\d{0,17}$/.test(text)) throw new InvalidArgumentError('Write the number of a letter.');
  return [...(before ?? []), BigInt(text)];
}

function parseLimit(text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new InvalidArgumentError('Write a whole number.');
  return Number(text);
}
