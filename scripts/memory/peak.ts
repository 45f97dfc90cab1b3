/** The most memory that a process and its children have held at once, by what Linux keeps of each. */
import { readdirSync, readFileSync } from 'node:fs';
import { sleep } from '../../src/base/runtime/sleep.ts';
import type { Run } from '../faults/cli.ts';

const EVERY_MS = 50;

/** Of the resident set, in bytes, until the process ends. */
export async function watchPeak({ child, ended }: Run): Promise<number> {
  const peaks = new Map<number, number>();
  let isOver = false;
  void ended.then(() => (isOver = true));
  while (!isOver) {
    for (const pid of withChildren(child.pid ?? 0)) {
      const peak = peakOf(pid);
      if (peak !== null) peaks.set(pid, peak);
    }
    await Promise.race([ended, sleep(EVERY_MS)]);
  }
  return [...peaks.values()].reduce((sum, peak) => sum + peak, 0);
}

/** Null when the process is gone. */
function peakOf(pid: number): number | null {
  try {
    const match = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return match ? Number(match[1]) * 1024 : null;
  } catch {
    return null;
  }
}

function withChildren(pid: number): number[] {
  try {
    const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
    );
    return [pid, ...children.flatMap(withChildren)];
  } catch {
    return [pid];
  }
}
