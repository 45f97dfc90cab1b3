/** What an error in the middle of a copy means for the rest of it. Pure. */
import type { AppError } from '../../base/errors/app-error.ts';
import type { ErrorCode } from '../../base/errors/errors.ts';

/**
 * `again`: the attempt is lost, the next may pass. `later`: this table needs a later snapshot. `table`: it concerns this table only, the
 * others go on. `run`: it concerns all.
 */
export type CopyFate = 'again' | 'later' | 'table' | 'run';

/** By SQLSTATE; what is not listed is about the rows or the definition of the one table. */
const STATES: readonly (readonly [RegExp, CopyFate])[] = [
  // Canceled, deadlock, lock time-out, serialization: by chance or by somebody's hand.
  [/^(57014|40|55P03)/, 'again'],
  // No space, no memory, no connections; the server's own files; a target that has become read-only.
  [/^(53|57|58|25006)/, 'run'],
];

const CODES: Partial<Record<ErrorCode, CopyFate>> = {
  CONNECTION_LOST: 'again',
  CONNECT_FAILED: 'again',
  TABLE_REWRITTEN: 'later',
  TABLE_CHANGED: 'table',
  ROW_REFUSED: 'table',
};

export function fateOf(error: AppError): CopyFate {
  if (error.code !== 'COPY_FAILED') return CODES[error.code] ?? 'run';
  const state = String(error.facts.sqlstate);
  return STATES.find(([pattern]) => pattern.test(state))?.[1] ?? 'table';
}
