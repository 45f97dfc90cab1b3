/** What an owner does with its task, as traces tell it. */
import type { Span } from '../../base/tracing/span.ts';
import type { Tracing } from '../../base/tracing/tracing.ts';
import type { Phase } from '../../contract/progress.ts';

interface Told {
  readonly tracing: Tracing;
  readonly workerId: string;
}

/** Begins a trace of its own: who asked for it did so some time before, elsewhere. */
export function spanOfTask({ tracing, workerId }: Told, name: string, taskId: string, state?: string): Span {
  return tracing.start(name, {
    fields: {
      'opendts.task.id': taskId,
      'opendts.worker.id': workerId,
      ...(state === undefined ? {} : { 'opendts.task.state': state }),
    },
  });
}

/** The stages of a run, each a part of its span. The stream goes on for weeks: that it begins is told, as a moment. */
export class StageSpans implements Disposable {
  private readonly run: Span;
  private phase: Phase | null = null;
  private stage: Span | null = null;

  constructor(run: Span) {
    this.run = run;
  }

  at(phase: Phase): void {
    if (phase === this.phase) return;
    this[Symbol.dispose]();
    this.phase = phase;
    if (phase === 'stream' || phase === 'done') this.run.event(`${phase} begins`);
    else this.stage = this.run.child(`stage ${phase}`);
  }

  [Symbol.dispose](): void {
    this.stage?.end();
    this.stage = null;
  }
}
