/**
 * The queue, made by pg-boss on the store's database, in a schema of its own. Its defaults would have a dead worker's job lie for minutes;
 * the intervals here were measured: it is another's within 13 s (decision 25).
 */
import { PgBoss, type JobWithMetadata } from 'pg-boss';
import { z } from 'zod';
import { AppError } from '../../base/errors/app-error.ts';
import type { Log } from '../../base/runtime/log.ts';
import type { Store } from '../store/store.ts';
import type { JobQueue, Lease } from './job-queue.ts';

/**
 * With the number of the schema that pg-boss makes: it changes an older one by itself, and works on a newer one as if it were its own. Nodes
 * with different ones have different queues, which does no harm: a job is a hint, and the fence says whose a task is.
 */
export const QUEUE_SCHEMA = 'opendts_queue_43';
/** A worker that does not say for so long that it lives is taken to be dead; the shortest that pg-boss has. */
const HEARTBEAT_S = 10;
export const KEEP_MS = 3_000;
const SUPERVISE_S = 3;
/** Longer than a slice (owner.ts), which ends long before. */
const EXPIRE_S = 13 * 3600;
const KEPT_S = 60;

export interface QueueOptions {
  /** Sessions of its own: a queue that is busy must not keep requests waiting. It is ended with the queue. */
  readonly store: Store;
  /** Jobs for tasks of this cluster alone; null: for those of none. */
  readonly cluster: string | null;
  readonly log: Log;
}

/** What pg-boss needs is in the server from there on. */
const OLDEST = 130_000;

/** Throws STORE_UNAVAILABLE, STORE_TOO_OLD. */
export async function openBossQueue({ store, cluster, log }: QueueOptions): Promise<JobQueue> {
  const version = await store.version();
  if (version < OLDEST) throw new AppError('STORE_TOO_OLD', { version: Math.floor(version / 10_000) });
  const boss = new PgBoss({
    db: { executeSql: async (sql, values) => ({ rows: [...(await store.parsed(sql, values))] }) },
    schema: QUEUE_SCHEMA,
    schedule: false,
    superviseIntervalSeconds: SUPERVISE_S,
    monitorIntervalSeconds: SUPERVISE_S,
    monitorVacuum: false,
  });
  const seldom = log.seldom(60);
  boss.on('error', (thrown) => seldom.failure(thrown, 'the queue cannot do its work', { level: 'warn' }));
  await boss.start();
  const name = queueName(cluster);
  await boss.createQueue(name, {
    // One job a task, waiting or held.
    policy: 'exclusive',
    heartbeatSeconds: HEARTBEAT_S,
    expireInSeconds: EXPIRE_S,
    deleteAfterSeconds: KEPT_S,
    retryLimit: 1000,
    retryDelay: 0,
  });
  return new BossQueue(boss, name, store);
}

/** Names of pg-boss have few letters. */
function queueName(cluster: string | null): string {
  return cluster === null ? 'task' : `task/${Buffer.from(cluster).toString('hex')}`;
}

/** Its types keep silent about what it answers. */
const touched = z.object({
  settled: z
    .array(z.string())
    .nullish()
    .transform((ids) => ids ?? []),
});

class BossQueue implements JobQueue {
  private readonly boss: PgBoss;
  private readonly name: string;
  private readonly store: Store;

  constructor(boss: PgBoss, name: string, store: Store) {
    this.boss = boss;
    this.name = name;
    this.store = store;
  }

  async ask(taskId: string): Promise<void> {
    await this.boss.send(this.name, { taskId }, { singletonKey: taskId });
  }

  async take(count: number): Promise<Lease[]> {
    const jobs: JobWithMetadata<{ taskId: string }>[] = await this.boss.fetch(this.name, {
      batchSize: count,
      includeMetadata: true,
    });
    return jobs.map(({ id, data, retryCount }) => ({ id, taskId: data.taskId, attempt: retryCount }));
  }

  async keep(leases: readonly Lease[]): Promise<ReadonlySet<string>> {
    if (leases.length === 0) return new Set();
    const attempts = leases.map(({ id, attempt }) => ({ id, retryCount: attempt }));
    const { settled } = touched.parse(await this.boss.touch(this.name, attempts));
    return new Set(settled);
  }

  async end({ id, attempt }: Lease): Promise<void> {
    await this.boss.complete(this.name, [{ id, retryCount: attempt }]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.boss.stop({ graceful: false });
    await this.store[Symbol.asyncDispose]();
  }
}
