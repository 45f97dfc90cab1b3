/** The two databases of one task: every session is opened here, under a name that tells whose it is and what for. */
import type { ConnInfo, Side } from '../../engine/pg/conninfo/conninfo.ts';
import { connect } from '../../engine/pg/connect.ts';
import type { Session } from '../../engine/pg/session.ts';
import { applicationName } from '../../engine/source/source-names.ts';

export class Ends implements AsyncDisposable {
  private readonly sourceInfo: ConnInfo;
  private readonly targetInfo: ConnInfo;
  private taskId = 'new';
  private controls: Record<Side, Promise<Session> | null> = { source: null, target: null };

  constructor(source: ConnInfo, target: ConnInfo) {
    this.sourceInfo = source;
    this.targetInfo = target;
  }

  /** From now on sessions carry the task's id; the first two, opened to find it out, are closed. */
  async adoptTask(taskId: string): Promise<void> {
    await this[Symbol.asyncDispose]();
    this.taskId = taskId;
  }

  openSource(role: string): Promise<Session> {
    return connect(this.sourceInfo, { side: 'source', applicationName: applicationName(this.taskId, role) });
  }

  openTarget(role: string): Promise<Session> {
    return connect(this.targetInfo, { side: 'target', applicationName: applicationName(this.taskId, role) });
  }

  openReplication(role: string): Promise<Session> {
    return connect(this.sourceInfo, {
      side: 'source',
      applicationName: applicationName(this.taskId, role),
      replication: true,
    });
  }

  /** The control session of a side, opened again when it was lost. Asked twice at once, it is opened once. */
  source(): Promise<Session> {
    return this.control('source', () => this.openSource('control'));
  }

  target(): Promise<Session> {
    return this.control('target', () => this.openTarget('control'));
  }

  /** Cuts the control session of a side that seems gone, whatever it waits for; the next use opens another. */
  abandon(side: Side): void {
    const opened = this.controls[side];
    this.controls[side] = null;
    void opened?.then(
      (session) => session.destroy(),
      () => {},
    );
  }

  private async control(side: Side, open: () => Promise<Session>): Promise<Session> {
    const known = this.controls[side];
    if (known && !(await known).isEnded) return known;
    if (this.controls[side] !== known) return this.control(side, open);
    const opening = open();
    this.controls[side] = opening;
    opening.catch(() => (this.controls[side] = null));
    return opening;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { source, target } = this.controls;
    this.controls = { source: null, target: null };
    await Promise.all([source, target].map(async (opened) => (await opened?.catch(() => null))?.end()));
  }
}
