/** Dead letters of the migrations into a target: which there are, replaying and dropping them, and telling of them. */
import { AppError } from '../../base/errors/app-error.ts';
import type { TableLetters } from '../../contract/progress.ts';
import { displayName, nameKey } from '../../engine/change/relation.ts';
import { readTables } from '../../engine/pg/catalog/tables/tables.ts';
import { readUniqueKeys } from '../../engine/pg/catalog/constraints/unique-keys.ts';
import type { Session } from '../../engine/pg/session.ts';
import { matcher } from '../../engine/selection/selection.ts';
import type { Applied } from '../../engine/pipeline/stream-run.ts';
import { hasBookkeeping } from '../../engine/target/books/bookkeeping.ts';
import { replayLetter } from '../../engine/target/letters/replay-letter.ts';
import { silenceTriggers } from '../../engine/target/silence-triggers.ts';
import {
  countLetters,
  readLetters,
  type Letter,
  type LetterChoice,
  type LetterCount,
} from '../../engine/target/letters/stored-letters.ts';
import type { TaskRun } from './task-run.ts';

/** Of all tasks of the target. */
export async function lettersOn(target: Session, taskId?: string): Promise<LetterCount[]> {
  return (await hasBookkeeping(target)) ? countLetters(target, taskId) : [];
}

/** By source table, as `schema.table`. */
export function perTable(counts: readonly LetterCount[]): TableLetters[] {
  return counts.map(({ table, letters }) => ({ table: displayName(table), letters }));
}

export function totalLetters(counts: readonly Pick<LetterCount, 'letters'>[]): bigint {
  return counts.reduce((sum, { letters }) => sum + letters, 0n);
}

/** Throws DEAD_LETTERS_LEFT: they go with our schema. */
export async function assertNoLetters(target: Session, taskId?: string): Promise<void> {
  const counts = await lettersOn(target, taskId);
  if (counts.length === 0) return;
  throw new AppError('DEAD_LETTERS_LEFT', {
    count: totalLetters(counts),
    tables: perTable(counts)
      .map(({ table, letters }) => `${letters} of ${table}`)
      .join(', '),
  });
}

/** Throws NO_DEAD_LETTER naming the pattern that names no table with letters, or the number that is none. */
export async function chooseLetters(
  target: Session,
  { patterns, ids }: { patterns: readonly string[]; ids: readonly bigint[] },
): Promise<LetterChoice> {
  const counts = await lettersOn(target);
  const tables = new Set<LetterCount>();
  for (const pattern of patterns) {
    const isNamed = matcher(pattern);
    const named = counts.filter(({ table }) => isNamed(table));
    if (named.length === 0) throw new AppError('NO_DEAD_LETTER', { what: pattern });
    for (const one of named) tables.add(one);
  }
  for (const id of ids) {
    const found =
      counts.length > 0 && (await readLetters(target, { tables: [], ids: [id] }, { after: '0', limit: 1 }));
    if (!found || found.length === 0) throw new AppError('NO_DEAD_LETTER', { what: `number ${id}` });
  }
  return { tables: [...tables], ids };
}

export interface Replayed {
  readonly replayed: number;
  readonly refused: readonly { readonly letter: Letter; readonly error: AppError }[];
}

const PAGE = 500;

/** In the order of the stream, one replay of a target at a time; what is refused again stays. `source`: null where it cannot be asked. */
export async function replayLetters(
  target: Session,
  choice: LetterChoice,
  { source, signal }: { source: () => Promise<Session | null>; signal: AbortSignal },
): Promise<Replayed> {
  await target.query("SELECT pg_catalog.pg_advisory_lock(pg_catalog.hashtext('_opendts dead letters'))");
  await silenceTriggers(target);
  const tables = new Map(
    (await readTables(target, { sizes: false })).map((table) => [nameKey(table), table]),
  );
  const ends = { target, source, tables, keys: await readUniqueKeys(target) };
  const refused: { letter: Letter; error: AppError }[] = [];
  let replayed = 0;
  for (let after = '0'; ;) {
    const letters = await readLetters(target, choice, { after, limit: PAGE });
    for (const letter of letters) {
      signal.throwIfAborted();
      const error = await replayLetter(ends, letter);
      if (error) refused.push({ letter, error });
      else replayed++;
      after = letter.id;
    }
    if (letters.length < PAGE) return { replayed, refused };
  }
}

/** Tells, at the 1st, the 10th, the 100th … of a table, that changes have become dead letters; counts them for the progress. */
export class LetterNews {
  private readonly run: TaskRun;
  private readonly seen = new Map<string, number>();

  constructor(run: TaskRun) {
    this.run = run;
  }

  applied({ accounts }: Applied): void {
    const { book, hooks } = this.run;
    for (const [table, { dead }] of accounts) {
      if (dead === 0) continue;
      const before = this.seen.get(table) ?? 0;
      const now = before + dead;
      this.seen.set(table, now);
      book.deadLetters += BigInt(dead);
      if (String(now).length === String(before).length && before > 0) continue;
      const what = now === 1 ? '1 change' : `${now} changes`;
      const message = `${table}: ${what} refused by the target in this run, kept as dead letters: opendts dead-letters list`;
      hooks.onEvent({ level: 'warn', phase: book.phase, message });
    }
  }
}
