/**
 * Lends hands of this worker to tasks that other workers run, as long as it has places to spare. A hand stays with its pass: one transaction
 * under the imported snapshot reads chunk after chunk (an importer outlives the exporter), one session on the target writes them.
 */
import { randomUUID } from 'node:crypto';
import { toAppError, type AppError } from '../../../base/errors/app-error.ts';
import { backoffMs } from '../../../base/runtime/backoff.ts';
import { atMost } from '../../../base/runtime/sleep.ts';
import { throughout, type Span } from '../../../base/tracing/span.ts';
import { beatHands } from '../../store/copy/beat-hands.ts';
import { hasRoom } from '../../store/connection/has-room.ts';
import { insertHand } from '../../store/copy/insert-hand.ts';
import { pickPass, type PickedPass } from '../../store/copy/pick-pass.ts';
import { lockConnections } from '../../store/connection/lock-connections.ts';
import type { Store } from '../../store/store.ts';
import { isStoreAway } from '../patiently.ts';
import { Nap, type Bell } from './bell.ts';
import { FORMAT } from './hand-message.ts';
import { HelpingHand } from './helping-hand.ts';
import { JoinedPass, type JoinOptions } from './joined-pass.ts';

export interface HelperOptions extends JoinOptions {
  readonly store: Store;
  readonly bell: Bell;
  readonly workerId: string;
  readonly cluster: string | null;
  /** How many hands it may lend at present, those that it has lent included. */
  readonly places: () => number;
  /** In which a hand is lent to a task. */
  readonly spanOf: (taskId: string) => Span;
  /** It could not help; told once in a while at most. */
  readonly onTrouble: (error: AppError) => void;
}

const BEAT_MS = 1_000;
const LOOK_MS = 5_000;

/** A pass that a hand failed with, and until when it is left alone. */
interface Trouble {
  readonly times: number;
  readonly until: number;
}

export class CopyHelper implements AsyncDisposable {
  private readonly options: HelperOptions;
  private readonly hands = new Map<string, HelpingHand>();
  private readonly passes = new Map<string, JoinedPass>();
  private readonly troubles = new Map<string, Trouble>();
  private readonly working = new Set<Promise<void>>();
  private readonly nap = new Nap();
  private readonly unhear: () => void;
  private readonly running: Promise<void>;
  private isEnding = false;

  constructor(options: HelperOptions) {
    this.options = options;
    this.unhear = options.bell.on('pass', this.nap.wake);
    this.running = this.run();
  }

  /** Hands that are lent. */
  get lent(): number {
    return this.hands.size;
  }

  private async run(): Promise<void> {
    while (!this.isEnding || this.hands.size > 0) {
      try {
        const places = this.isEnding ? 0 : this.options.places();
        this.giveBack(this.hands.size - places);
        await this.beat();
        if (this.hands.size < places && (await this.join())) continue;
      } catch (thrown) {
        // Whether hands are still needed is found out later.
        if (!isStoreAway(thrown)) this.options.onTrouble(toAppError(thrown));
      }
      await this.nap.take(this.hands.size > 0 ? BEAT_MS : LOOK_MS);
    }
  }

  /** Places are needed for something else. */
  private giveBack(count: number): void {
    if (count > 0) for (const hand of [...this.hands.values()].slice(0, count)) hand.leave();
  }

  private async beat(): Promise<void> {
    const hands = [...this.hands.values()];
    if (hands.length === 0) return;
    const news = new Map(
      (
        await beatHands(
          this.options.store,
          hands.map(({ beat }) => beat),
        )
      ).map((one) => [one.id, one]),
    );
    for (const hand of hands) {
      const heard = news.get(hand.id);
      hand.hear(heard);
      if (heard) hand.pass.limit(heard.limits);
    }
    for (const pass of this.passes.values())
      if (hands.filter((hand) => hand.pass === pass).every(({ isGone }) => isGone)) pass.stop();
  }

  /** One hand at a time: several workers that look at once get about as many. */
  private async join(): Promise<boolean> {
    const { store, workerId, cluster } = this.options;
    const id = randomUUID();
    const now = performance.now();
    const except = [...this.troubles].flatMap(([pass, { until }]) => (until > now ? [pass] : []));
    const found = await store.transaction(async (db) => {
      const pass = await pickPass(db, { workerId, cluster, format: FORMAT, except });
      if (pass === null) return null;
      await lockConnections(db, pass.connections);
      if (!(await hasRoom(db, pass.taskId))) return { pass, isFull: true, isLent: false };
      return { pass, isFull: false, isLent: await insertHand(db, { id, passId: pass.id, workerId }) };
    });
    if (found === null) return false;
    const { pass, isFull, isLent } = found;
    // There may be another, whose connections have room.
    if (isFull) this.avoid(pass.id, LOOK_MS);
    // Others have lent enough to this one meanwhile.
    if (!isLent) return true;
    const working = this.lend(id, pass).finally(() => this.working.delete(working));
    this.working.add(working);
    return true;
  }

  private async lend(id: string, picked: PickedPass): Promise<void> {
    const pass = this.passes.get(picked.id) ?? new JoinedPass(picked, this.options);
    this.passes.set(pass.id, pass);
    const hand = new HelpingHand(id, pass, this.options);
    this.hands.set(id, hand);
    pass.counted(1);
    try {
      await throughout(this.options.spanOf(picked.taskId), () => hand.work());
      this.troubles.delete(pass.id);
    } catch (thrown) {
      this.remember(pass.id, toAppError(thrown));
    } finally {
      this.hands.delete(id);
      pass.counted(-1);
      if (pass.hands === 0) {
        this.passes.delete(pass.id);
        await pass[Symbol.asyncDispose]();
      }
      this.nap.wake();
    }
  }

  /** The next try comes later each time. */
  private remember(passId: string, error: AppError): void {
    const times = (this.troubles.get(passId)?.times ?? 0) + 1;
    this.avoid(passId, backoffMs(times, { firstMs: 2_000, maxMs: 60_000 }), times);
    this.options.onTrouble(error);
  }

  private avoid(passId: string, ms: number, times = this.troubles.get(passId)?.times ?? 0): void {
    this.troubles.delete(passId);
    this.troubles.set(passId, { times, until: performance.now() + ms });
    // Of passes that are long over nothing needs to be known.
    const [oldest] = this.troubles.keys();
    if (this.troubles.size > 1_000 && oldest !== undefined) this.troubles.delete(oldest);
  }

  /** Hands end what they are at, if that takes no longer than so; their passes go on without them. */
  async end(patienceMs: number): Promise<void> {
    this.isEnding = true;
    this.nap.wake();
    const ended = this.ended();
    await atMost(patienceMs, ended, new AbortController().signal);
    for (const pass of this.passes.values()) pass.stop();
    await ended;
    this.unhear();
  }

  private async ended(): Promise<void> {
    await this.running;
    await Promise.all(this.working);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end(0);
  }
}
