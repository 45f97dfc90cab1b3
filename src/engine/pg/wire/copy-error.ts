/** How a relayed COPY failed. */
import { PgError, sqlstateOf } from '../pg-error.ts';

/** What failed, and on which side; both sessions are unusable afterwards. */
export class CopyError extends Error {
  override readonly name = 'CopyError';
  readonly side: 'source' | 'target';
  /** Rows that had passed; of a failure on the target, some of them it has not looked at. */
  readonly rows: number;

  constructor(side: 'source' | 'target', cause: unknown, rows: number) {
    super(cause instanceof PgError ? cause.shown : cause instanceof Error ? cause.message : String(cause), {
      cause,
    });
    this.side = side;
    this.rows = rows;
  }

  get sqlstate(): string {
    return sqlstateOf(this.cause) ?? '-----';
  }
}
