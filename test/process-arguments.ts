/** What every user of the machine can read of a process, and of all that it has started: their arguments. */
import { readdirSync, readFileSync } from 'node:fs';

/** By pid; without those that have ended meanwhile. */
export function argumentsOf(root: number): ReadonlyMap<number, string> {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc').filter((one) => /^\d+$/.test(one))) {
    // `pid (any name) state ppid …`
    const parent = /^\d+ \(.*\) \S (\d+)/s.exec(read(name, 'stat'))?.[1];
    if (parent !== undefined) parents.set(Number(name), Number(parent));
  }
  const isOurs = (pid: number | undefined): boolean =>
    pid !== undefined && (pid === root || isOurs(parents.get(pid)));
  const ours = [...parents.keys()].filter(isOurs);
  return new Map(ours.map((pid) => [pid, read(String(pid), 'cmdline').replaceAll('\0', ' ')]));
}

function read(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}
