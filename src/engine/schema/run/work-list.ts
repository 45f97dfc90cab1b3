/**
 * Steps waiting to be run side by side. A large table's steps go one at a time, so that its indexes are built in parallel; the steps of
 * a small table go together, and those of many small tables in one transaction, because there the round trips are the work.
 */
import type { SchemaStep } from '../plan.ts';

/** Steps that are only taken together. */
interface Work {
  readonly steps: readonly SchemaStep[];
  readonly weight: bigint;
}

const SMALL_BYTES = 8n * 1024n * 1024n;
/** Each takes two or three locks, of which a server has some thousands for all. */
export const BATCH_STEPS = 80;

/** The steps in their order, parted into those that share a transaction: small ones, up to so many. */
export function batchesInOrder(steps: readonly SchemaStep[], most: number): SchemaStep[][] {
  const batches: SchemaStep[][] = [];
  let bytes = 0n;
  for (const step of steps) {
    const batch = batches.at(-1);
    bytes += step.weight;
    if (batch && batch.length < most && bytes < SMALL_BYTES) batch.push(step);
    else {
      batches.push([step]);
      bytes = step.weight;
    }
  }
  return batches;
}

export class WorkList {
  private readonly waiting: Set<Work>;
  private readonly unfinished: Set<string>;

  constructor(steps: readonly SchemaStep[]) {
    this.unfinished = new Set(steps.map((step) => step.id));
    const owners = Map.groupBy(steps, (step) =>
      step.owner !== null && step.weight < SMALL_BYTES ? step.owner : step.id,
    );
    const works = [...owners.values()].map((group) => ({ steps: group, weight: group[0]?.weight ?? 0n }));
    this.waiting = new Set(
      works.toSorted((a, b) => (a.weight < b.weight ? 1 : a.weight > b.weight ? -1 : 0)),
    );
  }

  get isEmpty(): boolean {
    return this.waiting.size === 0;
  }

  /** The largest work that is ready; after a small one more small ones, up to a batch. Empty when all that waits needs something unfinished. */
  take(): SchemaStep[] {
    const batch: SchemaStep[] = [];
    for (const work of this.waiting) {
      if (batch.length > 0 && batch.length + work.steps.length > BATCH_STEPS) break;
      if (!this.isReady(work)) continue;
      this.waiting.delete(work);
      batch.push(...work.steps);
      if (work.weight >= SMALL_BYTES) break;
    }
    return batch;
  }

  finish(steps: readonly SchemaStep[]): void {
    for (const step of steps) this.unfinished.delete(step.id);
  }

  private isReady(work: Work): boolean {
    const own = new Set(work.steps.map((step) => step.id));
    return work.steps.every((step) => step.dependsOn.every((id) => own.has(id) || !this.unfinished.has(id)));
  }
}
