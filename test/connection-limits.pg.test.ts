/** Accounts that may open only a few sessions: the copy makes do with those. */
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freshDatabase, type TestDatabase } from './database.ts';
import { pause, reaches } from './follow.ts';
import { compare, migrate, start } from './migration.ts';

/** Large enough that none shares a transaction with another. */
const TABLES = ['a', 'b', 'c', 'd']
  .map(
    (
      name,
    ) => `CREATE TABLE ${name} (id int PRIMARY KEY, v text); ALTER TABLE ${name} ALTER v SET STORAGE EXTERNAL;
      INSERT INTO ${name} SELECT i, repeat(md5(i::text), 300) FROM generate_series(1, 1200) i;`,
  )
  .join('\n');
const types = ['schema', 'full'] as const;

let source: TestDatabase;
let target: TestDatabase;
let role = '';
const as = (db: TestDatabase): TestDatabase => ({
  ...db,
  info: { ...db.info, user: role, password: 'only-here' },
});

beforeEach(async () => {
  source = await freshDatabase(17);
  target = await freshDatabase(18);
  role = `r_${randomBytes(4).toString('hex')}`;
  for (const db of [source, target]) {
    await db.session.query(`CREATE ROLE ${role} LOGIN PASSWORD 'only-here'`);
    await db.session.query(
      `GRANT ALL ON DATABASE ${db.name} TO ${role}; GRANT ALL ON SCHEMA public TO ${role}`,
    );
  }
  await source.session.query(TABLES);
  await source.session.query(`GRANT SELECT ON ALL TABLES IN SCHEMA public TO ${role}`);
});
afterEach(async () => {
  for (const db of [source, target]) {
    await db.session.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    await db[Symbol.asyncDispose]();
  }
});

const limit = (db: TestDatabase, connections: number) =>
  db.session.query(`ALTER ROLE ${role} CONNECTION LIMIT ${connections}`);

describe('a copy with four jobs', () => {
  it('is done by two workers where the source allows no more, and says so', async () => {
    // The control session, the holder of the snapshot, two workers.
    await limit(source, 4);
    const { outcome, warnings } = await migrate(as(source), target, { types, jobs: 4 });
    expect(outcome).toBe('completed');
    const lowered = warnings.flatMap(
      (text) => /too many connections.*goes on with (\d+) connections on each side/.exec(text)?.[1] ?? [],
    );
    // A session that has just ended counts for a moment longer: on a busy server one worker may be left, and no other end is right.
    expect(['3 2', '3 2 1']).toContain(lowered.join(' '));
    expect((await compare(source, target)).differing).toEqual([]);
  });

  it('is done by two workers where the target allows no more, and says so', async () => {
    // The control session, two workers; foreign keys and triggers there are none.
    await limit(target, 3);
    const { outcome, warnings } = await migrate(source, as(target), { types, jobs: 4 });
    expect(outcome).toBe('completed');
    expect(warnings.filter((text) => /goes on with \d connections/.test(text))).toHaveLength(2);
    expect((await compare(source, target)).differing).toEqual([]);
  });

  it('waits for a connection where not even one worker gets one, and goes on with it', async () => {
    await limit(source, 2);
    const migration = start(as(source), target, { types, jobs: 4 });
    let isOver = false;
    void migration.finished.finally(() => (isOver = true)).catch(() => {});
    await reaches(migration, 'schema', 'copy');
    await pause(4_000);
    expect(isOver).toBe(false);
    expect(migration.progress().rowsCopied).toBe(0n);
    await limit(source, 10);
    expect((await migration.finished).outcome).toBe('completed');
    expect((await compare(source, target)).differing).toEqual([]);
  });
});
