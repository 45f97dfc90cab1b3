/** Steps that the target has refused, and those that wait for them. Pure. */
import { AppError } from '../../../base/errors/app-error.ts';
import type { SchemaStep } from '../plan.ts';

export interface StepFailure {
  readonly kind: 'failed';
  readonly step: SchemaStep;
  readonly message: string;
  readonly sqlstate: string;
  /** In the statement, in characters from 1; null where the server names none. */
  readonly position: number | null;
  /** Empty where the commit was refused. */
  readonly statement: string;
}

interface StepWaiting {
  readonly kind: 'waiting';
  readonly step: SchemaStep;
  /** Ids of what was refused, not of what waits for it as well. */
  readonly waitsFor: readonly string[];
}

export type StepProblem = StepFailure | StepWaiting;

/** Ids of steps that are not there → whom they wait for; of one that was refused itself. */
export type Missing = ReadonlyMap<string, readonly string[]>;

/** What has gone wrong so far, and what cannot be tried for that. */
export class Problems {
  readonly all: StepProblem[] = [];
  private readonly missing: Map<string, readonly string[]>;

  constructor(missing: Missing = new Map()) {
    this.missing = new Map(missing);
  }

  fail(failure: StepFailure): void {
    this.all.push(failure);
    this.missing.set(failure.step.id, [failure.step.id]);
  }

  /** Whether the step has to wait; then it is one of the problems. */
  holdsUp(step: SchemaStep): StepProblem | null {
    const waitsFor = [...new Set(step.needs.flatMap((id) => this.missing.get(id) ?? []))];
    if (waitsFor.length === 0) return null;
    const waiting: StepWaiting = { kind: 'waiting', step, waitsFor };
    this.all.push(waiting);
    this.missing.set(step.id, waitsFor);
    return waiting;
  }
}

/** As it is shown: what the server said, and where. */
export function refusalText({
  message,
  sqlstate,
  position,
}: Pick<StepFailure, 'message' | 'sqlstate' | 'position'>): string {
  return `${message} (SQLSTATE ${sqlstate}${position === null ? '' : `, at character ${position}`})`;
}

export interface Refused {
  readonly id: string;
  readonly reason: string;
}

const SHOWN = 3;

/** `outlook`: a sentence about what is done all the same. */
export function schemaFailed(refused: readonly Refused[], waiting: number, outlook = ''): AppError {
  const more = refused.length - SHOWN;
  const shown = refused.slice(0, SHOWN).map(({ id, reason }) => `${id}: ${reason}`);
  return new AppError('SCHEMA_FAILED', {
    count: refused.length === 1 ? '1 object' : `${refused.length} objects`,
    problems: [...shown, ...(more > 0 ? [`and ${more} more`] : [])].join('; '),
    rest: `${waiting > 0 ? ` For them ${waiting} more wait.` : ''}${outlook === '' ? '' : ` ${outlook}`}`,
  });
}
