/** Errors of the table about the tasks of the service. */
import { area } from './error-entry.ts';
import { EXIT } from './exit.ts';

const usage = area(EXIT.usage);

export const TASK_ERRORS = {
  TASK_STATE_REFUSES: usage(
    409,
    'Task "{task}" is {state}: "{event}" is not possible now.',
    'Possible is: {possible}.',
  ),
};
