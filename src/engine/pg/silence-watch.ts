/**
 * Ends sessions that have lost their server without a word: a network that swallows packets, a proxy that stands still. Without it an
 * answer would be waited for as long as the process lives.
 *
 *   W1. Silence alone proves nothing: a server may sort for hours before it answers. After a while of it the server is asked, on another
 *       connection, what that backend does.
 *   W2. A backend that is gone, or that waits for us while we wait for it, twice in a row, is lost: it is ended there, so that its locks
 *       go, and the session is cut. What it was doing fails with CONNECTION_LOST and is tried again by whoever does that.
 *   W3. A server that cannot be asked several times in a row is lost as well.
 *   W4. Of a session that ends by itself the backend is ended too: the server may not have heard of it, and would keep the locks.
 */
import type { Side } from './conninfo/conninfo.ts';
import { AppError } from '../../base/errors/app-error.ts';
import { sleep } from '../../base/runtime/sleep.ts';
import type { Session } from './session.ts';

export interface SilenceOptions {
  readonly silentMs: number;
  /** A session to ask on; must not try for ever. */
  readonly openAside: (side: Side) => Promise<Session>;
}

/** What a server says about a backend; `unknown` proves nothing. */
type Finding = 'works' | 'lost' | 'unreachable' | 'unknown';

interface Watched {
  pulse: string | null;
  since: number;
  lost: number;
  unreachable: number;
}

const CHECKS_IN_SILENCE = 4;
const ENOUGH_LOST = 2;
const ENOUGH_UNREACHABLE = 3;
const ANSWER_MS = 10_000;

export class SilenceWatch {
  private readonly options: SilenceOptions;
  private readonly watched = new Map<Session, Watched>();
  private timer: NodeJS.Timeout | null = null;
  private isChecking = false;

  constructor(options: SilenceOptions) {
    this.options = options;
  }

  /** Watches the session until it ends. */
  add(session: Session): Session {
    this.watched.set(session, { pulse: null, since: 0, lost: 0, unreachable: 0 });
    session.whenLost().addEventListener('abort', () => void this.reap(session), { once: true });
    this.timer ??= setInterval(() => void this.check(), this.options.silentMs / CHECKS_IN_SILENCE).unref();
    return session;
  }

  private async check(): Promise<void> {
    if (this.isChecking) return;
    this.isChecking = true;
    await Promise.all([...this.watched].map(([session, watched]) => this.look(session, watched)));
    this.isChecking = false;
    if (this.watched.size > 0 || this.timer === null) return;
    clearInterval(this.timer);
    this.timer = null;
  }

  private async look(session: Session, watched: Watched): Promise<void> {
    if (session.isEnded) {
      this.watched.delete(session);
      return;
    }
    const pulse = session.pulse();
    const now = performance.now();
    if (pulse === null || pulse !== watched.pulse)
      Object.assign(watched, { pulse, since: now, lost: 0, unreachable: 0 });
    else if (now - watched.since >= this.options.silentMs) await this.examine(session, watched);
  }

  private async examine(session: Session, watched: Watched): Promise<void> {
    const finding = await this.ask(session);
    // It may have spoken meanwhile.
    if (session.isEnded || session.pulse() !== watched.pulse) return;
    watched.lost = finding === 'lost' ? watched.lost + 1 : 0;
    watched.unreachable = finding === 'unreachable' ? watched.unreachable + 1 : 0;
    if (finding === 'works') watched.since = performance.now();
    if (watched.lost < ENOUGH_LOST && watched.unreachable < ENOUGH_UNREACHABLE) return;
    const seconds = Math.round((performance.now() - watched.since) / 1000);
    this.watched.delete(session);
    // Ends the backend as well (W4).
    session.cut(`no byte has come for ${seconds} s`);
  }

  private async ask(session: Session): Promise<Finding> {
    try {
      return await this.aside(session.side, async (aside) => {
        const waitsForUs =
          aside.version >= 100_000 ? "wait_event IN ('ClientRead', 'ClientWrite')" : "state LIKE 'idle%'";
        const [row] = await aside.query(
          `SELECT coalesce(${waitsForUs}, false)::text AS waits FROM pg_catalog.pg_stat_activity WHERE pid = $1::int`,
          [String(session.pid)],
        );
        return row?.waits === 'false' ? 'works' : 'lost';
      });
    } catch (thrown) {
      const hasAnswered = thrown instanceof AppError && hasSqlstate(thrown.cause);
      return hasAnswered ? 'unknown' : 'unreachable';
    }
  }

  private async reap(session: Session): Promise<void> {
    this.watched.delete(session);
    // After a restart the number may already be that of another session of ours.
    const isTaken = () =>
      [...this.watched.keys()].some(({ side, pid }) => side === session.side && pid === session.pid);
    await this.aside(session.side, async (aside) => {
      if (isTaken()) return;
      await aside.query(
        `SELECT pg_catalog.pg_terminate_backend(a.pid) FROM pg_catalog.pg_stat_activity a
          WHERE a.pid = $1::int AND a.usename = current_user AND a.backend_start < pg_catalog.now()
            AND a.application_name LIKE 'opendts:%'`,
        [String(session.pid)],
      );
    }).catch(() => {});
  }

  /** Gives the server a limited time for all of it. */
  private async aside<T>(side: Side, work: (aside: Session) => Promise<T>): Promise<T> {
    const aside = await this.options.openAside(side);
    const over = new AbortController();
    try {
      const late = sleep(ANSWER_MS, over.signal).then(() => {
        throw new Error('no answer');
      });
      late.catch(() => {});
      return await Promise.race([work(aside), late]);
    } finally {
      over.abort();
      aside.destroy();
    }
  }
}

function hasSqlstate(cause: unknown): boolean {
  return cause instanceof Error && 'sqlstate' in cause && typeof cause.sqlstate === 'string';
}
