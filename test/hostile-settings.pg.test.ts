/** Time limits that an administrator has set for the role or the database end nothing of ours: our sessions set their own. */
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { freshDatabase, type TestDatabase } from './database.ts';
import { pause, reaches } from './follow.ts';
import { compare, start } from './migration.ts';

const LIMIT = '500ms';
/** Far longer than the limit. */
const LONG_MS = 4_000;

function limits({ major }: TestDatabase): string[] {
  return [
    'statement_timeout',
    'lock_timeout',
    'idle_in_transaction_session_timeout',
    ...(major >= 14 ? ['idle_session_timeout'] : []),
    ...(major >= 17 ? ['transaction_timeout'] : []),
  ];
}

/** The database under a role of its own; both have the limits. */
async function limited(db: TestDatabase, role: string): Promise<TestDatabase> {
  await db.session.query(`CREATE ROLE ${role} LOGIN SUPERUSER PASSWORD 'only-here'`);
  for (const name of limits(db))
    await db.session.query(
      `ALTER ROLE ${role} SET ${name} = '${LIMIT}'; ALTER DATABASE ${db.name} SET ${name} = '${LIMIT}'; ALTER ROLE ${role} IN DATABASE ${db.name} SET ${name} = '${LIMIT}'`,
    );
  return { ...db, info: { ...db.info, user: role, password: 'only-here' } };
}

/** Workers of ours that wait for a lock. */
async function waiting({ session }: TestDatabase) {
  return session.query(
    `SELECT a.pid FROM pg_locks l JOIN pg_stat_activity a USING (pid)
      WHERE NOT l.granted AND a.datname = current_database() AND a.application_name LIKE 'opendts:%:copy'`,
  );
}

/** Of both ends: control, holder, workers. */
async function sessions(...ends: TestDatabase[]): Promise<string[]> {
  const found: string[] = [];
  for (const { session, name } of ends) {
    const rows = await session.query(
      `SELECT split_part(application_name, ':', 3) AS role, pid FROM pg_stat_activity
        WHERE datname = $1 AND application_name ~ '^opendts:.*:(control|holder|copy)$' ORDER BY backend_start`,
      [name],
    );
    found.push(...rows.map(({ role, pid }) => `${name} ${role} ${pid}`));
  }
  return found;
}

describe.each([
  [12, 18],
  [18, 15],
] as const)('time limits on role and database, from %i to %i', (from, to) => {
  it('do not end the holder, a copy, a wait for a lock, nor the stream', async () => {
    await using source = await freshDatabase(from);
    await using target = await freshDatabase(to);
    const role = `r_${randomBytes(4).toString('hex')}`;
    await source.session.query(`
      CREATE TABLE big (id int PRIMARY KEY, v text); CREATE TABLE small (id int PRIMARY KEY); CREATE INDEX ON big (v);
      INSERT INTO big SELECT i, md5(i::text) FROM generate_series(1, 40000) i; INSERT INTO small VALUES (1)`);
    try {
      const here = await limited(source, role);
      const there = await limited(target, role);
      await using locker = await source.open();
      const locked = Promise.withResolvers<unknown>();
      const migration = start(here, there, {
        limits: { queriesPerSecond: null, rowsPerSecond: 8_000, bytesPerSecond: null },
        jobs: 1,
        // Behind the slot, which would wait for this transaction, and before the first worker has connected.
        onEvent: ({ message }) => {
          if (message.startsWith('copying')) locked.resolve(locker.query('BEGIN; LOCK TABLE public.small'));
        },
      });
      void migration.finished.catch(() => {});
      await reaches(migration, 'copy');
      const started = performance.now();
      await locked.promise;
      await expect.poll(() => waiting(source)).toHaveLength(1);
      const first = await waiting(source);
      await pause(2_000);
      expect(await waiting(source)).toEqual(first);
      await locker.query('COMMIT');
      await source.session.query("UPDATE big SET v = 'changed' WHERE id % 100 = 0");
      while (migration.progress().bytesCopied === 0n) await pause(20);
      const before = await sessions(source, target);
      expect(before.map((line) => line.split(' ')[1])).toEqual([
        'control',
        'holder',
        'copy',
        'control',
        'copy',
      ]);
      await pause(2_000);
      expect(migration.progress().phase).toBe('copy');
      expect(await sessions(source, target)).toEqual(before);
      expect((await migration.finished).outcome).toBe('caught-up');
      expect(performance.now() - started).toBeGreaterThan(LONG_MS);
      expect((await compare(source, target)).differing).toEqual([]);
    } finally {
      await source.session.query(`REASSIGN OWNED BY ${role} TO postgres; DROP ROLE ${role}`);
      await target.session.query(`REASSIGN OWNED BY ${role} TO postgres`);
      await target.session.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });
});
