/**
 * Sessions of the engine, kept and lent: hosts, TLS, roles and the words of failures are those of every other connection of ours
 * (decision 22). A session that was lost is replaced when it is next needed.
 */
import { AppError } from '../../base/errors/app-error.ts';
import type { Session } from '../../engine/pg/session.ts';

export interface PoolOptions {
  readonly open: () => Promise<Session>;
  readonly size: number;
}

export class SessionPool implements AsyncDisposable {
  private readonly options: PoolOptions;
  private readonly idle: Session[] = [];
  private readonly waiting: (() => void)[] = [];
  private lent = 0;
  private closed = false;

  constructor(options: PoolOptions) {
    this.options = options;
  }

  /** Lends a session to `work` alone. Throws what opening one throws. */
  async use<T>(work: (session: Session) => Promise<T>): Promise<T> {
    // A place first, a session then: those that wait are served in their order.
    if (this.lent >= this.options.size) await new Promise<void>((resolve) => this.waiting.push(resolve));
    else this.lent++;
    try {
      const session = this.takeIdle() ?? (await this.options.open());
      try {
        return await work(session);
      } catch (thrown) {
        // Its socket may close only later: nobody is to be given it meanwhile.
        if (isConnectionLost(thrown)) session.destroy();
        throw thrown;
      } finally {
        if (this.closed || session.isEnded) await session.end();
        else this.idle.push(session);
      }
    } finally {
      const next = this.waiting.shift();
      if (next) next();
      else this.lent--;
    }
  }

  /** How many sessions are lent, how many lie idle, and how many callers wait. */
  counts(): { readonly lent: number; readonly idle: number; readonly waiting: number } {
    return { lent: this.lent, idle: this.idle.length, waiting: this.waiting.length };
  }

  private takeIdle(): Session | undefined {
    for (let session = this.idle.pop(); session; session = this.idle.pop()) {
      if (!session.isEnded) return session;
    }
    return undefined;
  }

  /** Ends what is idle; what is lent ends when it is given back. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.closed = true;
    await Promise.all(this.idle.splice(0).map((session) => session.end()));
  }
}

function isConnectionLost(thrown: unknown): boolean {
  return thrown instanceof AppError && thrown.code === 'CONNECTION_LOST';
}
