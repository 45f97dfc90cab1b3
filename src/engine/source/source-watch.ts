/**
 * Asks the source now and then, while a migration runs, what it costs there. A watch that fails or gets no answer changes nothing: it
 * tries again later, on a new session, and neither the copy nor the process waits for it.
 */
import { displayName } from '../change/relation.ts';
import { readSlot } from '../pg/slot/health.ts';
import type { Session } from '../pg/session.ts';
import {
  judgeSource,
  type LockWaiter,
  type LongTransaction,
  type Overrun,
  type SourceLimits,
  type SourceState,
} from './source-limits.ts';
import { applicationName } from './source-names.ts';

export interface SourceWatch {
  readonly taskId: string;
  readonly limits: SourceLimits;
  /** Null where the migration has none. */
  readonly slot: string | null;
  /** A session of the watch's own; must not try for ever. */
  readonly open: () => Promise<Session>;
  /** Transactions open for longer are warned of; none: they are not looked at. */
  readonly longSeconds?: number;
  /** When what was told was last so, for watches that must not say the same twice. */
  readonly told?: Map<string, number>;
  /** What was found, each time. */
  readonly onState?: (state: SourceState) => void;
  /** Each warning once, and again when it comes back after a while. */
  readonly onWarning: (message: string) => void;
  /** The last call. The session may still be used until the result resolves. */
  readonly onOverrun: (over: Overrun, session: Session) => Promise<void>;
  readonly everyMs?: number;
  /** After so long without an answer another session asks. */
  readonly answerMs?: number;
}

/** The first question is asked after one interval: most copies are over by then. */
const EVERY_MS = 3_000;
const ANSWER_MS = 15_000;
/** After failures the watch asks less often, up to so many intervals apart. */
const SLOWEST = 16;
const FAILURES_TO_TELL = 3;
const AGAIN_MS = 10 * 60_000;

/** Runs until it is disposed of. */
export function watchSource(watch: SourceWatch): Disposable {
  const running = new Watch(watch);
  return { [Symbol.dispose]: () => running.stop() };
}

class Watch {
  private readonly watch: SourceWatch;
  private readonly told: Map<string, number>;
  private session: Session | null = null;
  private timer: NodeJS.Timeout;
  private failures = 0;
  private stopped = false;

  constructor(watch: SourceWatch) {
    this.watch = watch;
    this.told = watch.told ?? new Map();
    this.timer = this.schedule();
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
    void this.session?.end();
  }

  private schedule(): NodeJS.Timeout {
    const pause = (this.watch.everyMs ?? EVERY_MS) * Math.min(2 ** this.failures, SLOWEST);
    return setTimeout(() => void this.turn(), pause).unref();
  }

  private async turn(): Promise<void> {
    try {
      await this.poll();
      this.failures = 0;
    } catch (thrown) {
      this.fail(thrown);
    }
    if (!this.stopped) this.timer = this.schedule();
  }

  private fail(thrown: unknown): void {
    void this.session?.end();
    this.session = null;
    if (this.stopped || ++this.failures < FAILURES_TO_TELL) return;
    const { snapshotAge, retainedWal } = this.watch.limits;
    if (snapshotAge === null && retainedWal === null) return;
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    this.tell('blind', `The source cannot be watched, so its limits are not kept at present: ${reason}`);
  }

  private async poll(): Promise<void> {
    if (this.session === null || this.session.isEnded) {
      const opened = await this.watch.open();
      if (this.stopped) return opened.end();
      this.session = opened;
    }
    const { session } = this;
    const cut = setTimeout(() => session.destroy(), this.watch.answerMs ?? ANSWER_MS).unref();
    try {
      const state = await readSourceState(session, this.watch);
      const verdict = judgeSource(state, this.watch.limits);
      if (this.stopped) return;
      this.watch.onState?.(state);
      if (verdict.kind === 'warn') for (const { key, message } of verdict.warnings) this.tell(key, message);
      if (verdict.kind === 'abort') {
        this.stopped = true;
        try {
          await this.watch.onOverrun(verdict.over, session);
        } finally {
          await session.end();
        }
      }
    } finally {
      clearTimeout(cut);
    }
  }

