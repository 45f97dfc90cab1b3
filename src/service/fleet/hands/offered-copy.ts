/**
 * What the owner of a task offers to other workers while it copies under one snapshot, and the hands that they lend it.
 *
 *   H1. A hand that was not heard of for LEASE_MS is given up: its sessions on both ends are ended, then others copy what it was at. Of two
 *       that copy a chunk one commits: "done" is unique, and in the transaction of the rows.
 *   H2. When the pass ends, no hand is at work any more: it was closed by its worker, or its sessions were ended. Where neither is certain the pass
 *       says so, and the copy's fence is raised.
 *   H3. Nothing here is needed: with the store away, or another owner in it, the owner's own hands go on, and the target's fence judges.
 */
import { randomUUID } from 'node:crypto';
import { AppError, toAppError } from '../../../base/errors/app-error.ts';
import { atMost } from '../../../base/runtime/sleep.ts';
import type { CopyHand } from '../../../engine/pipeline/copy-hand.ts';
import type { CopyRest } from '../../../engine/pipeline/copy-run.ts';
import { CopyThrottle } from '../../../engine/source/throttle.ts';
import { beatPass, type HandSeen } from '../../store/copy/beat-pass.ts';
import { callHelpers } from '../../store/copy/call-helpers.ts';
import { countOthers } from '../../store/copy/count-others.ts';
import { deleteHand } from '../../store/copy/delete-hand.ts';
import { deletePass } from '../../store/copy/delete-pass.ts';
import { insertPass } from '../../store/copy/insert-pass.ts';
import type { Store } from '../../store/store.ts';
import { shareOf } from '../../task/copy/copy-threads.ts';
import type { MoreHands, OfferedPass, PassOffer } from '../../task/copy/more-hands.ts';
import { Bell, Nap } from './bell.ts';
import { FORMAT, handRole, pack } from './hand-message.ts';
import { LentHand } from './lent-hand.ts';

export interface OwnedTask {
  /** Open only while there is something to offer: a task may be followed for weeks. */
  readonly openStore: () => Store;
  /** In the store, with the fence that its owner has there. */
  readonly taskId: string;
  readonly fence: string;
}

/** Of the workers that lend hands in this store. */
export function handsOfOthers(task: OwnedTask): MoreHands {
  return {
    expected: async (jobs) => {
      await using store = task.openStore();
      const count = countOthers(store, task.taskId).catch(() => 0);
      return jobs * (await soon(count, 0));
    },
    offer: (pass) => new OfferedCopy(task, pass),
  };
}

const BEAT_MS = 1_000;
const LEASE_MS = 10_000;
/** While the store does not answer: it may be that, and not the worker, that is away. */
const LEASE_BLIND_MS = 60_000;
/** A worker closes its hands at once when it hears that the pass is over. */
const CLOSE_MS = 2_000;
/** A store that is silent keeps nobody from going on. */
const ANSWER_MS = 5_000;

async function soon<T>(work: Promise<T>, otherwise: T): Promise<T> {
  let result = otherwise;
  const taken = work.then((value) => void (result = value));
  await atMost(ANSWER_MS, taken, new AbortController().signal);
  return result;
}

class OfferedCopy implements OfferedPass {
  readonly throttle: CopyThrottle;
  private readonly owned: OwnedTask;
  private readonly store: Store;
  private readonly bell: Bell;
  private readonly pass: PassOffer;
  private readonly id = randomUUID();
  private readonly hands = new Map<string, LentHand>();
  private readonly nap = new Nap();
  private readonly over = new AbortController();
  private readonly losing = new Map<LentHand, Promise<void>>();
  private readonly ends: (() => void)[];
  private rest: () => CopyRest = () => ({ batches: 0, bytes: 0n });
  private take: (hand: CopyHand) => void = () => {};
  private running: Promise<void> = Promise.resolve();
  private state: 'new' | 'offered' | 'lost' = 'new';
  private answeredAt = performance.now();
  /** As workers know them; they are called when they change, and so when it is first said what is of use. */
  private limits = '';
  private sure = true;

  constructor(owned: OwnedTask, pass: PassOffer) {
    this.owned = owned;
    this.store = owned.openStore();
    this.bell = new Bell(this.store);
    this.pass = pass;
    this.throttle = new CopyThrottle(pass.throttle.limits);
    const cut = () => this.loseAll();
    pass.signal.addEventListener('abort', cut, { once: true });
    this.ends = [
      this.bell.on(`owner ${this.id}`, this.nap.wake),
      pass.throttle.follow(() => this.shareLimits()),
      () => pass.signal.removeEventListener('abort', cut),
    ];
  }

  get isSure(): boolean {
    return this.sure;
  }

  follow(take: (hand: CopyHand) => void, rest: () => CopyRest): void {
    this.take = take;
    this.rest = rest;
    this.running = this.run();
  }

  private async run(): Promise<void> {
    while (!this.over.signal.aborted && this.state !== 'lost') {
      await this.look();
      this.giveUpSilent();
      await this.nap.take(BEAT_MS);
    }
  }

