/** Commit times: microseconds since 2000-01-01, as the stream gives them and as people write them. */

const POSTGRES_EPOCH_MS = 946_684_800_000;

/** ISO 8601 with its zone, also as PostgreSQL prints it; null for anything else. Digits behind microseconds do not count. */
export function parseTime(text: string): bigint | null {
  const match = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(?:\.(\d+))?(?:Z|([+-]\d\d)(?::?(\d\d))?)$/i.exec(
    text,
  );
  if (!match) return null;
  const [, date, time, fraction = '', hours = '+00', minutes = '00'] = match;
  const seconds = Date.parse(`${date}T${time}${hours}:${minutes}`);
  if (Number.isNaN(seconds)) return null;
  return BigInt(seconds - POSTGRES_EPOCH_MS) * 1000n + BigInt(fraction.padEnd(6, '0').slice(0, 6));
}

/** In UTC, to the microsecond. */
export function formatTime(time: bigint): string {
  const part = ((time % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const at = new Date(Number((time - part) / 1000n) + POSTGRES_EPOCH_MS);
  return at.toISOString().replace(/\.\d+Z$/, part === 0n ? 'Z' : `.${String(part).padStart(6, '0')}Z`);
}
