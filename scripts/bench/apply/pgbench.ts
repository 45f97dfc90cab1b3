/** The load of part "steady": pgbench itself, its own transaction from four clients. https://www.postgresql.org/docs/current/pgbench.html */
import type { Bench } from '../rounds.ts';
import { findTool, runProgram } from '../program.ts';

const CLIENTS = 4;
const THREADS = 2;

export interface Pgbench {
  /** Transactions that were written. */
  readonly transactions: number;
  readonly perSecond: number;
  /** What one took on average, with a rate from when it was due. */
  readonly latencyMs: number;
}

/** Writes into a database of the source for so long, as fast as can be or so many transactions a second. Throws where pgbench is not installed or fails. */
export async function pgbench(
  { pair, env, signal }: Bench,
  { database, seconds, perSecond }: { database: string; seconds: number; perSecond?: number },
): Promise<Pgbench> {
  const rate = perSecond === undefined ? [] : ['-R', perSecond.toFixed(1)];
  const args = ['-n', '-c', String(CLIENTS), '-j', String(THREADS), '-T', String(seconds), ...rate];
  const program = findTool('pgbench', env);
  if (program === null) throw new Error('pgbench is not installed');
  const { stdout } = await runProgram(program, [...args, pair.source.uri(database)], { env, signal });
  const number = (pattern: RegExp) => {
    const found = pattern.exec(stdout)?.[1];
    if (found === undefined) throw new Error(`pgbench does not say ${pattern.source}`);
    return Number(found);
  };
  return {
    transactions: number(/actually processed: (\d+)/),
    perSecond: number(/^tps = ([\d.]+)/m),
    latencyMs: number(/^latency average = ([\d.]+)/m),
  };
}

/** Part "steady" can run here. */
export function hasPgbench(env: NodeJS.ProcessEnv): boolean {
  return findTool('pgbench', env) !== null;
}
