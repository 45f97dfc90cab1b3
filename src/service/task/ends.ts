/** The two databases of one task: every session is opened here, under a name that tells whose it is and what for. */
import type { ConnInfo, Side } from '../../engine/pg/conninfo/conninfo.ts';
import { connect } from '../../engine/pg/connect.ts';
import { SilenceWatch } from '../../engine/pg/silence-watch.ts';
import type { Session } from '../../engine/pg/session.ts';
import { applicationName } from '../../engine/source/source-names.ts';

const WATCH_TIMEOUT_S = 10;
/** A session may be silent for so long before its server is asked whether it is still there. */
const SILENT_MS = 60_000;

export class Ends implements AsyncDisposable {
  private readonly sourceInfo: ConnInfo;
  private readonly targetInfo: ConnInfo;
  private taskId = 'new';
  private controls: Record<Side, Promise<Session> | null> = { source: null, target: null };
  private readonly silence: SilenceWatch;

  constructor(source: ConnInfo, target: ConnInfo, silentMs = SILENT_MS) {
    this.sourceInfo = source;
    this.targetInfo = target;
    this.silence = new SilenceWatch({ silentMs, openAside: (side) => this.openWatch(side) });
  }

  /** From now on sessions carry the task's id; the first two, opened to find it out, are closed. */
  async adoptTask(taskId: string): Promise<void> {
    await this[Symbol.asyncDispose]();
    this.taskId = taskId;
  }

  openSource(role: string): Promise<Session> {
    return this.open('source', { role });
  }

  /** For looking at a side from aside: gives up soon, so that nobody waits for a session that only watches. */
  openWatch(side: Side): Promise<Session> {
    const info = this.infoOf(side);
    const connectTimeoutSeconds = Math.min(info.connectTimeoutSeconds || WATCH_TIMEOUT_S, WATCH_TIMEOUT_S);
    return connect(
      { ...info, connectTimeoutSeconds },
      { side, applicationName: applicationName(this.taskId, 'watch') },
    );
  }

  openTarget(role: string): Promise<Session> {
    return this.open('target', { role });
  }

  openReplication(role: string): Promise<Session> {
    return this.open('source', { role, replication: true });
  }

  private async open(side: Side, options: { role: string; replication?: boolean }): Promise<Session> {
    const { role, replication = false } = options;
    const session = await connect(this.infoOf(side), {
      side,
      applicationName: applicationName(this.taskId, role),
      replication,
    });
    // What a replication session waits for cannot be seen from aside on every version; its users have bounds of their own.
    return replication ? session : this.silence.add(session);
  }

  private infoOf(side: Side): ConnInfo {
    return side === 'source' ? this.sourceInfo : this.targetInfo;
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
