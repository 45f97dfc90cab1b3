/**
 * What is to be done for the schema as it is now. Where the source's is what it was when all of it had come to the target, that is nothing,
 * and it is not read: of thousands of tables that takes seconds, and hundreds of megabytes beside a stream that needs neither.
 */
import { fingerprintSchema } from '../../../engine/pg/catalog/fingerprint.ts';
import type { SchemaPlan } from '../../../engine/schema/plan.ts';
import { rightsChoice } from '../../../engine/schema/rights/rights-choice.ts';
import {
  readCompleteSchema,
  readNotMigrated,
  readSteps,
  writeCompleteSchema,
} from '../../../engine/target/books/schema-steps.ts';
import { NOTHING_PLANNED, planFor } from '../schema-stage.ts';
import type { TaskRun } from '../task-run.ts';

export interface CurrentPlan extends SchemaPlan {
  /** Of the source, and of what was asked for, before the plan was made; null where that is not taken. */
  readonly fingerprint: string | null;
}

/** The plan of a run. That of a large schema is large: it is held for as long as something is to be done by it. */
export class Plans {
  private readonly run: TaskRun;
  private held: { readonly turn: number; readonly plan: CurrentPlan } | null;

  private constructor(run: TaskRun, first: CurrentPlan) {
    this.run = run;
    this.held = { turn: 1, plan: first };
  }

  static async read(run: TaskRun): Promise<Plans> {
    return new Plans(run, await currentPlan(run));
  }

  /** Read anew with each turn, in which tables may have come in. The first is that of the beginning. */
  async at(turn: number): Promise<CurrentPlan> {
    if (this.held?.turn !== turn) this.held = { turn, plan: await currentPlan(this.run) };
    return this.held.plan;
  }

  /** All of it was carried out. */
  forget(): void {
    this.held = null;
  }
}

async function currentPlan(run: TaskRun): Promise<CurrentPlan> {
  const fingerprint = await fingerprintOf(run);
  const plan = (await isAllThere(run, fingerprint)) ? NOTHING_PLANNED : await planFor(run);
  return { ...plan, fingerprint };
}

/** To be called when the plan was carried out: remembers it, where nothing is left open. */
export async function noteComplete(run: TaskRun, { fingerprint }: CurrentPlan): Promise<void> {
  if (fingerprint === null || (await isOpen(run))) return;
  const target = await run.ends.target();
  if ((await readCompleteSchema(target, run.taskId)) !== fingerprint)
    await writeCompleteSchema(target, run, fingerprint);
}

/** Later versions may make more of the same schema; so may other wishes. */
async function fingerprintOf({ request, ends }: TaskRun): Promise<string | null> {
  const source = await ends.source();
  if (!request.types.has('schema') || source.version < 100_000) return null;
  const { createExtensions = false, partitions = 'keep' } = request;
  const wishes = { made: MADE, createExtensions, partitions, ...rightsChoice(request) };
  return `${JSON.stringify(wishes)} ${await fingerprintSchema(source)}`;
}

/** Raised when the same source gives another plan than before. */
const MADE = 1;

async function isAllThere(run: TaskRun, fingerprint: string | null): Promise<boolean> {
  if (fingerprint === null || run.task.phase !== 'stream') return false;
  const known = await readCompleteSchema(await run.ends.target(), run.taskId);
  return known === fingerprint && !(await isOpen(run));
}

/** Something was refused, waits, or had no place on the target: a person may have changed that. */
async function isOpen(run: TaskRun): Promise<boolean> {
  const target = await run.ends.target();
  const open = await readSteps(target, run.taskId, { which: 'open' });
  return open.size > 0 || (await readNotMigrated(target, run.taskId)).length > 0;
}
