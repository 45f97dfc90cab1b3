/**
 * CPU seconds and peak memory of processes, from /proc (Linux only). A process's numbers include those of the children it has waited
 * for, so reading a parent after its children have ended misses nothing.
 */
import { readdirSync, readFileSync } from 'node:fs';

/** The unit of /proc/<pid>/stat: USER_HZ, which is 100 on every Linux we run on whatever the kernel's own tick is. */
const TICKS_PER_SECOND = 100;

/** The fields of /proc/<pid>/stat after the command name, which may itself hold spaces and parentheses. Null when it is gone. */
function statFields(pid: number | 'self'): string[] | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}

function seconds(fields: readonly string[] | null, from: number, to: number): number {
  const ticks = (fields ?? []).slice(from, to).reduce((sum, field) => sum + Number(field), 0);
  return ticks / TICKS_PER_SECOND;
}

/** User and system time of a living process and of the children it has waited for. */
export function processCpu(pid: number): number {
  return seconds(statFields(pid), 11, 15);
}

/** User and system time of all our children that have ended, their descendants included. */
export function endedChildrenCpu(): number {
  return seconds(statFields('self'), 13, 15);
}

/** User and system time of all processes of a cluster since its start: the postmaster, those it has waited for, those that live. */
export function clusterCpu(postmaster: number): number {
  // A backend that ends between the two readings would be counted twice or not at all: read again until none did.
  for (;;) {
    const before = childrenOf(postmaster);
    const total = [postmaster, ...before].reduce((sum, pid) => sum + processCpu(pid), 0);
    const after = new Set(childrenOf(postmaster));
    if (before.every((pid) => after.has(pid))) return total;
  }
}

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => statFields(pid)?.[1] === String(parent));
}

/** Peak resident memory of a living process in bytes; 0 when it is gone. */
export function peakMemory(pid: number): number {
  try {
    const [, kilobytes = '0'] = /^VmHWM:\s*(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return Number(kilobytes) * 1024;
  } catch {
    return 0;
  }
}
