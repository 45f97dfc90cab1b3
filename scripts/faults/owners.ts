/**
 * The runs of one migration in the order in which they own it. One is killed and another started, or one is frozen (SIGSTOP), another
 * takes over, and the first is woken again (SIGCONT): then it must end by itself, and say why.
 */
import { join } from 'node:path';
import { sleep } from '../../src/base/runtime/sleep.ts';
import type { Cli, Run } from './cli.ts';

/** So long a woken owner may take to notice. */
const NOTICE_MS = 60_000;
const FENCED = /Another opendts took this migration over/;

export class Owners {
  private readonly cli: Cli;
  private readonly ends: readonly string[];
  private started = 0;
  private owner: Run;

  constructor(cli: Cli, ends: readonly string[]) {
    this.cli = cli;
    this.ends = ends;
    this.owner = this.start();
  }

  /** A run on a machine of its own, as far as it can tell: with its own state directory. */
  private start(): Run {
    const folder = join(this.cli.folder, `owner-${++this.started}`);
    return this.cli.run('migrate', [...this.ends, '--state-dir', folder]);
  }

  /** Kills the owner at a random moment after its start or, half of the time, after it has begun to apply. */
  async kill(): Promise<string> {
    const isStarting = Math.random() < 0.5;
    if (!isStarting) await applies(this.owner);
    const delay = Math.round(Math.random() * 2_000);
    await Promise.race([sleep(delay), this.owner.ended]);
    this.owner.child.kill('SIGKILL');
    const end = await this.owner.ended;
    if (end !== 'SIGKILL') throw unexpected(this.owner, 'it was to be killed', end);
    this.owner = this.start();
    return `kill: ${delay} ms after the ${isStarting ? 'start' : 'stream began'}`;
  }

  /** The former owner is woken at a random moment while the next one starts or, half of the time, when that has begun to apply. */
  async freeze(): Promise<string> {
    const former = this.owner;
    await applies(former);
    const delay = Math.round(Math.random() * 1_500);
    await Promise.race([sleep(delay), former.ended]);
    former.child.kill('SIGSTOP');
    this.owner = this.start();
    const isEarly = Math.random() < 0.5;
    if (!isEarly) await applies(this.owner);
    const frozen = Math.round(Math.random() * (isEarly ? 1_500 : 500));
    await sleep(frozen);
    former.child.kill('SIGCONT');
    await applies(this.owner);
    const late = new AbortController();
    const end = await Promise.race([former.ended, sleep(NOTICE_MS, late.signal).then(() => 'still running')]);
    late.abort();
    if (end === 'still running') former.child.kill('SIGKILL');
    if (!FENCED.test(former.output())) throw unexpected(former, 'another has taken over', end);
    return `freeze: ${delay} ms after the stream began, woken ${frozen} ms after the ${isEarly ? 'start' : 'take-over'} of the next`;
  }

  /** Stops the owner in order; the next owner is another run. */
  async stop(): Promise<void> {
    await applies(this.owner);
    this.owner.child.kill('SIGTERM');
    const end = await this.owner.ended;
    if (end !== 143) throw unexpected(this.owner, 'it was to stop', end);
  }

  next(): void {
    this.owner = this.start();
  }

  abandon(): void {
    this.owner.child.kill('SIGKILL');
  }
}

/** Resolves once the run has taken over and follows changes. */
async function applies(run: Run): Promise<void> {
  let over = false;
  void run.ended.then(() => (over = true));
  while (!/phase=(catch-up|stream)/.test(run.output())) {
    if (over) throw unexpected(run, 'it was to follow changes', await run.ended);
    await sleep(20);
  }
}

function unexpected(run: Run, what: string, end: unknown): Error {
  return new Error(`${what}, but it ended with ${String(end)}:\n${run.output()}`);
}
