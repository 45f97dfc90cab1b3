/**
 * Makes a change of columns on the target, in one transaction with its record, so that it is made once whatever breaks. The table is
 * locked for a moment at a time: who reads it waits no longer than that for us to get it.
 */
import { columnsOf, readColumns } from '../../pg/catalog/tables/columns-now.ts';
import type { TableInfo } from '../../pg/catalog/tables/tables.ts';
import { qname } from '../../pg/ident.ts';
import { PgError, SQLSTATE, sqlstateOf, isConnectionLoss } from '../../pg/pg-error.ts';
import type { Session } from '../../pg/session.ts';
import type { ColumnStep } from './column-plan.ts';
import { defaultSql, stepSql, stepWords } from './column-sql.ts';

/** Shorter than deadlock_timeout, by default a second. */
const MOMENT_MS = 200;

export interface TargetChange {
  /** As it was read; of a partition the partitioned table at the top. */
  readonly table: TableInfo;
  /** Throws NotApplicable. */
  readonly planFor: (isEmpty: boolean) => readonly ColumnStep[];
  /** The last statements of the transaction. */
  readonly record: (session: Session, steps: readonly ColumnStep[]) => Promise<void>;
}

/** `busy`: somebody holds a lock on the table. `moved`: it is not as it was read. */
export type Outcome =
  | { readonly kind: 'done'; readonly words: readonly string[] }
  | { readonly kind: 'busy' }
  | { readonly kind: 'moved' };

/** Throws NotApplicable, or what the target refuses with. */
export async function changeTable(session: Session, change: TargetChange): Promise<Outcome> {
  const on = qname(change.table);
  try {
    return await session.transaction(async (): Promise<Outcome> => {
      await session.query(`SET LOCAL lock_timeout = ${MOMENT_MS}; SET LOCAL synchronous_commit = on`);
      await session.query(`LOCK TABLE ${on} IN ACCESS EXCLUSIVE MODE`);
      const now = await readColumns(session, [change.table]);
      if (now.get(change.table.oid) !== columnsOf(change.table)) return { kind: 'moved' };
      const { empty } = await session.one(`SELECT (NOT EXISTS (SELECT FROM ${on}))::text AS empty`);
      const steps = change.planFor(empty === 'true');
      const words: string[] = [];
      for (const step of steps) words.push(...(await make(session, step, change.table)));
      await change.record(session, steps);
      return { kind: 'done', words };
    });
  } catch (thrown) {
    const state = sqlstateOf(thrown);
    if (state === SQLSTATE.lockNotAvailable || state === SQLSTATE.deadlock) return { kind: 'busy' };
    throw thrown;
  }
}

async function make(session: Session, step: ColumnStep, table: TableInfo): Promise<string[]> {
  const on = qname(table);
  const indexes = step.kind === 'drop' ? await indexesOn(session, table, step.column) : [];
  await session.query(stepSql(step, on, session.version));
  const words = [
    `${stepWords(step)}${indexes.length > 0 ? `, and with it ${indexes.map((name) => `index "${name}"`).join(', ')}` : ''}`,
  ];
  if (step.kind !== 'add') return words;
  const standard = defaultSql(step.column, on);
  if (standard !== null && !(await tryOut(session, standard)))
    words.push(`its default is not on the target, which lacks what it needs: ${step.column.expression}`);
  if (step.column.notNull === true && !step.isNotNull)
    words.push('its NOT NULL is not on the target: rows from before have no value yet');
  return words;
}

/** The server drops indexes and constraints of the same table with a column of theirs, as it did on the source. */
async function indexesOn(session: Session, { oid }: TableInfo, column: string): Promise<string[]> {
  const rows = await session.query(
    `SELECT c.relname AS name FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
       JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
      WHERE i.indrelid = $1 AND a.attname = $2 ORDER BY 1`,
    [String(oid), column],
  );
  return rows.map(({ name }) => name ?? '');
}

/** False where the target refuses: all before it stays. */
async function tryOut(session: Session, sql: string): Promise<boolean> {
  await session.query('SAVEPOINT opendts_default');
  try {
    await session.query(sql);
    return true;
  } catch (thrown) {
    if (!(thrown instanceof PgError) || isConnectionLoss(thrown)) throw thrown;
    if (thrown.sqlstate === SQLSTATE.lockNotAvailable) throw thrown;
    await session.query('ROLLBACK TO SAVEPOINT opendts_default');
    return false;
  }
}
