/** Errors of the table about the objects of a schema. */
import { area } from './error-entry.ts';
import { EXIT } from './exit.ts';

const usage = area(EXIT.usage);
const data = area(EXIT.data);

export const SCHEMA_ERRORS = {
  SCHEMA_FAILED: data(
    409,
    '{count} of the schema cannot be created on the target: {problems}.{rest}',
    'See all of them with their SQL: opendts schema report. Remove the cause, give other SQL (opendts schema edit) or do without (opendts schema skip); then run the same command again.',
  ),
  SCHEMA_INTERRUPTED: data.later(
    503,
    'Creating {object} on the target was interrupted: {problem} (SQLSTATE {sqlstate}).',
    'It is not the fault of that object, and nothing of it was kept. Run the same command again: it goes on there.',
  ),
  NO_SUCH_OBJECT: usage(
    404,
    'No migration into this target has an object "{object}".{nearest}',
    'List them with their ids: opendts schema report --all.',
  ),
  PARTITION_REFUSED: data(
    409,
    'The rows of partition {table} cannot join the others in {into}: {problem}.',
    'Remove the cause on the target and let it go on (opendts tables --retry {table}), or have both emptied and copied again (--recopy {table}).',
  ),
};
