/**
 * Tables that have stopped while the others go on (data-plane P11): everything before a table's position is applied to it, what follows
 * waits in the slot, which is therefore not confirmed beyond it. With a person's choice it catches up from there, or is copied again.
 */
import { formatLsn, parseLsn, type Lsn } from '../change/lsn.ts';
import { byteText } from '../change/change.ts';
import { nameKey, type QualifiedName } from '../change/relation.ts';
import type { Session } from '../pg/session.ts';
import type { Statement } from '../pg/wire/pipeline.ts';
import { arrayLiteral } from './column-array.ts';

/**
 * `retry`: try the changes again; `recopy`: copy the table again; `as-is`: try again, and fill the target table as it is from now on,
 * although its columns differ from the source's; `dead-letter`: try again, and from now on keep what is refused as dead letters.
 */
export const TABLE_CHOICES = ['retry', 'recopy', 'as-is', 'dead-letter'] as const;
export type TableChoice = (typeof TABLE_CHOICES)[number];

export interface StoppedTable {
  /** Name on the source. */
  readonly table: QualifiedName;
  readonly endLsn: Lsn;
  /** Code of the error table, and the text a person reads. */
  readonly code: string;
  readonly reason: string;
  /** Null: nobody has chosen yet. */
  readonly choice: 'retry' | 'recopy' | null;
}

export async function readStoppedTables(session: Session, taskId: string): Promise<StoppedTable[]> {
  const rows = await session.query(
    `SELECT schema_name, table_name, end_lsn, code, reason, choice FROM _opendts.stopped_table
      WHERE task_id = $1 ORDER BY schema_name, table_name`,
    [taskId],
  );
  return rows.map((row) => ({
    table: { schema: row.schema_name ?? '', name: row.table_name ?? '' },
    endLsn: parseLsn(row.end_lsn ?? ''),
    code: row.code ?? '',
    reason: row.reason ?? '',
    choice: (row.choice ?? null) as StoppedTable['choice'],
  }));
}

/** Whether somebody has chosen for a table since it was `known`. Pure. */
export function hasNewChoice(known: readonly StoppedTable[], now: readonly StoppedTable[]): boolean {
  const open = new Set(known.flatMap(({ table, choice }) => (choice === null ? [nameKey(table)] : [])));
  return now.some(({ table, choice }) => choice !== null && open.has(nameKey(table)));
}

/** False when the table has not stopped. */
export async function chooseForTable(
  session: Session,
  taskId: string,
  { table, choice }: { table: QualifiedName; choice: TableChoice },
): Promise<boolean> {
  const rows = await session.query(
    `UPDATE _opendts.stopped_table SET choice = $4 WHERE task_id = $1 AND schema_name = $2 AND table_name = $3 RETURNING 1 AS chosen`,
    [taskId, table.schema, table.name, choice === 'recopy' ? 'recopy' : 'retry'],
  );
  await keepLetters(session, taskId, { table, keeps: choice === 'dead-letter' });
  if (choice === 'as-is')
    await session.query(
      'UPDATE _opendts.task_table SET as_is = true WHERE task_id = $1 AND schema_name = $2 AND table_name = $3',
      [taskId, table.schema, table.name],
    );
  return rows.length > 0;
}

/** Tables, by nameKey, of which dead letters are kept: a person has chosen so and not taken it back. */
export async function readLetterTables(
  session: Session,
  taskId: string,
): Promise<Map<string, QualifiedName>> {
  const rows = await session.query(
    'SELECT schema_name, table_name FROM _opendts.task_table WHERE task_id = $1 AND dead_letters ORDER BY schema_name, table_name',
    [taskId],
  );
  const tables = rows.map((row) => ({ schema: row.schema_name ?? '', name: row.table_name ?? '' }));
  return new Map(tables.map((table) => [nameKey(table), table]));
}

/** Takes effect at the next change of the table that is refused. */
export async function keepLetters(
  session: Session,
  taskId: string,
  { table, keeps }: { table: QualifiedName; keeps: boolean },
): Promise<void> {
  await session.query(
    'UPDATE _opendts.task_table SET dead_letters = $4 WHERE task_id = $1 AND schema_name = $2 AND table_name = $3',
    [taskId, table.schema, table.name, String(keeps)],
  );
}

/** Whoever starts a task anew has looked at what stopped: it is tried again. */
export async function retryStoppedTables(session: Session, taskId: string): Promise<void> {
  await session.query(
    "UPDATE _opendts.stopped_table SET choice = 'retry' WHERE task_id = $1 AND choice IS NULL",
    [taskId],
  );
}

/** Inside the transaction that takes the table's rows out: it begins anew, and what was refused of it is in the copy. */
export async function forgetStoppedTable(
  session: Session,
  taskId: string,
  { schema, name }: QualifiedName,
): Promise<void> {
  for (const books of ['stopped_table', 'dead_letter'])
    await session.query(
      `DELETE FROM _opendts.${books} WHERE task_id = $1 AND schema_name = $2 AND table_name = $3`,
      [taskId, schema, name],
    );
}

/** A table that stops again, while catching up, keeps its position. */
export function stopStatement(taskId: string, stopped: StoppedTable): Statement {
  const { table, endLsn, code, reason } = stopped;
  return {
    sql: `INSERT INTO _opendts.stopped_table (task_id, schema_name, table_name, end_lsn, code, reason)
          VALUES ($1, $2, $3, $4::pg_lsn, $5, $6)
          ON CONFLICT (task_id, schema_name, table_name) DO UPDATE SET code = EXCLUDED.code, reason = EXCLUDED.reason, choice = NULL`,
    values: [taskId, table.schema, table.name, formatLsn(endLsn), code, reason].map(byteText),
  };
}

/** Tables that catch up are at `endLsn` now; `isTogether`: that is where the others are, so they go on with them. */
export function catchUpStatement(
  taskId: string,
  tables: readonly QualifiedName[],
  { endLsn, isTogether }: { endLsn: Lsn; isTogether: boolean },
): Statement {
  const ours = `task_id = $1 AND (schema_name, table_name) IN (SELECT u.s, u.t FROM unnest($2::text[], $3::text[]) u(s, t))`;
  const values = [
    byteText(taskId),
    arrayLiteral(tables.map(({ schema }) => byteText(schema))),
    arrayLiteral(tables.map(({ name }) => byteText(name))),
  ];
  return isTogether
    ? { sql: `DELETE FROM _opendts.stopped_table WHERE ${ours}`, values }
    : {
        sql: `UPDATE _opendts.stopped_table SET end_lsn = $4::pg_lsn WHERE ${ours} AND end_lsn < $4::pg_lsn`,
        values: [...values, byteText(formatLsn(endLsn))],
      };
}
