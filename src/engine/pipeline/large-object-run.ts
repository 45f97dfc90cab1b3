/**
 * Copies large objects under one held snapshot, several batches at a time. A batch is one transaction on the target (P4). What concerns
 * one batch, or one object that we may not read, is set aside; the others go on.
 */
import { toAppError, type AppError } from '../../base/errors/app-error.ts';
import { backoffMs } from '../../base/runtime/backoff.ts';
import type { Failpoints } from '../../base/runtime/failpoint.ts';
import { sleep } from '../../base/runtime/sleep.ts';
import { BATCH_OBJECTS, type LargeObjectBatch } from '../change/large-object.ts';
import type { OidRange } from '../change/oid-range.ts';
import { notReadable, type LargeObjectReader } from '../source/large-objects.ts';
import {
  COPY_PIECES_IN,
  type LargeObjectWriter,
  type WrittenObjects,
} from '../target/copy/large-object-writer.ts';
import { fateOf } from './copy-fate.ts';

export interface LargeObjectRun {
  readonly taskId: string;
  readonly fence: bigint;
  readonly gaps: readonly OidRange[];
  readonly jobs: number;
  /** The first object that cannot be copied ends the run. */
  readonly strict: boolean;
  /** Objects that the target has already stay as they are. */
  readonly keep: boolean;
  readonly snapshot: string;
  readonly openReader: () => Promise<LargeObjectReader>;
  readonly openWriter: () => Promise<LargeObjectWriter>;
  readonly failpoints: Failpoints;
  readonly signal: AbortSignal;
  readonly onStart: (batch: LargeObjectBatch) => void;
  readonly onPass: (batch: LargeObjectBatch, bytes: number) => void;
  readonly onDone: (batch: LargeObjectBatch, written: WrittenObjects) => void;
  /** The attempt is over without result. */
  readonly onVoid: (batch: LargeObjectBatch) => void;
}

/** A server that restarts is back within this time. */
const PATIENCE_MS = 120_000;
const ATTEMPTS = 40;
const UNIQUE_VIOLATION = '23505';

/**
 * Resolves when every gap is copied but for what is returned: why some objects could not be. Rejects with what concerns them all, once the
 * workers have ended.
 */
export async function runLargeObjects(run: LargeObjectRun): Promise<AppError[]> {
  const crew = new Crew(run);
  await crew.work();
  run.signal.throwIfAborted();
  if (crew.failure !== null) throw crew.failure;
  return crew.asideErrors();
}

interface Ends {
  readonly reader: LargeObjectReader;
  readonly writer: LargeObjectWriter;
}

class Crew {
  private readonly run: LargeObjectRun;
  private readonly gaps: OidRange[];
  private readonly returned: LargeObjectBatch[] = [];
  private turn: Promise<unknown> = Promise.resolve();
  private workers = 0;
  private user = '';
  private readonly refused: number[] = [];
  private readonly aside: AppError[] = [];
  failure: AppError | null = null;

  constructor(run: LargeObjectRun) {
    this.run = run;
    this.gaps = [...run.gaps];
  }

  async work(): Promise<void> {
    this.workers = this.run.jobs;
    await Promise.all(Array.from({ length: this.workers }, () => this.worker()));
  }

  /** What was set aside; the objects that we may not read as one error that names them. */
  asideErrors(): AppError[] {
    const { aside, refused, user } = this;
    return refused.length > 0 ? [notReadable(refused, user), ...aside] : aside;
  }

  private async worker(): Promise<void> {
    let ends: Ends | null = null;
    let batch: LargeObjectBatch | null = null;
    let attempt = 0;
    let failingSince = 0;
    try {
      while (this.failure === null && !this.run.signal.aborted) {
        try {
          if (ends === null) {
            ends = await open(this.run);
            // Reaching both ends again counts: what took long was the copy itself.
            failingSince = performance.now();
          }
          batch ??= await this.next(ends.reader);
          if (batch === null) return;
          await this.copy(batch, ends);
          batch = null;
          attempt = 0;
        } catch (thrown) {
          const isOpening = ends === null;
          await close(ends);
          ends = null;
          if (batch) this.run.onVoid(batch);
          const error = toAppError(thrown);
          if (attempt++ === 0) failingSince = performance.now();
          switch (this.fate(error, { batch, isOpening, attempt, failingSince })) {
            case 'retire':
              if (batch) this.returned.push(batch);
              return;
            case 'aside':
              this.aside.push(error);
              batch = null;
              attempt = 0;
              break;
            case 'again':
              await sleep(backoffMs(attempt, { firstMs: 300, maxMs: 5_000 }), this.run.signal);
          }
        }
      }
    } catch (thrown) {
      if (!this.run.signal.aborted) this.failure ??= toAppError(thrown);
    } finally {
      this.workers--;
      await close(ends);
    }
  }

