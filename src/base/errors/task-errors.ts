/** Errors of the table about the tasks of the service. */
import { area } from './error-entry.ts';
import { EXIT } from './exit.ts';

const usage = area(EXIT.usage);
const check = area(EXIT.check);

export const TASK_ERRORS = {
  TASK_STATE_REFUSES: usage(
    409,
    'Task "{task}" is {state}: "{event}" is not possible now.',
    'Possible is: {possible}.',
  ),
  TASK_HALTED: check(
    409,
    'Migration {task} was paused, stopped or given up after the last that the metadata database knows of it: that was restored from an older day.',
    'See whether the target is in use by now. To go on all the same: "opendts task resume"; else "opendts task stop", then "release".',
  ),
  TASK_BOOKS_GONE: check(
    409,
    'The target has no books of migration {task} any more: it was released, or the target is another one, since the metadata database was written.',
    'Nothing was begun anew. Release the task here as well; to begin anew then: "opendts task reset", on a target that may be overwritten.',
  ),
  TASK_ENDS_OTHER: check(
    409,
    'Migration {task} began between other databases than the connections of the task lead to now: {problem}.',
    'Nothing was begun there. Let the connection lead where it did ("opendts connection update"), then "opendts task resume". For other databases make another task.',
  ),
  TASK_NOT_RELEASED: check(
    409,
    'The target connection leads to database "{database}", which has no books of migration {task}, while the source still holds what was made there for it.',
    'Let the connection lead where it did, and release again. If that database is gone, run this on the source first:\n{commands}',
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
