/**
 * What the owner of a task writes while it runs: where it is, about once a second where that has changed; one point a minute; what
 * happened, in order. All of it under the owner's fence. While the store is away it is kept, and the work goes on.
 */
import { AppError } from '../../base/errors/app-error.ts';
import type { Log } from '../../base/runtime/log.ts';
import type { StoredTableProgress, TaskProgress } from '../../contract/api/task-progress.ts';
import { noteEvent } from '../store/task/event/note-event.ts';
import { writeProgress } from '../store/task/progress/write-progress.ts';
import { writeSeries } from '../store/task/progress/write-series.ts';
import type { Store } from '../store/store.ts';
import { isStoreAway, patiently } from './patiently.ts';
import type { ToldProgress } from './thread/messages.ts';

const WRITE_MS = 1_000;
/** Figures that never stand still are written so often where nothing else has changed. */
const FIGURES_MS = 5_000;
const MINUTE_MS = 60_000;
/** More than this are not kept for a store that is away. */
const KEPT_NOTES = 1_000;

export interface ReporterParts {
  readonly store: Store;
  readonly log: Log;
  readonly taskId: string;
  readonly fence: string;
  /** Aborts when the owner is to leave the task: nothing waits for a store that is away then. */
  readonly leaving: AbortSignal;
  /** Somebody else has the task. */
  readonly onFenced: () => void;
}

export class Reporter implements AsyncDisposable {
  private readonly parts: ReporterParts;
  private readonly seldom: Log;
  private readonly timer: NodeJS.Timeout;
  private latest: TaskProgress | null = null;
  private written = '';
  private writtenAt = -Infinity;
  private minute = 0;
  private readonly tables = new Map<string, StoredTableProgress>();
  private writing: Promise<void> | null = null;
  private notes: Promise<void> = Promise.resolve();
  private waiting = 0;
  /** The owner leaves, and the store is away: what waits is not tried one by one. */
  private isHopeless = false;

  constructor(parts: ReporterParts) {
    this.parts = parts;
    this.seldom = parts.log.seldom(60);
    this.timer = setInterval(() => this.write(), WRITE_MS);
  }

  progress({ progress, tables }: ToldProgress): void {
    this.latest = progress;
    for (const table of tables) this.tables.set(table.table, table);
  }

  note(kind: string, facts: Readonly<Record<string, unknown>>): void {
    if (this.waiting >= KEPT_NOTES) return;
    const { store, taskId, fence } = this.parts;
    this.later(async () => void (await noteEvent(store, { taskId, fence, kind, facts })));
  }

  private later(work: () => Promise<void>): void {
    this.waiting++;
    this.notes = this.notes
      .then(() => (this.isHopeless ? undefined : patiently(this.parts.leaving, work)))
      .catch((thrown: unknown) => {
        this.isHopeless = isStoreAway(thrown);
        this.seldom.failure(thrown, 'an event of a task was not written');
      })
      .finally(() => this.waiting--);
  }

  private write(): void {
    const { latest } = this;
    if (latest === null || this.writing !== null) return;
    const text = JSON.stringify({ ...latest, elapsedMs: 0, delayMs: 0, lagBytes: null, slot: null });
    const isNew = text !== this.written || this.tables.size > 0;
    if (!isNew && performance.now() - this.writtenAt < FIGURES_MS) return;
    const tables = [...this.tables.values()];
    this.tables.clear();
    this.writing = this.store(latest, tables)
      .then(() => {
        this.written = text;
        this.writtenAt = performance.now();
      })
      .catch((thrown: unknown) => {
        // With the next: what has changed again since is newer.
        for (const table of tables) if (!this.tables.has(table.table)) this.tables.set(table.table, table);
        if (thrown instanceof AppError && thrown.code === 'FENCED') this.parts.onFenced();
        else this.seldom.failure(thrown, 'the progress of a task was not written', { level: 'warn' });
      })
      .finally(() => void (this.writing = null));
  }

  private async store(progress: TaskProgress, tables: readonly StoredTableProgress[]): Promise<void> {
    const { store, taskId, fence } = this.parts;
    if (!(await writeProgress(store, { taskId, fence, progress, tables })))
      throw new AppError('FENCED', { theirs: 'newer', ours: fence });
    const minute = minuteNow();
    if (minute === this.minute) return;
    await writeSeries(store, {
      taskId,
      fence,
      delayMs: progress.delayMs,
      lagBytes: progress.lagBytes === null ? null : BigInt(progress.lagBytes),
      rowsCopied: BigInt(progress.rowsCopied),
      bytesCopied: BigInt(progress.bytesCopied),
      changesApplied: BigInt(progress.changesApplied),
    });
    this.minute = minute;
  }

  /** What was told so far is written. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.timer);
    await this.notes;
    await this.writing;
    this.write();
    await this.writing;
  }
}

function minuteNow(): number {
  return Math.floor(Date.now() / MINUTE_MS);
}