  /** What the store does not tell now it tells later. */
  private async look(): Promise<void> {
    try {
      if (this.state === 'new' && !(await this.offer())) return;
      const seen = await this.beat(false);
      if (seen === null) {
        this.state = 'lost';
        this.pass.say('the task has another owner in the store: what others lent to the copy is given back');
        this.loseAll();
        return;
      }
      this.see(seen);
    } catch (thrown) {
      if (thrown instanceof AppError) return;
      this.state = 'lost';
      this.loseAll();
      this.pass.say(`no hands of other workers: ${toAppError(thrown).message}`);
    }
  }

  private async offer(): Promise<boolean> {
    const { taskId, fence } = this.owned;
    const { task, jobs } = this.pass;
    const offered = { id: this.id, taskId, fence, format: FORMAT, handTask: pack('task', task), jobs };
    this.state = (await insertPass(this.store, offered)) ? 'offered' : 'lost';
    if (this.state === 'lost') return false;
    return true;
  }

  private async beat(isOver: boolean): Promise<HandSeen[] | null> {
    const { batches, bytes } = this.rest();
    const limits = JSON.stringify(shareOf(this.pass.throttle.limits, 1 / this.total));
    const hands = isOver ? 0 : batches + this.hands.size;
    const seen = await beatPass(this.store, { id: this.id, hands, bytesLeft: bytes, limits, isOver });
    const now = performance.now();
    // Workers could not be heard either.
    if (this.isBlind(now)) for (const hand of this.hands.values()) hand.heardAt = now;
    this.answeredAt = now;
    if (limits !== this.limits) await callHelpers(this.store);
    this.limits = limits;
    return seen;
  }

  private isBlind(now: number): boolean {
    return now - this.answeredAt > 2 * BEAT_MS;
  }

  private see(seen: readonly HandSeen[]): void {
    for (const one of seen) {
      const known = this.hands.get(one.id);
      if (known) known.see(one);
      else if (one.state === 'ready') this.welcome(one);
    }
    // Its worker has closed it; what it was at may have committed.
    for (const hand of this.hands.values())
      if (!seen.some(({ id }) => id === hand.id)) this.lose(hand, async () => true);
  }

  private welcome(seen: HandSeen): void {
    const hand = new LentHand(this.store, seen, () => {
      this.hands.delete(hand.id);
      this.shareLimits();
    });
    hand.see(seen);
    this.hands.set(hand.id, hand);
    this.shareLimits();
    this.pass.say(`worker ${hand.workerId} lends a hand to the copy`);
    this.take(hand);
  }

  private get total(): number {
    return this.pass.jobs + this.hands.size;
  }

  private shareLimits(): void {
    this.throttle.set(shareOf(this.pass.throttle.limits, this.pass.jobs / this.total));
    this.nap.wake();
  }

  /** H1. A hand that was heard of just now after all stays. */
  private giveUpSilent(): void {
    const now = performance.now();
    const isBlind = this.isBlind(now);
    for (const hand of this.hands.values()) {
      if (now - hand.heardAt < (isBlind ? LEASE_BLIND_MS : LEASE_MS)) continue;
      this.lose(hand, async () => isBlind || (await deleteHand(this.store, hand.id, hand.beats)));
    }
  }

  private lose(hand: LentHand, isGone: () => Promise<boolean>): void {
    if (this.losing.has(hand)) return;
    const losing = this.endHand(hand, isGone)
      .catch(() => {})
      .finally(() => this.losing.delete(hand));
    this.losing.set(hand, losing);
  }

  private async endHand(hand: LentHand, isGone: () => Promise<boolean>): Promise<void> {
    if (!(await isGone())) return;
    if (hand.isAtWork) {
      this.pass.say(`worker ${hand.workerId} is gone: others copy what it was at`);
      if (!(await this.pass.endHands(handRole(this.id, hand.id)))) this.sure = false;
    }
    hand.lose();
    this.hands.delete(hand.id);
    this.shareLimits();
  }

  /** The run ends, or is another's: who waits for a hand waits no longer. */
  private loseAll(): void {
    for (const hand of this.hands.values()) hand.lose();
  }

  /** H2. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.over.abort();
    this.nap.wake();
    await soon(this.running, undefined);
    await Promise.all(this.losing.values());
    for (const end of this.ends) end();
    if (this.state !== 'new') await this.close();
    await soon(this.bell[Symbol.asyncDispose](), undefined);
    await this.store[Symbol.asyncDispose]();
  }

  private async close(): Promise<void> {
    const areClosed = await soon(
      this.areClosed().catch(() => false),
      false,
    );
    if (!areClosed || !this.sure) this.sure = await this.pass.endHands(handRole(this.id, ''));
    await soon(
      deletePass(this.store, this.id).catch(() => {}),
      undefined,
    );
  }

  /** Workers close their hands, and say so, within a moment. */
  private async areClosed(): Promise<boolean> {
    const nap = new Nap();
    const end = this.bell.on(`owner ${this.id}`, nap.wake);
    try {
      for (
        const began = performance.now();
        performance.now() - began < CLOSE_MS;
        await nap.take(BEAT_MS / 5)
      ) {
        const seen = await this.beat(true);
        if (seen === null || seen.length === 0) return seen !== null;
        await callHelpers(this.store);
      }
    } finally {
      end();
    }
    return false;
  }
}
