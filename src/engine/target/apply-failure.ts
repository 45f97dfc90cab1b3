/** What may be wrong with a statement of the applier, and the error a person gets when it is wrong in order too (data-plane P11). */
import { AppError } from '../../base/errors/app-error.ts';
import { isDataError, PgError } from '../pg/pg-error.ts';
import { describeKey, describeTable, type Planned } from './apply-sql.ts';

/** Errors travel into logs: the key may be named there, values may not. Nor is what may be large kept for it. */
export function withoutValues(planned: Planned): Planned {
  const { copyData: _, ...rest } = planned;
  return { ...rest, values: [] };
}

/** A statement that touched another number of rows than it carries (P11). */
export class RowCountDiffers extends Error {
  override readonly name = 'RowCountDiffers';
  readonly planned: Planned;
  readonly found: number;

  constructor(planned: Planned, found: number) {
    super(`${planned.operation} touched ${found} rows instead of ${planned.expect}`);
    this.planned = withoutValues(planned);
    this.found = found;
  }
}

/** A statement that the target refused, for its data or for the table as it is. */
export class ApplyRefused extends Error {
  override readonly name = 'ApplyRefused';
  readonly planned: Planned;
  /** In order, one change a statement, it may still pass. */
  readonly isForData: boolean;

  constructor(planned: Planned, cause: PgError) {
    super(cause.shown, { cause });
    this.planned = withoutValues(planned);
    this.isForData = isDataError(cause);
  }
}

/** The end of the road for a change that fails in order too: the error a person gets. */
export function explainApply(thrown: RowCountDiffers | ApplyRefused): AppError {
  const { planned } = thrown;
  const facts = {
    table: describeTable(planned.table),
    key: describeKey(planned),
    operation: planned.operation.toUpperCase(),
  };
  if (thrown instanceof RowCountDiffers)
    return new AppError('ROW_MISSING', { ...facts, found: thrown.found }, thrown);
  const cause = thrown.cause instanceof PgError ? thrown.cause : null;
  return new AppError(
    'APPLY_FAILED',
    {
      ...facts,
      problem: thrown.message,
      sqlstate: cause?.sqlstate ?? '',
      sql: planned.sql.slice(0, 300),
    },
    thrown,
  );
}
