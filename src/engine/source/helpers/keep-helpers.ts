/**
 * Keeps a task's helpers in the source alive while it runs: writes the heartbeat, puts back what somebody has removed, looks for DDL that
 * no event trigger told. On a session of its own, one thing after the other; nobody waits for it, and what it cannot do it says once.
 */
import { PgError, SQLSTATE, sqlstateOf, isConnectionLoss } from '../../pg/pg-error.ts';
import type { TableInfo } from '../../pg/catalog/tables/tables.ts';
import type { Session } from '../../pg/session.ts';
import type { SourceNames } from '../source-names.ts';
import type { CatalogEvent } from './catalog-diff.ts';
import { CatalogWatch } from './catalog-watch.ts';
import { ensureCapture, isCapturing } from './ddl-capture.ts';
import { beat, ensureHeartbeat, type HeartbeatPosition } from './heartbeat.ts';
import type { HelperState } from './helper-tables.ts';
import type { HelperWishes } from './install.ts';

export interface HelperKeeping extends HelperWishes {
  readonly names: SourceNames;
  /** A session of the keeper's own; must not try for ever. */
  readonly open: () => Promise<Session>;
  /** The tables as the task knows them: what is different now is told at the first look. */
  readonly known: readonly TableInfo[];
  readonly position: () => HeartbeatPosition;
  /** What is missing, or was put back; each once. */
  readonly onWarning: (message: string) => void;
  /** DDL found by comparing. What event triggers have told is among it, later. */
  readonly onCatalog: (events: readonly CatalogEvent[]) => void;
  readonly everyMs?: number;
  /** How often catalogs are compared where event triggers tell of DDL, and where they do not. */
  readonly compareMs?: { readonly captured: number; readonly alone: number };
}

const EVERY_MS = 5_000;
const COMPARE_MS = { captured: 60_000, alone: 10_000 };
/** After so long without an answer another session asks. */
const ANSWER_MS = 15_000;

/** Runs until it is disposed of. The first beat comes at once. */
export function keepHelpers(keeping: HelperKeeping): Disposable {
  const keeper = new Keeper(keeping);
  return { [Symbol.dispose]: () => keeper.stop() };
}

class Keeper {
  private readonly keeping: HelperKeeping;
  private readonly watch: CatalogWatch;
  private readonly told = new Set<string>();
  private session: Session | null = null;
  private timer: NodeJS.Timeout | null = null;
  private stopped = false;
  private beats: boolean;
  private captures: boolean;
  private isEnsured = false;
  private lastLook = -Infinity;

  constructor(keeping: HelperKeeping) {
    this.keeping = keeping;
    this.watch = new CatalogWatch(keeping.known);
    this.beats = keeping.heartbeat;
    this.captures = keeping.captureDdl;
    void this.turn();
  }

  stop(): void {
    this.stopped = true;
    if (this.timer) clearTimeout(this.timer);
    void this.session?.end();
  }

  private async turn(): Promise<void> {
    try {
      await this.work();
    } catch (thrown) {
      void this.session?.end();
      this.session = null;
      // The stream itself tells of a source that is lost.
      if (!this.stopped && thrown instanceof PgError && !isConnectionLoss(thrown)) this.tell(thrown.shown);
    }
    if (!this.stopped)
      this.timer = setTimeout(() => void this.turn(), this.keeping.everyMs ?? EVERY_MS).unref();
  }

  private async work(): Promise<void> {
    const session = await this.ready();
    if (session === null) return;
    const cut = setTimeout(() => session.destroy(), ANSWER_MS).unref();
    try {
      if (!this.isEnsured) await this.ensure(session);
      if (this.beats) await this.beat(session);
      if (this.captures) await this.checkCapture(session);
      await this.compare(session);
    } finally {
      clearTimeout(cut);
    }
  }

  private async ready(): Promise<Session | null> {
    if (this.session && !this.session.isEnded) return this.session;
    const opened = await this.keeping.open();
    if (this.stopped) {
      await opened.end();
      return null;
    }
    this.session = opened;
    // A standby of the source that does not answer is not ours to wait for.
    await opened.query('SET synchronous_commit = local');
    return opened;
  }

  private async ensure(session: Session): Promise<void> {
    const { names } = this.keeping;
    if (this.beats)
      this.beats = this.isOn(await ensureHeartbeat(session, names), 'There is no heartbeat in the source');
    if (this.captures)
      this.captures = this.isOn(
        await ensureCapture(session, names),
        'DDL of the source is found by comparing its catalog, later than it happens',
      );
    this.isEnsured = true;
  }

  private isOn(state: HelperState, otherwise: string): boolean {
    if (state.kind === 'off') this.tell(`${otherwise}: ${state.why}`);
    return state.kind === 'on';
  }

  private async beat(session: Session): Promise<void> {
    try {
      await beat(session, this.keeping.names.slot, this.keeping.position());
    } catch (thrown) {
      if (sqlstateOf(thrown) !== SQLSTATE.undefinedTable) throw thrown;
      await this.ensure(session);
      if (this.beats) this.tell('The heartbeat table had been removed from the source: it was made again.');
    }
  }

  private async checkCapture(session: Session): Promise<void> {
    if (await isCapturing(session, this.keeping.names)) return;
    await this.ensure(session);
    // What happened in between was not told.
    this.lastLook = -Infinity;
    if (this.captures)
      this.tell('The capture of DDL had been removed from the source, in part at least: it was made again.');
  }

  private async compare(session: Session): Promise<void> {
    const { compareMs = COMPARE_MS, onCatalog } = this.keeping;
    const now = performance.now();
    if (now - this.lastLook < (this.captures ? compareMs.captured : compareMs.alone)) return;
    const events = await this.watch.look(session);
    this.lastLook = now;
    if (events.length > 0 && !this.stopped) onCatalog(events);
  }

  private tell(message: string): void {
    if (this.told.has(message)) return;
    this.told.add(message);
    this.keeping.onWarning(message);
  }
}
