/** How long to wait before the next attempt. Pure. */

export interface BackoffOptions {
  readonly firstMs: number;
  readonly maxMs: number;
}

/** Doubles from `firstMs` up to `maxMs`; `random` in [0, 1) spreads many workers by up to a quarter. */
export function backoffMs(attempt: number, options: BackoffOptions, random: number = Math.random()): number {
  const grown = Math.min(options.maxMs, options.firstMs * 2 ** Math.max(0, attempt - 1));
  return Math.round(grown * (1 - random / 4));
}
