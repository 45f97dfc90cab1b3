/** The workers of the fault run of the fleet, in processes of their own: killed, frozen, and what becomes of the tasks that they had. */
import { sleep } from '../../src/base/runtime/sleep.ts';
import type { Cli, Run } from './cli.ts';
import type { FleetUnderTest } from './fleet.ts';

const WORKERS = 3;
const MOVED_MS = 30_000;
/** Start of a process on a busy machine; and one that wakes finds out that others have what it had. */
const READY_MS = 60_000;
const NOTICED_MS = 30_000;

interface Victim {
  readonly run: Run;
  readonly id: string;
  readonly had: readonly string[];
  readonly isKilled: boolean;
}

export class Crowd {
  readonly totals = { kills: 0, freezes: 0, slowestMs: 0 };
  private readonly cli: Cli;
  private readonly capacity: number;
  private workers: Run[] = [];
  private started = 0;

  constructor(cli: Cli, capacity: number) {
    this.cli = cli;
    this.capacity = capacity;
  }

  /** As many as there should be. */
  fill(): void {
    while (this.workers.length < WORKERS)
      this.workers.push(
        this.cli.run('worker', ['--name', `worker-${++this.started}`, '--capacity', String(this.capacity)]),
      );
  }

  /** Random workers, one for each of `what` (`kill` or `freeze`), at once: what they had must be others' soon. Says what happened. */
  async disturb(
    fleet: FleetUnderTest,
    { tasks, what }: { tasks: readonly { readonly id: string }[]; what: readonly string[] },
  ): Promise<string> {
    const chosen = this.workers.toSorted(() => Math.random() - 0.5).slice(0, what.length);
    const owners = await fleet.owners(tasks);
    const victims: Victim[] = [];
    for (const [at, run] of chosen.entries()) {
      const id = await idOf(run);
      const had = tasks.flatMap((task, index) => (owners[index] === id ? [task.id] : []));
      victims.push({ run, id, had, isKilled: what[at] === 'kill' });
    }
    for (const { run, isKilled } of victims) run.child.kill(isKilled ? 'SIGKILL' : 'SIGSTOP');
    const began = performance.now();
    this.workers = this.workers.filter(
      (run) => !victims.some((victim) => victim.isKilled && victim.run === run),
    );
    this.fill();
    for (const { id, had } of victims)
      for (const task of had)
        while ((await fleet.show(task)).workerId === id) {
          if (performance.now() - began > MOVED_MS)
            throw new Error(`a task did not move within ${MOVED_MS / 1000} s`);
          await sleep(200);
        }
    const movedMs = Math.round(performance.now() - began);
    const count = victims.reduce((sum, { had }) => sum + had.length, 0);
    if (count > 0) this.totals.slowestMs = Math.max(this.totals.slowestMs, movedMs);
    for (const victim of victims) await this.settle(victim);
    return `${what.join(' and ')}, of workers with ${count} tasks: moved in ${movedMs} ms`;
  }

  private async settle({ run, had, isKilled }: Victim): Promise<void> {
    if (isKilled) return void this.totals.kills++;
    this.totals.freezes++;
    const notices = () => run.output().match(/another worker/g)?.length ?? 0;
    const wanted = notices() + had.length;
    run.child.kill('SIGCONT');
    const woken = performance.now();
    while (notices() < wanted) {
      if (performance.now() - woken > NOTICED_MS)
        throw new Error('a worker that woke has not noticed that its tasks are others’');
      await sleep(200);
    }
  }

  /** Waits until each of them runs; gives their ids. */
  async ready(): Promise<string[]> {
    return Promise.all(this.workers.map(idOf));
  }

  /** Waits until each of them is heard of by the store. */
  async answers(fleet: FleetUnderTest): Promise<void> {
    const ids = await this.ready();
    const late = performance.now() + READY_MS;
    for (;;) {
      const alive = await fleet.alive();
      if (ids.every((id) => alive.includes(id))) return;
      if (performance.now() > late) throw new Error('a worker does not come back to the store');
      await sleep(200);
    }
  }

  outputs(): string {
    return this.workers.map((worker) => worker.output().slice(-3000)).join('\n');
  }

  kill(): void {
    for (const { child } of this.workers) child.kill('SIGKILL');
  }
}

/** Once it runs. */
async function idOf(run: Run): Promise<string> {
  const late = performance.now() + READY_MS;
  for (;;) {
    const id = /worker (\S+) runs/.exec(run.output())?.[1];
    if (id !== undefined) return id;
    if (performance.now() > late) throw new Error('a worker does not start');
    await sleep(100);
  }
}
