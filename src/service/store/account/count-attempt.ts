/** One more attempt to log in. */
import { z } from 'zod';
import { int } from '../columns.ts';
import type { Db } from '../store.ts';

export interface Attempts {
  /** This one included. */
  readonly count: number;
  readonly secondsSinceFirst: number;
}

/** Counted before the password is looked at: attempts made side by side are told apart. A count begins anew after `windowSeconds`. */
export async function countAttempt(db: Db, subject: string, windowSeconds: number): Promise<Attempts> {
  const rows = await db.query(
    z.object({ attempts: int, seconds: int }),
    `INSERT INTO opendts.login_attempt AS l (subject, attempts, first_at) VALUES ($1, 1, now())
     ON CONFLICT (subject) DO UPDATE SET
       attempts = CASE WHEN l.first_at < now() - pg_catalog.make_interval(secs => $2) THEN 1 ELSE l.attempts + 1 END,
       first_at = CASE WHEN l.first_at < now() - pg_catalog.make_interval(secs => $2) THEN now() ELSE l.first_at END
     RETURNING attempts, floor(extract(epoch FROM now() - first_at))::int AS seconds`,
    [subject, String(windowSeconds)],
  );
  const [{ attempts, seconds } = { attempts: 1, seconds: 0 }] = rows;
  return { count: attempts, secondsSinceFirst: seconds };
}
