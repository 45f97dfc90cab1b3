/** What may be wrong with a statement of the applier, and the error a person gets when it is wrong in order too (data-plane P11). */
import { AppError } from '../../../base/errors/app-error.ts';
import { UNCHANGED, type Tuple } from '../../change/change.ts';
import { isDataError, PgError, SQLSTATE, sqlstateOf } from '../../pg/pg-error.ts';
import { describeKey, describeTable, type Planned } from './sql/apply-sql.ts';

/** Errors travel into logs: the key may be named there, values may not. Nor is what may be large kept for it. */
export function withoutValues(planned: Planned): Planned {
  const { copyData: _, change: __, ...rest } = planned;
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

const MEETS_ANOTHER: readonly string[] = [SQLSTATE.uniqueViolation, SQLSTATE.exclusionViolation];
/** A page: more fits into no index. */
const INDEXED = 8192;

function newRow({ change: placed }: Planned): Tuple | null {
  if (!placed || placed.change.kind === 'delete') return null;
  return placed.change.new.map((cell) =>
    cell === null || (typeof cell === 'string' && cell.length <= INDEXED) ? cell : UNCHANGED,
  );
}

/** A statement that the target refused, for its data or for the table as it is. */
export class ApplyRefused extends Error {
  override readonly name = 'ApplyRefused';
  readonly planned: Planned;
  /** In order, one change a statement, it may still pass. */
  readonly isForData: boolean;
  /** Private, so that no log shows it. */
  readonly #incoming: Tuple | null;

  constructor(planned: Planned, cause: PgError) {
    super(cause.shown, { cause });
    this.planned = withoutValues(planned);
    this.isForData = isDataError(cause);
    this.#incoming = MEETS_ANOTHER.includes(cause.sqlstate) ? newRow(planned) : null;
  }

  /** The row that met another one, as far as it can be part of an index. */
  get incoming(): Tuple | null {
    return this.#incoming;
  }
}

/** What a statement of the applier threw: its refusal, or an error that passes by itself, as it is. */
export function refusalOf(thrown: unknown, planned: Planned | undefined): unknown {
  const isRefused = planned && thrown instanceof PgError && (isDataError(thrown) || !isPassing(thrown));
  return isRefused ? new ApplyRefused(planned, thrown) : thrown;
}

/** Errors that pass by themselves: the window is read again after a pause. */
function isPassing(thrown: unknown): boolean {
  const state = sqlstateOf(thrown);
  return (
    state === undefined ||
    /^(08|40|53|57)/.test(state) ||
    state === SQLSTATE.lockNotAvailable ||
    state.startsWith('25P')
  );
}

/** The end of the road for a change that fails in order too: the error a person gets. `inTheWay`: the key of the row that it met. */
export function explainApply(
  thrown: RowCountDiffers | ApplyRefused,
  inTheWay: string | null = null,
): AppError {
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
      problem: inTheWay === null ? thrown.message : `${thrown.message}; the row in its way is ${inTheWay}`,
      sqlstate: cause?.sqlstate ?? '',
      sql: planned.sql.slice(0, 300),
    },
    thrown,
  );
}
