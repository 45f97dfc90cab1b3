/**
 * How large a window becomes before it is handed over. Pure. The larger it is, the more of its changes fold and the less each costs; but
 * a target that waits for one does nothing meanwhile.
 */

import type { Window } from '../target/apply/window/window.ts';
import type { StreamThrottle } from './stream-throttle.ts';

/** What is collected, and the rates that it has to keep to. */
interface Collected {
  readonly window: Pick<Window, 'holds' | 'size' | 'bytes'>;
  readonly spec: { readonly throttle: Pick<StreamThrottle, 'isFull'> };
}

/** What is worth a transaction of its own while the target has nothing to do and more comes. */
const WORTH_IT = 0.25;
/** Beyond it a transaction goes in parts, into the open transaction of the target; each part is waited for before the next, and its end too. */
const STRETCH = 1.25;

/** At the end of a transaction: the window is to be handed over. */
export function isEnough(collected: Collected, isTargetBusy: boolean): boolean {
  return holds(collected, isTargetBusy ? 1 : WORTH_IT);
}

/** Within a transaction: it will not fit. A window that is only just full waits for the end: most transactions are small. */
export function isTooMuch(collected: Collected): boolean {
  return holds(collected, STRETCH);
}

/** At least this share of a full window. Slow rates make full windows small. */
function holds({ window, spec }: Collected, share: number): boolean {
  return window.holds(share) || spec.throttle.isFull(window.size / share, window.bytes / share);
}
