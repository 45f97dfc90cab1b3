/** The tables of a task by name, page by page, with what is wanted for them. */
import { z } from 'zod';
import { tableProgress } from '../../../../contract/api/task-progress.ts';
import { TABLE_WISHES } from '../../../../contract/api/task-tables.ts';
import { TABLE_STAGES } from '../../../../contract/progress.ts';
import { json, time } from '../../columns.ts';
import type { Page } from '../../page.ts';
import type { Db } from '../../store.ts';

const tableRow = z.object({
  name: z.string(),
  stage: z.enum(TABLE_STAGES),
  body: json(tableProgress),
  wish: z.enum(TABLE_WISHES).nullable(),
  updated_at: time,
});
export type StoredTable = z.infer<typeof tableRow>;

export interface WantedTables extends Page {
  readonly taskId: string;
  /** Part of a name; null: all. */
  readonly name: string | null;
  readonly stage: string | null;
}

export async function listTables(
  db: Db,
  { taskId, name, stage, after, limit }: WantedTables,
): Promise<StoredTable[]> {
  return db.query(
    tableRow,
    `SELECT b.name, b.stage, b.body, w.wish, b.updated_at
       FROM opendts.task_table b LEFT JOIN opendts.task_table_wish w ON w.task_id = b.task_id AND w.name = b.name
      WHERE b.task_id = $1 AND ($2::text IS NULL OR b.name > $2)
        AND ($3::text IS NULL OR pg_catalog.strpos(b.name, $3) > 0) AND ($4::text IS NULL OR b.stage = $4)
      ORDER BY b.name LIMIT $5`,
    [taskId, after, name, stage, String(limit)],
  );
}
