/**
 * What became of each step of the schema, and what a person has chosen for it. What is created is recorded in the step's own transaction
 * (decision 0004), everything else after it.
 */
import type { Session } from '../../pg/session.ts';
import { holdFence } from './task-row.ts';

/** `planned`: its turn has not come, or comes again; `skipped`: a person does without it. */
export const STEP_STATES = [
  'failed',
  'exists-different',
  'waiting',
  'planned',
  'skipped',
  'exists-identical',
  'created',
] as const;
export type StepState = (typeof STEP_STATES)[number];

/** Nothing is left to do for them. */
const DONE: readonly StepState[] = ['created', 'exists-identical', 'skipped'];
const DONE_SQL = DONE.map((state) => `'${state}'`).join(', ');

/** It is not there although it has had its turn: a person is needed, or another run. */
export function isProblem({ state }: { readonly state: StepState }): boolean {
  return state === 'failed' || state === 'waiting' || state === 'exists-different';
}

export interface StepProblem {
  /** What the server has said; never row values. Null where it only waits. */
  readonly message: string | null;
  readonly sqlstate: string | null;
  /** In `statement`, in characters from 1. */
  readonly position: number | null;
  readonly statement: string | null;
  /** Ids of the steps that it waits for. */
  readonly waitsFor: readonly string[];
}

/** A step as it is run. */
export interface StepText {
  readonly id: string;
  readonly phase: string;
  readonly statements: readonly string[];
}

export interface StepNote extends StepText {
  readonly state: Exclude<StepState, 'planned' | 'skipped' | 'created'>;
  readonly problem: StepProblem | null;
}

export interface StepRow {
  readonly id: string;
  readonly state: StepState;
  /** Null in books of an older version. */
  readonly phase: string | null;
  readonly problem: StepProblem | null;
  /** The SQL that a person wants instead. */
  readonly edited: string | null;
  /** What was run last, or is to be run; empty where it was not asked for. */
  readonly statements: readonly string[];
}

interface Task {
  readonly taskId: string;
  readonly fence: bigint;
}

/**
 * `open`: those that are not done; `touched`: those of which something can be said, which are few: not those that were just created, or have
 * not had their turn.
 */
const WHICH = {
  all: 'true',
  open: `state NOT IN (${DONE_SQL})`,
  touched: `(state NOT IN ('created', 'planned') OR edited IS NOT NULL)`,
} as const;

/** In the order of their ids. A large schema has many steps: only what is asked for is read. */
export async function readSteps(
  session: Session,
  taskId: string,
  { which, phase, withSql = false }: { which: keyof typeof WHICH; phase?: string; withSql?: boolean },
): Promise<Map<string, StepRow>> {
  const rows = await session.query(
    `SELECT step, state, phase, problem, edited, ${withSql ? 'statements' : 'NULL AS statements'} FROM _opendts.object
      WHERE task_id = $1 AND ${WHICH[which]} ${phase === undefined ? '' : 'AND phase = $2'} ORDER BY step COLLATE "C"`,
    phase === undefined ? [taskId] : [taskId, phase],
  );
  return new Map(
    rows.map((row) => {
      const id = row.step ?? '';
      const problem = row.problem == null ? null : (JSON.parse(row.problem) as StepProblem);
      const statements = row.statements == null ? [] : (JSON.parse(row.statements) as string[]);
      const { phase = null, edited = null } = row;
      return [id, { id, state: row.state as StepState, phase, problem, edited, statements }];
    }),
  );
}

export async function readDoneSteps(session: Session, taskId: string): Promise<Set<string>> {
  const done = new Set<string>();
  await session.each(
    `SELECT step FROM _opendts.object WHERE task_id = $1 AND state IN (${DONE_SQL})`,
    ({ step }) => done.add(step ?? ''),
    { values: [taskId] },
  );
  return done;
}

/** In the transaction of the steps. */
export async function recordSteps(session: Session, task: Task, steps: readonly StepText[]): Promise<void> {
  await holdFence(session, task.taskId, task.fence);
  await write(session, task, {
    rows: steps.map((step) => toRow(step, 'created', null)),
    where: 'true',
  });
}

/** Of steps that were not created. What a person has chosen meanwhile, or another run has created, stays. */
export async function noteSteps(session: Session, task: Task, notes: readonly StepNote[]): Promise<void> {
  const rows = notes.map((note) => toRow(note, note.state, note.problem));
  await session.transaction(async () => {
    await holdFence(session, task.taskId, task.fence);
    await write(session, task, { rows, where: `o.state NOT IN (${DONE_SQL})` });
  });
}

const PER_STATEMENT = 500;

/** Of steps that are to come; those that were tried before keep their state. */
export async function planSteps(session: Session, task: Task, steps: readonly StepText[]): Promise<void> {
  await session.transaction(async () => {
    await holdFence(session, task.taskId, task.fence);
    for (let from = 0; from < steps.length; from += PER_STATEMENT) {
      const rows = steps.slice(from, from + PER_STATEMENT).map((step) => toRow(step, 'planned', null));
      await write(session, task, {
        rows,
        where: `o.state = 'planned' AND o.statements IS DISTINCT FROM EXCLUDED.statements`,
      });
    }
  });
}

