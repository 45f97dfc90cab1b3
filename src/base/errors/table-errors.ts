/** Errors of the table about single tables of a migration that do not go on with the others. */
import { area } from './error-entry.ts';
import { EXIT } from './exit.ts';

const usage = area(EXIT.usage);
const data = area(EXIT.data);

export const TABLE_ERRORS = {
  NOT_STOPPED: usage(404, 'No table "{table}" has stopped.', 'List those that have: opendts tables.'),
  NO_SUCH_TABLE: usage(
    404,
    'No migration into this target has a table "{table}".',
    'Check the name: it is that on the source, with its schema.',
  ),
  WISH_DONE: usage(
    409,
    'What was asked for {table}, or something newer, was passed on to its migration already.',
    'Nothing is to be done. Where it is wanted once more, ask again.',
  ),
  TABLES_FAILED: data(
    409,
    '{count} tables could not be copied; all others are. {problems}',
    'Remove the causes and run again: what is copied stays.',
  ),
  TABLES_STOPPED: data(
    409,
    '{count} tables have stopped; all others are in step with the source. {problems}',
    'Remove the causes and run again: their changes wait in the slot. Or have a table copied again: opendts tables --recopy.',
  ),
  TABLE_PAUSED: data(
    409,
    '{table} is paused: somebody has asked for it.',
    'Let it go on: opendts tables --retry {table} (of a task of a server: opendts task tables --resume). Its changes wait in the slot until then.',
  ),
  TABLE_SKIPPED: data(
    409,
    '{table} is left out: somebody has asked for it. What changed of it since is not kept.',
    'To have it after all, have it copied again: opendts tables --recopy {table}.',
  ),
  TABLE_RECOPIED: data(
    409,
    '{table} is to be copied again: somebody has asked for it.',
    'Nothing is to be done: it begins as soon as what is being copied allows it.',
  ),
};
