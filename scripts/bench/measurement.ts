/** What one run of one contender came to, and reading the CPU time of everybody who took part. */
import { sleep } from '../../src/base/runtime/sleep.ts';
import type { ClusterPair } from './cluster-pair.ts';
import { clusterCpu, endedChildrenCpu } from './cpu-time.ts';

/** CPU seconds, user and system. */
export interface Cpu {
  /** The contender's own processes. */
  readonly client: number;
  /** All processes of the cluster, checkpointer and others included. */
  readonly source: number;
  readonly target: number;
}

export interface Measurement {
  readonly wallMs: number;
  readonly cpu: Cpu;
  /** Bytes; null for contenders of several processes. */
  readonly peakMemory: number | null;
}

/** Backends and clients end a moment after their last answer. */
const SETTLE_MS = 100;

export function readCpu({ source, target }: ClusterPair, client: number): Cpu {
  return { client, source: clusterCpu(source.pid), target: clusterCpu(target.pid) };
}

export function cpuBetween(before: Cpu, after: Cpu): Cpu {
  return {
    client: after.client - before.client,
    source: after.source - before.source,
    target: after.target - before.target,
  };
}

export function totalCpu({ client, source, target }: Cpu): number {
  return client + source + target;
}

/** Runs `work`, whose processes are all our children, and says what CPU time it took. */
export async function withCpu<T>(
  pair: ClusterPair,
  work: () => Promise<T>,
): Promise<{ result: T; cpu: Cpu }> {
  const before = readCpu(pair, endedChildrenCpu());
  const result = await work();
  await sleep(SETTLE_MS);
  return { result, cpu: cpuBetween(before, readCpu(pair, endedChildrenCpu())) };
}
