/** Tables, or ranges of their keys, that are emptied and copied again beside the stream: their changes are in the copy that follows. */
import { displayName, nameKey, type QualifiedName } from '../../../engine/change/relation.ts';
import type { NeedsRecopy } from '../../../engine/pipeline/visibility.ts';
import type { Applier } from '../../../engine/target/apply/applier.ts';
import { countLetters } from '../../../engine/target/letters/stored-letters.ts';
import type { Copies } from '../copy/copies.ts';
import { readBooks, type CopiedTable } from '../copy/copy-books.ts';
import { patiently } from '../copy/copy-pass.ts';
import { readKeysOfBothEnds } from '../copy/range-units.ts';
import { emptyRanges, emptyTables } from '../copy/take-back.ts';
import { totalLetters } from '../dead-letters.ts';
import { warn, type TaskRun } from '../task-run.ts';
import type { Together } from './beside.ts';
import { beginColumnsAnew } from './ddl-change.ts';

/** Two ranges that must be of one moment. */
export async function takeRangesBack(
  run: TaskRun,
  { copies, turns }: Together,
  { relation, chunks }: NeedsRecopy,
): Promise<void> {
  // The source may call it something else by now.
  const table = run.followed.find(({ oid }) => oid === relation.oid) ?? relation;
  const names = new Set([nameKey(table)]);
  await turns.between(() =>
    patiently(run, async () => {
      const [one] = await booksOf(run, names);
      if (one?.cut.kind !== 'key') throw new Error(`${displayName(table)} is not cut by a key`);
      warn(
        run,
        `a row of ${displayName(table)} moved between ranges that were copied at different moments: both are copied again`,
      );
      await emptyRanges(run, { table: one.table, cut: one.cut, chunks });
      await reload(run, copies, names);
    }),
  );
}

/** Empties the stopped tables that a person wants to have copied again; `later`: the copy beside the stream is in the middle of a pass. */
export async function copyAgain(
  run: TaskRun,
  { copies, turns }: Together,
  applier: Applier,
): Promise<'begun' | 'later' | null> {
  const chosen = applier.positions.stopped.filter(({ choice }) => choice === 'recopy');
  // What is emptied of one takes the rows of all that go into the same table with it.
  const targets = new Set(chosen.flatMap(({ table, code }) => targetsOf(run, table, code).map(nameKey)));
  const wanted = run.followed.filter((table) => targets.has(nameKey(run.targetOf(table))));
  const names = new Set([...wanted.map(nameKey), ...copies.notSettled]);
  if (names.size === 0) {
    turns.leave();
    return null;
  }
  if (!turns.ask()) return 'later';
  await turns.between(async () => {
    copies.unsettle(wanted);
    const books = await booksOf(run, new Set(wanted.map(nameKey)));
    const letters = await countLetters(await run.ends.target(), run.taskId);
    await beginColumnsAnew(run, wanted);
    await emptyTables(run, books);
    for (const table of wanted) {
      applier.positions.forget(table);
      copies.tryAgain(displayName(table));
      const settled = totalLetters(letters.filter((of) => nameKey(of.table) === nameKey(table)));
      const what = settled === 0n ? '' : `, which settles its ${settled} dead letters`;
      warn(run, `${displayName(table)} is copied again${what}`);
    }
    await reload(run, copies, names);
  });
  return 'begun';
}

/** A partition that the others' table has refused is copied together with them. */
function targetsOf(run: TaskRun, table: QualifiedName, code: string): QualifiedName[] {
  const known = run.followed.find((one) => nameKey(one) === nameKey(table));
  const root = run.selected.find(({ oid }) => oid === known?.rootOid);
  return [table, ...(code === 'PARTITION_REFUSED' && root ? [root] : [])].map(run.targetOf);
}

async function reload(run: TaskRun, copies: Copies, names: ReadonlySet<string>): Promise<void> {
  copies.load(await booksOf(run, names), await readKeysOfBothEnds(run));
}

async function booksOf(run: TaskRun, names: ReadonlySet<string>): Promise<CopiedTable[]> {
  const tables = run.followed.filter((table) => names.has(nameKey(table)));
  return readBooks(await run.ends.target(), run.taskId, tables);
}