  private tell(key: string, message: string): void {
    const last = this.told.get(key) ?? -Infinity;
    const now = performance.now();
    this.told.set(key, now);
    if (now - last > AGAIN_MS) this.watch.onWarning(message);
  }
}

/** Reads only what there is a limit for, and who waits. */
export async function readSourceState(
  session: Session,
  { taskId, limits, slot, longSeconds }: Pick<SourceWatch, 'taskId' | 'limits' | 'slot' | 'longSeconds'>,
): Promise<SourceState> {
  return {
    snapshotAge: limits.snapshotAge === null ? null : await readSnapshotAge(session, taskId),
    slot: slot === null ? 'none' : ((await readSlot(session, slot)) ?? 'gone'),
    waiters: await readWaiters(session, taskId),
    longTransactions: longSeconds === undefined ? [] : await readLongTransactions(session, longSeconds),
  };
}

/**
 * Of all databases: those that have written keep the slot's WAL, wherever they did. Our own are left out. Without pg_read_all_stats only
 * those of our account are seen, and the prepared ones.
 */
async function readLongTransactions(session: Session, seconds: number): Promise<LongTransaction[]> {
  const rows = await session.query(
    `SELECT 'backend ' || a.pid || ' (user ' || coalesce(a.usename, '?') || ', application ' ||
            coalesce(nullif(a.application_name, ''), 'unknown') || ', database ' || coalesce(a.datname, '?') || ')' AS who,
            extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)::pg_catalog.int8 AS seconds,
            (a.backend_xid IS NOT NULL)::pg_catalog.text AS writes
       FROM pg_catalog.pg_stat_activity a
      WHERE a.backend_type = 'client backend' AND a.application_name NOT LIKE 'opendts:%'
        AND (a.backend_xid IS NOT NULL OR a.backend_xmin IS NOT NULL)
        AND a.xact_start < pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $1::pg_catalog.float8)
     UNION ALL
     SELECT 'prepared transaction ' || pg_catalog.quote_literal(p.gid) || ' (user ' || p.owner || ', database ' || p.database || ')',
            extract(epoch FROM pg_catalog.clock_timestamp() - p.prepared)::pg_catalog.int8, 'true'
       FROM pg_catalog.pg_prepared_xacts p
      WHERE p.prepared < pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $1::pg_catalog.float8)
      ORDER BY 2 DESC LIMIT 10`,
    [String(seconds)],
  );
  return rows.map(({ who, seconds: age, writes }) => ({
    who: who ?? '',
    seconds: Number(age),
    writes: writes === 'true',
  }));
}

/** Workers keep the snapshot alive even when its holder is gone. */
async function readSnapshotAge(session: Session, taskId: string): Promise<bigint | null> {
  const { age } = await session.one(
    `SELECT max(pg_catalog.age(a.backend_xmin))::text AS age FROM pg_catalog.pg_stat_activity a
      WHERE a.application_name IN ($1, $2) AND a.datname = pg_catalog.current_database()`,
    [applicationName(taskId, 'holder'), applicationName(taskId, 'copy')],
  );
  return age == null ? null : BigInt(age);
}

/** ACCESS SHARE, the lock of our reads, keeps out nothing but ACCESS EXCLUSIVE. */
async function readWaiters(session: Session, taskId: string): Promise<LockWaiter[]> {
  const rows = await session.query(
    `SELECT DISTINCT w.pid::text AS pid, n.nspname AS schema, c.relname AS name
       FROM pg_catalog.pg_stat_activity a
       JOIN pg_catalog.pg_locks h ON h.pid = a.pid AND h.granted AND h.locktype = 'relation' AND h.mode = 'AccessShareLock'
       JOIN pg_catalog.pg_locks w ON w.relation = h.relation AND w.database = h.database AND NOT w.granted
                                 AND w.locktype = 'relation' AND w.mode = 'AccessExclusiveLock'
       JOIN pg_catalog.pg_class c ON c.oid = w.relation
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE a.application_name = $1 AND a.datname = pg_catalog.current_database()`,
    [applicationName(taskId, 'copy')],
  );
  return rows.map(({ pid, schema, name }) => ({
    pid: pid ?? '',
    table: displayName({ schema: schema ?? '', name: name ?? '' }),
  }));
}
