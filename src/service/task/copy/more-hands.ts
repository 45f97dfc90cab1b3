/** Hands of other machines for the full copy, as the copy asks for them; who has some stands behind this (fleet/hands). */
import type { GuestHands } from '../../../engine/pipeline/copy-run.ts';
import type { CopyThrottle } from '../../../engine/source/throttle.ts';
import type { HandTask } from './copy-thread-messages.ts';

/** What is copied under one snapshot, for others to join in. */
export interface PassOffer {
  readonly task: HandTask;
  /** A machine lends at most as many as the task has here. */
  readonly jobs: number;
  /** Of the whole task. */
  readonly throttle: CopyThrottle;
  readonly signal: AbortSignal;
  readonly say: (message: string) => void;
  /** Ends the sessions of hands, by the beginning of their role; false where it is not certain that they are gone. */
  readonly endHands: (role: string) => Promise<boolean>;
}

export interface OfferedPass extends GuestHands, AsyncDisposable {
  /** The part of the limits that is left to the hands that are here. */
  readonly throttle: CopyThrottle;
  /** Once it is closed: no hand that was lent can commit any more. */
  readonly isSure: boolean;
}

export interface MoreHands {
  /** How many there may be, each machine lending so many at most. Never rejects. */
  expected(jobs: number): Promise<number>;
  offer(pass: PassOffer): OfferedPass;
}
