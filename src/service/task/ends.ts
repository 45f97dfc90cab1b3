/** The two databases of one task: every session is opened here, under a name that tells whose it is and what for. */
import type { ConnInfo } from '../../engine/pg/conninfo/conninfo.ts';
import { connect } from '../../engine/pg/connect.ts';
import type { Session } from '../../engine/pg/session.ts';
import { applicationName } from '../../engine/source/source-names.ts';

export class Ends implements AsyncDisposable {
  private readonly sourceInfo: ConnInfo;
  private readonly targetInfo: ConnInfo;
  private taskId = 'new';
  private controls: { source: Session | null; target: Session | null } = { source: null, target: null };

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

  /** The control session of a side, opened again when it was lost. */
  async source(): Promise<Session> {
    if (!this.controls.source || this.controls.source.isEnded)
      this.controls.source = await this.openSource('control');
    return this.controls.source;
  }

  async target(): Promise<Session> {
    if (!this.controls.target || this.controls.target.isEnded)
      this.controls.target = await this.openTarget('control');
    return this.controls.target;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { source, target } = this.controls;
    this.controls = { source: null, target: null };
    await Promise.all([source?.end(), target?.end()]);
  }
}
