/**
 * How much may pass in a time. Pure: the clock (milliseconds, any origin) is an argument. A spend is never refused but leaves a debt,
 * and whoever spent waits until it is paid: so one who follows passes at most rate × time + burst + one spend in any stretch of time.
 */

export interface TokenBucket {
  /** Tokens a second; null: without limit. */
  readonly rate: number | null;
  /** Those left at the moment `at`; negative: the debt. */
  readonly tokens: number;
  readonly at: number;
}

/** What an idle bucket gathers, in milliseconds of its rate: as late as a timer may be without a loss of speed. */
export const BURST_MS = 100;

/** A bucket with neither tokens nor debt. `rate`: tokens a second, positive, or null for no limit. */
export function emptyBucket(rate: number | null, now: number): TokenBucket {
  return { rate, tokens: 0, at: now };
}

/** The bucket after `amount` has passed; `waitMs` tells when its debt is paid. */
export function spend(bucket: TokenBucket, amount: number, now: number): TokenBucket {
  if (bucket.rate === null) return bucket;
  return { rate: bucket.rate, tokens: tokensAt(bucket, bucket.rate, now) - amount, at: now };
}

/** Milliseconds until the debt is paid, 0 where there is none. */
export function waitMs(bucket: TokenBucket, now: number): number {
  if (bucket.rate === null) return 0;
  return Math.max(0, (-tokensAt(bucket, bucket.rate, now) / bucket.rate) * 1000);
}

/** The bucket with another rate from now on: a debt stays and is paid at the new rate, and is forgiven where there is no limit. */
export function withRate(bucket: TokenBucket, rate: number | null, now: number): TokenBucket {
  if (rate === null || bucket.rate === null) return emptyBucket(rate, now);
  return { rate, tokens: tokensAt(bucket, bucket.rate, now), at: now };
}

function tokensAt({ tokens, at }: TokenBucket, rate: number, now: number): number {
  return Math.min(burst(rate), tokens + (rate * (now - at)) / 1000);
}

function burst(rate: number): number {
  return (rate * BURST_MS) / 1000;
}
