/**
 * What the fleet asks of a queue. A job means that somebody must be running a task, and nothing else: what is wanted of the task, and who
 * may write, stands in our own tables. Another engine may take the place of the one in boss-queue.ts.
 */

/** A job that we hold for as long as we keep it. */
export interface Lease {
  readonly id: string;
  readonly taskId: string;
  /** Of those who have held it which one we are: whoever has lost it cannot keep or end it. */
  readonly attempt: number;
}

export interface JobQueue extends AsyncDisposable {
  /** Somebody is to run the task; nothing happens while a job for it waits or is held. */
  ask(taskId: string): Promise<void>;
  /** Jobs that nobody holds, at most so many. */
  take(count: number): Promise<Lease[]>;
  /** We still live. Gives the ids of those that are still ours. */
  keep(leases: readonly Lease[]): Promise<ReadonlySet<string>>;
  /** The work for it is done, or left to somebody else. */
  end(lease: Lease): Promise<void>;
}
