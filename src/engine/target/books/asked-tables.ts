/**
 * What persons ask of tables that go on: to stand still for a while, to be left out, to be copied again. Written down beside the run, which does it at
 * the next place where it can: then the table has stopped (stopped-tables.ts), or begins anew. Nothing is lost with a run that ends before.
 */
import { byteText } from '../../change/change.ts';
import type { QualifiedName } from '../../change/relation.ts';
import type { Session } from '../../pg/session.ts';
import type { Statement } from '../../pg/wire/pipeline.ts';

/** `pause`: what is committed from then on waits; `skip`: nothing is kept for it any more; `recopy`: it is emptied and copied again. */
export type TableAsk = 'pause' | 'skip' | 'recopy';

export interface AskedTable {
  /** Name on the source. */
  readonly table: QualifiedName;
  readonly ask: TableAsk;
}

/** In the order in which they were asked for. */
export async function readAskedTables(session: Session, taskId: string): Promise<AskedTable[]> {
  const rows = await session.query(
    'SELECT schema_name, table_name, ask FROM _opendts.asked_table WHERE task_id = $1 AND ask IS NOT NULL ORDER BY asked_at, schema_name, table_name',
    [taskId],
  );
  return rows.map((row) => ({
    table: { schema: row.schema_name ?? '', name: row.table_name ?? '' },
    ask: row.ask as TableAsk,
  }));
}

/** The latest is the one that counts. */
export async function askForTable(
  session: Session,
  taskId: string,
  { table, ask }: AskedTable,
): Promise<void> {
  await session.query(
    `INSERT INTO _opendts.asked_table (task_id, schema_name, table_name, ask) VALUES ($1, $2, $3, $4)
       ON CONFLICT (task_id, schema_name, table_name) DO UPDATE SET ask = EXCLUDED.ask, asked_at = pg_catalog.clock_timestamp()`,
    [taskId, table.schema, table.name, ask],
  );
}

/** Whatever was asked for is not wanted any more; false where nothing was. */
export async function takeAskBack(session: Session, taskId: string, table: QualifiedName): Promise<boolean> {
  const rows = await session.query(
    'UPDATE _opendts.asked_table SET ask = NULL WHERE task_id = $1 AND schema_name = $2 AND table_name = $3 AND ask IS NOT NULL RETURNING 1 AS asked',
    [taskId, table.schema, table.name],
  );
  return rows.length > 0;
}

/**
 * By a service, in the transaction that passes its wish of that time on: false where one as new was passed on before, which a service cannot know whose store was
 * restored, or whose worker died over it.
 */
export async function takeWish(
  session: Session,
  taskId: string,
  { table, at }: { readonly table: QualifiedName; readonly at: string },
): Promise<boolean> {
  const rows = await session.query(
    `INSERT INTO _opendts.asked_table AS a (task_id, schema_name, table_name, wished_at) VALUES ($1, $2, $3, $4)
       ON CONFLICT (task_id, schema_name, table_name) DO UPDATE SET wished_at = EXCLUDED.wished_at
       WHERE a.wished_at IS NULL OR a.wished_at < EXCLUDED.wished_at RETURNING 1 AS taken`,
    [taskId, table.schema, table.name, at],
  );
  return rows.length > 0;
}

const DONE =
  'UPDATE _opendts.asked_table SET ask = NULL WHERE task_id = $1 AND schema_name = $2 AND table_name = $3 AND ask = $4';

/** It is done, in the transaction that does it; what was asked for since stays. */
export async function askDone(session: Session, taskId: string, { table, ask }: AskedTable): Promise<void> {
  await session.query(DONE, [taskId, table.schema, table.name, ask]);
}

/** The same as a part of what the applier commits. */
export function askDoneStatement(taskId: string, { table, ask }: AskedTable): Statement {
  return { sql: DONE, values: [taskId, table.schema, table.name, ask].map(byteText) };
}
