/** A statement that the source's account may not run, as something for the owner to run. */
import { AppError } from '../../base/errors/app-error.ts';
import { SQLSTATE, sqlstateOf } from '../pg/pg-error.ts';
import type { Session } from '../pg/session.ts';

const SHOWN = 300;

/** RIGHTS_MISSING where that is what `thrown` says, else `thrown`. */
export function rightsMissing(thrown: unknown, source: Session, statement: string): unknown {
  if (sqlstateOf(thrown) !== SQLSTATE.insufficientPrivilege) return thrown;
  const shown = statement.length > SHOWN ? `${statement.slice(0, SHOWN)} …` : statement;
  return new AppError(
    'RIGHTS_MISSING',
    {
      user: source.user,
      action: `run "${shown}"`,
      side: 'source',
      remedy: `As the owner of the table run: ${shown};`,
    },
    thrown,
  );
}