  /** Workers ask one after the other: each batch begins where the one before ends. */
  private next(reader: LargeObjectReader): Promise<LargeObjectBatch | null> {
    const asked = this.turn.then(() => this.take(reader));
    this.turn = asked.catch(() => {});
    return asked;
  }

  private async take(reader: LargeObjectReader): Promise<LargeObjectBatch | null> {
    const again = this.returned.pop();
    if (again) return again;
    const [gap] = this.gaps;
    if (!gap || this.failure !== null) return null;
    const objects = await reader.list(gap, this.run.signal);
    const last = objects.length < BATCH_OBJECTS ? gap.last : (objects.at(-1)?.oid ?? gap.last);
    if (last < gap.last) this.gaps[0] = { first: last + 1, last: gap.last };
    else this.gaps.shift();
    return { first: gap.first, last, objects };
  }

  private async copy(batch: LargeObjectBatch, { reader, writer }: Ends): Promise<void> {
    const { run } = this;
    const oids = batch.objects.map(({ oid }) => oid);
    const refused = oids.length > 0 ? await reader.refused(oids, run.signal) : [];
    if (refused.length > 0 && run.strict) throw notReadable(refused, reader.user);
    run.onStart(batch);
    const onPass = (bytes: number) => run.onPass(batch, bytes);
    const pass = (name: 'copy.before-unit-commit' | 'copy.after-unit-commit') => {
      if (oids.length > 0) run.failpoints.pass(name);
    };
    const write = {
      taskId: run.taskId,
      fence: run.fence,
      keep: run.keep,
      snapshot: run.snapshot,
      batch,
      refused,
      beforeCommit: () => pass('copy.before-unit-commit'),
    };
    const written = await writer.write(write, async (pieces) => {
      const read = { ...pieces, copyIn: COPY_PIECES_IN, onPass };
      return (await reader.send(read, writer.session, run.signal)).bytes;
    });
    pass('copy.after-unit-commit');
    this.refused.push(...refused);
    this.user = reader.user;
    run.onDone(batch, written ?? { made: 0, skipped: 0, bytes: 0n, ownerless: new Map() });
  }

  /** Throws what ends the run. `retire`: a server is short of connections, and others are at work. */
  private fate(
    error: AppError,
    { batch, isOpening, attempt, failingSince }: Attempt,
  ): 'again' | 'aside' | 'retire' {
    if (this.run.signal.aborted) throw error;
    if (isOpening && this.workers > 1 && isShortOfConnections(error)) return 'retire';
    const fate = fateOf(error);
    // An object that has just appeared on the target may be ours, of a commit whose answer was lost: the books tell the next attempt.
    const mayBeOurs = fate === 'table' && error.facts.sqlstate === UNIQUE_VIOLATION && attempt === 1;
    if (batch !== null && fate === 'table' && !mayBeOurs && !this.run.strict) return 'aside';
    const isPassing = fate === 'again' || mayBeOurs;
    if (!isPassing || attempt >= ATTEMPTS || performance.now() - failingSince > PATIENCE_MS) throw error;
    return 'again';
  }
}

interface Attempt {
  readonly batch: LargeObjectBatch | null;
  readonly isOpening: boolean;
  readonly attempt: number;
  readonly failingSince: number;
}

function isShortOfConnections(error: AppError): boolean {
  return (
    error.code === 'CONNECT_FAILED' &&
    error.cause instanceof Error &&
    'sqlstate' in error.cause &&
    error.cause.sqlstate === '53300'
  );
}

async function open(run: LargeObjectRun): Promise<Ends> {
  const reader = await run.openReader();
  try {
    return { reader, writer: await run.openWriter() };
  } catch (thrown) {
    await reader[Symbol.asyncDispose]();
    throw thrown;
  }
}

async function close(ends: Ends | null): Promise<void> {
  await ends?.reader[Symbol.asyncDispose]();
  await ends?.writer[Symbol.asyncDispose]();
}
