/**
 * How many sessions a run may open. A saved connection has a limit that all its tasks share: a run gets what it wants, or fewer jobs and
 * lanes, or waits. Pure.
 */
import type { TaskSettings } from '../../contract/task-spec.ts';

/** Beside those that copy and apply: control, snapshot, stream, watches and helpers. */
const SOURCE_FIXED = 6;
const TARGET_FIXED = 4;

export interface Room {
  /** Null: no limit. */
  readonly source: number | null;
  readonly target: number | null;
}

export interface Fit {
  readonly jobs: number;
  readonly lanes: number;
  /** Sessions on either side. */
  readonly source: number;
  readonly target: number;
}

/** Null where there is not even room for one job. */
export function fit({ jobs, lanes }: Pick<TaskSettings, 'jobs' | 'lanes'>, room: Room): Fit | null {
  const source = room.source ?? Infinity;
  const target = room.target ?? Infinity;
  // Lanes first: one of them applies whatever comes, more slowly.
  const fewer = TARGET_FIXED + jobs + lanes <= target ? lanes : 1;
  const left = Math.min(jobs, source - SOURCE_FIXED, target - TARGET_FIXED - fewer);
  if (left < 1) return null;
  return { jobs: left, lanes: fewer, source: SOURCE_FIXED + left, target: TARGET_FIXED + left + fewer };
}
