/** Whether what stands at both ends is what a service remembers of a task. */
import { AppError } from '../../../base/errors/app-error.ts';
import type { DatabaseIdentity } from '../../../engine/pg/identity.ts';
import type { Session } from '../../../engine/pg/session.ts';
import { readHalt } from '../../../engine/target/books/halted.ts';
import type { TaskRow } from '../../../engine/target/books/task-row.ts';
import type { KnownTask } from '../task-run.ts';

interface FoundEnds {
  readonly here: DatabaseIdentity;
  readonly there: DatabaseIdentity;
  /** All of the target. */
  readonly tasks: readonly TaskRow[];
}

interface FoundTask {
  readonly taskId: string;
  readonly target: Session;
  readonly existing: TaskRow | null;
}

/** What has happened since what we know was written down is a person's matter. Throws TASK_ENDS_OTHER, TASK_BOOKS_GONE, TASK_HALTED. */
export async function assertAsKnown(
  ends: FoundEnds,
  { taskId: known, halts }: KnownTask,
  { taskId, target, existing }: FoundTask,
): Promise<void> {
  if (known !== null && known !== taskId)
    throw new AppError('TASK_ENDS_OTHER', { task: known, problem: otherEnd(ends, known) });
  if (!existing) {
    if (known !== null) throw new AppError('TASK_BOOKS_GONE', { task: known });
    return;
  }
  const mark = await readHalt(target, existing.taskId);
  if (mark !== null && !halts.includes(mark))
    throw new AppError('TASK_HALTED', { task: existing.taskId, mark });
}

/** What is not as it was when the task began. Its target has its books, and these name its source. */
function otherEnd({ here, there, tasks }: FoundEnds, known: string): string {
  const books = tasks.find(({ taskId }) => taskId === known);
  if (books === undefined) return `database "${there.database}" of the target has no books of it`;
  const { sourceDatabase, sourceSystem } = books;
  return `its source is database "${sourceDatabase}" of the server with the system identifier ${sourceSystem}, and not "${here.database}" of ${here.systemIdentifier}`;
}
