/**
 * The statements of a small window in a form that the target itself judges (data-plane P11), so that a whole transaction goes there in one
 * round trip: each counts the rows it touches, and fails where the number is not what it must be. Pure.
 */
import { byteText } from '../../../change/change.ts';
import { PgError, SQLSTATE } from '../../../pg/pg-error.ts';
import type { Statement } from '../../../pg/wire/pipeline.ts';
import type { Planned } from './apply-sql.ts';
import { textOf } from './statement-text.ts';

/** Rows. Counting costs more than a round trip where there are many. */
export const MAX_COUNTED = 1_000;

/** Null where the statements have to be judged from here. */
export function atOnce(planned: readonly Planned[]): readonly Statement[] | null {
  const counted = planned.reduce((sum, { expect }) => sum + (expect ?? 0), 0);
  // A COPY cannot be counted there, and a trigger (of a partition, or a new one) may keep rows away from it; a WITH that changes rows cannot
  // stand in another.
  const isOwn = ({ table, sql, copyData }: Planned) =>
    table.fires || copyData !== undefined || sql.startsWith('WITH ');
  if (counted > MAX_COUNTED || planned.some(isOwn)) return null;
  return planned.map((one) => (one.expect === null ? one : countedBy(one)));
}

function countedBy({ sql, values, binary, table, expect }: Planned): Statement {
  return {
    sql: textOf(
      table,
      sql,
      () =>
        `WITH touched AS (${sql} RETURNING 1) SELECT 1 / (count(*) = $${values.length + 1}::bigint)::int FROM touched`,
    ),
    values: [...values, byteText(String(expect))],
    ...(binary ? { binary: [...binary, false] } : {}),
  };
}

/** The number was not what it must be, or the data themselves divide by zero, which shows in order. */
export function isMiscounted(thrown: unknown): boolean {
  return thrown instanceof PgError && thrown.sqlstate === SQLSTATE.divisionByZero;
}
