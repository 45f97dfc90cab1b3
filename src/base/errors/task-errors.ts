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
  TASK_BEGUN: usage(
    409,
    'Task "{task}" has begun: {fields} cannot change any more, what it has made on the target belongs to these.',
    'Clone it and change the clone; stop and release this one when it is no longer needed.',
  ),
  TASK_AMBIGUOUS: usage(409, 'Several tasks are called "{name}".', 'Give the id; the list shows it.'),
  CONNECTION_IN_USE: usage(
    409,
    'Connection "{name}" is used by {tasks}.',
    'Delete these tasks first, or give them another connection.',
  ),
};
