/** A process as a line of text, `pid start-time`: still the same process later, or one that has taken over its pid? */
import { readFileSync } from 'node:fs';

export function processMark(pid: number = process.pid): string {
  return `${pid} ${startTime(pid) ?? '-'}`;
}

/** The pid of a mark; null when the text is not one. */
export function pidOf(mark: string): number | null {
  const [pid = ''] = mark.trim().split(' ');
  return /^[1-9]\d*$/.test(pid) ? Number(pid) : null;
}

/** Whether the process that made the mark is running. Pids are used again: another start time is another process. */
export function isRunning(mark: string): boolean {
  const pid = pidOf(mark);
  if (pid === null) return false;
  try {
    process.kill(pid, 0);
  } catch (thrown) {
    return thrown instanceof Error && 'code' in thrown && thrown.code === 'EPERM';
  }
  const started = mark.trim().split(' ')[1] ?? '-';
  const now = statOf(pid);
  // A zombie has ended; only its parent has not looked yet.
  return now?.state !== 'Z' && (started === '-' || now === null || now.started === started);
}

function startTime(pid: number): string | null {
  return statOf(pid)?.started ?? null;
}

/** Fields 3 and 22 of /proc/<pid>/stat; null where there is no /proc. The command name before them may hold spaces and parentheses. */
function statOf(pid: number): { state: string; started: string } | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0] ?? '', started: fields[19] ?? '' };
  } catch {
    return null;
  }
}
