/** What is written down, and said, of steps that are not there. */
import type { AppError } from '../../../base/errors/app-error.ts';
import { refusalText, schemaFailed, type StepProblem } from '../../../engine/schema/run/problems.ts';
import type { StepNote, StepRow } from '../../../engine/target/books/schema-steps.ts';
import { warn, type TaskRun } from '../task-run.ts';

const NOTHING_SAID = { message: null, sqlstate: null, position: null, statement: null };

export function noteOf(found: StepProblem): StepNote {
  const { id, phase, statements } = found.step;
  if (found.kind === 'waiting')
    return {
      id,
      phase,
      statements,
      state: 'waiting',
      problem: { ...NOTHING_SAID, waitsFor: found.waitsFor },
    };
  const { message, sqlstate, position, statement } = found;
  return {
    id,
    phase,
    statements,
    state: 'failed',
    problem: { message, sqlstate, position, statement, waitsFor: [] },
  };
}

type Told = Pick<StepRow, 'id' | 'state' | 'problem'>;

/** For people; null where there is nothing to say. */
export function reasonOf({ state, problem }: Pick<StepRow, 'state' | 'problem'>): string | null {
  if (problem === null) return state === 'planned' ? 'not tried yet' : null;
  const { message, sqlstate, position, waitsFor } = problem;
  if (message === null) return `waits for ${waitsFor.join(', ')}`;
  return sqlstate === null ? message : refusalText({ message, sqlstate, position });
}

/** SCHEMA_FAILED for what is open; `outlook`: a sentence about what is done all the same. */
export function failedFor(open: readonly Told[], outlook?: string): AppError {
  const refused = open.filter(({ state }) => state !== 'waiting');
  // All may wait for something of an earlier phase.
  const named = refused.length > 0 ? refused : open;
  return schemaFailed(
    named.map((one) => ({ id: one.id, reason: reasonOf(one) ?? one.state })),
    open.length - named.length,
    outlook,
  );
}

const SAID = 10;

/** A line for each of the first, once in a run. */
export function sayOpen(run: TaskRun, open: readonly Told[]): void {
  const refused = open.filter(({ state }) => state !== 'waiting');
  const lines = refused.slice(0, SAID).map((one) => `not created: ${one.id}: ${reasonOf(one)}`);
  const others = open.length - lines.length;
  if (others > 0) lines.push(`not created: ${others} more: opendts schema report`);
  for (const line of lines) if (!run.warnings.includes(line)) warn(run, line);
}
