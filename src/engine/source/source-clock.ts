/** The source's clock, for what is told by it: our machine's may be minutes away. */
import type { Session } from '../pg/session.ts';
import type { ClockReading } from './delay-meter.ts';

export async function readSourceClock(source: Session): Promise<ClockReading> {
  const askedMs = Date.now();
  const { now } = await source.one(
    'SELECT (pg_catalog.date_part($$epoch$$, pg_catalog.clock_timestamp()) * 1000)::text AS now',
  );
  return { askedMs, answeredMs: Date.now(), sourceMs: Number(now) };
}