/** They are to be done again when they are met again. In a transaction. */
export async function forgetSteps(session: Session, task: Task, steps: readonly string[]): Promise<void> {
  await holdFence(session, task.taskId, task.fence);
  await session.query(
    'DELETE FROM _opendts.object WHERE task_id = $1 AND step IN (SELECT s.value FROM pg_catalog.json_array_elements_text($2::json) s)',
    [task.taskId, JSON.stringify(steps)],
  );
}

interface Written {
  readonly rows: readonly object[];
  /** Which rows, as `o`, are overwritten. */
  readonly where: string;
}

async function write(session: Session, { taskId }: Task, { rows, where }: Written): Promise<void> {
  await session.query(
    `INSERT INTO _opendts.object AS o (task_id, step, state, phase, statements, problem)
     SELECT $1, s.value ->> 'id', s.value ->> 'state', s.value ->> 'phase', s.value ->> 'statements', s.value ->> 'problem'
       FROM pg_catalog.json_array_elements($2::json) s ORDER BY 2
     ON CONFLICT (task_id, step) DO UPDATE
       SET state = EXCLUDED.state, phase = EXCLUDED.phase, statements = EXCLUDED.statements, problem = EXCLUDED.problem, done_at = pg_catalog.now()
       WHERE ${where}`,
    [taskId, JSON.stringify(rows)],
  );
}

function toRow({ id, phase, statements }: StepText, state: StepState, problem: StepProblem | null): object {
  return { id, state, phase, statements: asciiJson(statements), problem: problem && asciiJson(problem) };
}

/** A statement may hold what the target's encoding cannot: that is to be known of the object, and not to fail here. */
function asciiJson(value: object): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** `sql` for `edit`. */
export type StepChoice =
  | { readonly kind: 'skip' | 'undo-skip' | 'undo-edit' }
  | { readonly kind: 'edit'; readonly sql: string };

/** What is there already stays as it is. */
const CHOICES: Readonly<Record<StepChoice['kind'], { readonly set: string; readonly where: string }>> = {
  skip: { set: `state = 'skipped'`, where: `state NOT IN ('created', 'exists-identical')` },
  'undo-skip': { set: `state = 'planned', problem = NULL`, where: `state = 'skipped'` },
  edit: {
    set: `edited = $3, state = 'planned', problem = NULL`,
    where: `state NOT IN ('created', 'exists-identical')`,
  },
  'undo-edit': {
    set: `edited = NULL, state = CASE state WHEN 'skipped' THEN state ELSE 'planned' END, problem = NULL`,
    where: `state NOT IN ('created', 'exists-identical') AND edited IS NOT NULL`,
  },
};

/** False where there is nothing to choose: the next run goes by it otherwise. */
export async function chooseForStep(
  session: Session,
  taskId: string,
  { id, choice }: { readonly id: string; readonly choice: StepChoice },
): Promise<boolean> {
  const { set, where } = CHOICES[choice.kind];
  const rows = await session.query(
    `UPDATE _opendts.object SET ${set}, done_at = pg_catalog.now() WHERE task_id = $1 AND step = $2 AND ${where} RETURNING 1 AS chosen`,
    [taskId, id, ...(choice.kind === 'edit' ? [choice.sql] : [])],
  );
  return rows.length > 0;
}

/** Lines `kind name: reason`, as the last run of the task has found them. */
export async function writeNotMigrated(
  session: Session,
  task: Task,
  lines: readonly string[],
): Promise<void> {
  await session.transaction(async () => {
    await holdFence(session, task.taskId, task.fence);
    await session.query(
      `INSERT INTO _opendts.not_migrated AS n (task_id, lines) VALUES ($1, $2)
       ON CONFLICT (task_id) DO UPDATE SET lines = EXCLUDED.lines`,
      [task.taskId, asciiJson(lines)],
    );
  });
}

export async function readNotMigrated(session: Session, taskId: string): Promise<readonly string[]> {
  const [row] = await session.query('SELECT lines FROM _opendts.not_migrated WHERE task_id = $1', [taskId]);
  return row ? (JSON.parse(row.lines ?? '[]') as string[]) : [];
}

/** Of the source's schema all of which is on the target as far as it is to be; null where that is not known. */
export async function readCompleteSchema(session: Session, taskId: string): Promise<string | null> {
  const [row] = await session.query('SELECT fingerprint FROM _opendts.complete_schema WHERE task_id = $1', [
    taskId,
  ]);
  return row?.fingerprint ?? null;
}

export async function writeCompleteSchema(session: Session, task: Task, fingerprint: string): Promise<void> {
  await session.transaction(async () => {
    await holdFence(session, task.taskId, task.fence);
    await session.query(
      `INSERT INTO _opendts.complete_schema AS c (task_id, fingerprint) VALUES ($1, $2)
       ON CONFLICT (task_id) DO UPDATE SET fingerprint = EXCLUDED.fingerprint`,
      [task.taskId, fingerprint],
    );
  });
}
