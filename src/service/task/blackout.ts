/** The limits of a task at a moment: its own, and lower ones in its blackout hours. Pure. */
import type { BlackoutWindow } from '../../contract/blackout.ts';
import type { TaskSettings } from '../../contract/task-spec.ts';
import type { StreamLimits } from '../../engine/pipeline/stream-throttle.ts';
import type { CopyLimits } from '../../engine/source/throttle.ts';
import { copyLimits, streamLimits } from './request/request-of.ts';

interface Limited {
  readonly spec: Pick<TaskSettings, 'throttle' | 'streamThrottle'>;
  readonly blackout: readonly BlackoutWindow[];
}

interface TaskLimits {
  readonly limits: CopyLimits;
  readonly streamLimits: StreamLimits;
}

/** Of all limits that hold the lowest, one by one. */
export function limitsAt({ spec, blackout }: Limited, now: Date): TaskLimits {
  const all = [spec, ...blackout.filter((window) => holds(window, now))];
  return {
    limits: copyLimits(lowest(all.map(({ throttle }) => throttle))),
    streamLimits: streamLimits(lowest(all.map(({ streamThrottle }) => streamThrottle))),
  };
}

function lowest<T extends Readonly<Record<string, number | undefined>>>(all: readonly T[]): T {
  const names = new Set(all.flatMap((one) => Object.keys(one)));
  const low = (name: string) => Math.min(...all.map((one) => one[name] ?? Infinity));
  return Object.fromEntries([...names].map((name) => [name, low(name)])) as T;
}

/** By the clock on the wall there, also on days that have an hour more or less. */
function holds({ from, to, timeZone }: BlackoutWindow, now: Date): boolean {
  const wall = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).format(now);
  return from < to ? from <= wall && wall < to : from <= wall || wall < to;
}
