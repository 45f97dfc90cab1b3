/**
 * Which rows of the change stream pass their filter, asked of the source in one round trip for as many rows as there are. A condition is
 * immutable, so what was answered once holds: rows with the same values are asked for once.
 */
import { AppError } from '../../base/errors/app-error.ts';
import { readable, type ByteText } from '../change/change.ts';
import { displayName } from '../change/relation.ts';
import { PgError, isConnectionLoss } from '../pg/pg-error.ts';
import type { Session } from '../pg/session.ts';
import { verdictsSql, type RowFilter } from './row-filter.ts';

/** A row's values in the order of the filter's columns. */
export interface Question {
  readonly filter: RowFilter;
  readonly cells: readonly (ByteText | null)[];
}

/** Characters of values remembered. */
const MOST_REMEMBERED = 4 * 1024 * 1024;
/** What an entry takes besides its values, in characters. */
const ENTRY = 50;

export class FilterVerdicts implements AsyncDisposable {
  private readonly session: Session;
  private readonly known = new Map<RowFilter, Map<string, boolean>>();
  private remembered = 0;

  /** The session belongs to it. */
  constructor(session: Session) {
    this.session = session;
  }

  /** Undefined until learned. */
  passes({ filter, cells }: Question): boolean | undefined {
    return this.known.get(filter)?.get(keyOf(cells));
  }

  /**
   * Asks the source for what is not known yet; afterwards `passes` answers all of these. Throws FILTER_FAILED, or CONNECTION_LOST, also
   * when the signal aborts: a condition may take long.
   */
  async learn(questions: readonly Question[], signal: AbortSignal): Promise<void> {
    if (this.remembered > MOST_REMEMBERED) {
      this.known.clear();
      this.remembered = 0;
    }
    const open = new Map<RowFilter, Map<string, Question['cells']>>();
    for (const question of questions) {
      if (this.passes(question) !== undefined) continue;
      const rows = open.get(question.filter) ?? new Map<string, Question['cells']>();
      open.set(question.filter, rows.set(keyOf(question.cells), question.cells));
    }
    if (open.size === 0) return;
    signal.throwIfAborted();
    const cut = () => this.session.destroy();
    signal.addEventListener('abort', cut, { once: true });
    const answers = await this.ask(open).finally(() => signal.removeEventListener('abort', cut));
    for (const [at, [filter, rows]] of [...open].entries()) {
      const known = this.known.get(filter) ?? new Map<string, boolean>();
      this.known.set(filter, known);
      for (const [place, key] of [...rows.keys()].entries()) {
        known.set(key, answers[at]?.[place] === '1');
        this.remembered += key.length + ENTRY;
      }
    }
  }

  private async ask(open: ReadonlyMap<RowFilter, ReadonlyMap<string, Question['cells']>>): Promise<string[]> {
    const filters = [...open.keys()];
    const sql = `SELECT ${filters.map((filter, at) => `${verdictsSql(filter, at + 1)} AS v${at}`).join(', ')}`;
    const rows = [...open.values()].map((asked) =>
      JSON.stringify([...asked.values()].map((cells) => cells.map((cell) => cell && readable(cell)))),
    );
    const answer = await this.session.one(sql, rows).catch((thrown: unknown) => {
      if (!(thrown instanceof PgError) || isConnectionLoss(thrown)) throw thrown;
      throw new AppError(
        'FILTER_FAILED',
        { table: filters.map(({ table }) => displayName(table)).join(', '), problem: thrown.shown },
        thrown,
      );
    });
    return filters.map((filter, at) => {
      const verdicts = answer[`v${at}`] ?? '';
      if (verdicts.length !== open.get(filter)?.size)
        throw new Error(`${verdicts.length} verdicts for ${displayName(filter.table)}`);
      return verdicts;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.session.end();
  }
}

/** A NUL cannot occur in a value. */
function keyOf(cells: Question['cells']): string {
  return cells.map((cell) => (cell === null ? '' : `=${cell}`)).join('\0');
}
