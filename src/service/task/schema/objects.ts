/** The objects of the migrations into a target: what became of each, and what a person chooses for it. */
import { AppError } from '../../../base/errors/app-error.ts';
import { editDistance } from '../../../base/runtime/edit-distance.ts';
import type { Session } from '../../../engine/pg/session.ts';
import { PHASES } from '../../../engine/schema/draft.ts';
import { ofRights } from '../../../engine/schema/ddl/rights-ddl.ts';
import { loadParser } from '../../../engine/schema/rewrite/parser.ts';
import { isAnnouncement } from '../../../engine/schema/run/build-beside.ts';
import {
  areBooksCurrent,
  ensureBookkeeping,
  hasBookkeeping,
} from '../../../engine/target/books/bookkeeping.ts';
import {
  chooseForStep,
  readNotMigrated,
  readSteps,
  STEP_STATES,
  type StepChoice,
  type StepRow,
} from '../../../engine/target/books/schema-steps.ts';
import { readTasks, type TaskRow } from '../../../engine/target/books/task-row.ts';

export interface TaskObjects {
  readonly task: Pick<TaskRow, 'taskId' | 'sourceDatabase' | 'phase'>;
  /** Those that need somebody first, then by phase. */
  readonly objects: readonly StepRow[];
  /** `kind name: reason`. */
  readonly notMigrated: readonly string[];
}

/** Of every task of the target that migrates its schema. */
export async function objectsOn(target: Session, { withSql = false } = {}): Promise<TaskObjects[]> {
  if (!(await hasBookkeeping(target))) return [];
  if (!(await areBooksCurrent(target))) await ensureBookkeeping(target);
  const found: TaskObjects[] = [];
  for (const task of await readTasks(target)) {
    const rows = [...(await readSteps(target, task.taskId, { which: 'all', withSql })).values()];
    const objects = rows.filter(({ id }) => !isAnnouncement(id)).toSorted(byUrgency);
    const notMigrated = await readNotMigrated(target, task.taskId);
    if (objects.length + notMigrated.length > 0) found.push({ task, objects, notMigrated });
  }
  return found;
}

function byUrgency(a: StepRow, b: StepRow): number {
  const phase = ({ phase: name }: StepRow) => PHASES.findIndex((known) => known === name);
  return STEP_STATES.indexOf(a.state) - STEP_STATES.indexOf(b.state) || phase(a) - phase(b);
}

/** The tasks' objects of these ids. Throws NO_SUCH_OBJECT for an id that none of them has. */
export function named(tasks: readonly TaskObjects[], ids: readonly string[]): TaskObjects[] {
  const known = new Set(tasks.flatMap(({ objects }) => objects.map(({ id }) => id)));
  for (const id of ids) if (!known.has(id)) throw unknown(id, known);
  const wanted = new Set(ids);
  return tasks
    .map((of) => ({ ...of, objects: of.objects.filter(({ id }) => wanted.has(id)) }))
    .filter(({ objects }) => objects.length > 0);
}

const NEAREST = 3;

function unknown(id: string, known: ReadonlySet<string>): AppError {
  const nearest = nearestTo(id, [...known]).map((one) => `"${one}"`);
  return new AppError('NO_SUCH_OBJECT', {
    object: id,
    nearest: nearest.length > 0 ? ` Nearest: ${nearest.join(', ')}.` : '',
  });
}

/** Those that contain what was written, then those that differ in a few letters. Pure. */
export function nearestTo(written: string, known: readonly string[]): string[] {
  const text = written.toLowerCase();
  const most = Math.max(2, Math.floor(text.length / 3));
  return known
    .map((id) => {
      const isPart = text.length > 2 && id.toLowerCase().includes(text);
      return { id, distance: isPart ? 0 : editDistance(text, id.toLowerCase()) };
    })
    .filter(({ distance }) => distance <= most)
    .toSorted((a, b) => a.distance - b.distance)
    .slice(0, NEAREST)
    .map(({ id }) => id);
}

export interface ChosenObject {
  readonly taskId: string;
  readonly id: string;
}

/** Holds for the runs to come, and for phases that a run comes to. Throws NO_SUCH_OBJECT, or USAGE where there is nothing to choose. */
export async function chooseForObjects(
  target: Session,
  ids: readonly string[],
  choice: StepChoice,
): Promise<ChosenObject[]> {
  if (choice.kind === 'edit') await assertRunnable(choice.sql);
  const all = await objectsOn(target);
  named(all, ids);
  const wanted = new Set([...ids, ...(choice.kind.endsWith('skip') ? rightsOf(all, ids) : [])]);
  const tasks = named(all, [...wanted]);
  const chosen: ChosenObject[] = [];
  for (const id of wanted) {
    const found = tasks.flatMap(({ task, objects }) =>
      objects.filter((row) => row.id === id).map(({ state }) => ({ ...task, state })),
    );
    const open = found.filter(({ phase }) => phase !== 'done');
    if (open.length === 0) throw over(id);
    const before = chosen.length;
    for (const { taskId } of open)
      if (await chooseForStep(target, taskId, { id, choice })) chosen.push({ taskId, id });
    if (chosen.length === before) throw unwanted(id, open[0]?.state ?? 'created', choice);
  }
  return chosen;
}

/** What is done without has no rights to be set; of what the target has itself they are its own. */
function rightsOf(tasks: readonly TaskObjects[], ids: readonly string[]): string[] {
  const wanted = new Set(ids);
  return tasks.flatMap(({ objects }) =>
    objects.flatMap(({ id }) => (wanted.has(ofRights(id) ?? '') ? [id] : [])),
  );
}

function over(id: string): AppError {
  return new AppError('USAGE', {
    problem: `The migration of ${id} is complete: no run would try it again.`,
    remedy: 'Create it on the target by hand; its SQL is shown by: opendts schema report --show-sql.',
  });
}

const UNWANTED: Readonly<Record<StepChoice['kind'], string>> = {
  skip: 'is on the target already',
  'undo-skip': 'is not skipped',
  edit: 'is on the target already',
  'undo-edit': 'has no other SQL, or is on the target already',
};

function unwanted(id: string, state: StepRow['state'], { kind }: StepChoice): AppError {
  return new AppError('USAGE', {
    problem: `${id} ${UNWANTED[kind]} (${state}).`,
    remedy: 'See what there is to choose: opendts schema report.',
  });
}

/** It is run in one transaction with its record. What the parser does not know the target may: that is left to it. */
async function assertRunnable(sql: string): Promise<void> {
  if (sql.trim() === '')
    throw new AppError('USAGE', {
      problem: 'There is no SQL to run instead.',
      remedy: 'To do without the object: opendts schema skip.',
    });
  const parser = await loadParser();
  let endsTransaction = false;
  try {
    endsTransaction = parser.parse(sql).some((statement) => 'TransactionStmt' in statement);
  } catch {
    return;
  }
  if (endsTransaction)
    throw new AppError('USAGE', {
      problem: 'The SQL begins or ends a transaction.',
      remedy: 'Leave BEGIN, COMMIT and the like out: it is run in one transaction with its record.',
    });
}
