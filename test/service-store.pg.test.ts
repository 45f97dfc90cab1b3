/** The metadata store: migrations that race, are refused, and make what migrations/schema.sql says. */
import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { openLog } from '../src/base/runtime/log.ts';
import { planSchema } from '../src/engine/schema/plan.ts';
import { readModel } from '../src/engine/schema/read-model.ts';
import { readTargetFacts } from '../src/engine/schema/read-target-facts.ts';
import { makeFirstAccount } from '../src/service/account/first-start.ts';
import { openBossQueue } from '../src/service/fleet/boss-queue.ts';
import { insertAudit } from '../src/service/store/audit/insert-audit.ts';
import { assertOurs, migrate, readMigrations } from '../src/service/store/migrate.ts';
import { Store } from '../src/service/store/store.ts';
import { putWorker } from '../src/service/store/worker/put-worker.ts';
import { seeWorker } from '../src/service/store/worker/see-worker.ts';
import { auditEntry } from './audit-entry.ts';
import { freshDatabase } from './database.ts';
import { MAJORS } from './global-setup.ts';

const nothing = z.unknown();

describe('the metadata store', () => {
  it('is migrated once by nodes that start at once, and one of them makes the first account', async () => {
    await using db = await freshDatabase(18);
    await using stores = new AsyncDisposableStack();
    const nodes = [1, 2, 3, 4].map(() => stores.use(Store.at(db.uri)));
    const applied = await Promise.all(nodes.map((store) => migrate(store)));
    expect(applied.flat().toSorted()).toEqual(readMigrations().map(({ name }) => name));
    const made = await Promise.all(nodes.map((store) => makeFirstAccount(store)));
    expect(made.filter((one) => one !== null)).toHaveLength(1);
    expect(await makeFirstAccount(nodes[0]!)).toBeNull();
  });

  it('is given its queue by workers that start at once', async () => {
    await using db = await freshDatabase(18);
    await using stores = new AsyncDisposableStack();
    const log = openLog({ level: 'debug', stream: { write: () => {} } });
    const queues = await Promise.all(
      [1, 2, 3, 4].map(() => openBossQueue({ store: stores.use(Store.at(db.uri)), cluster: null, log })),
    );
    await queues[0]!.ask('a task');
    expect((await queues[3]!.take(1)).map(({ taskId }) => taskId)).toEqual(['a task']);
    await Promise.all(queues.map((queue) => queue[Symbol.asyncDispose]()));
  });

  it('lends no session that a failed text has left in a transaction', async () => {
    await using db = await freshDatabase(12);
    await using store = Store.at(db.uri);
    await expect(store.parsed('BEGIN; SELECT 1/0')).rejects.toThrow('division by zero');
    expect(await store.query(z.object({ one: z.string() }), 'SELECT 1 AS one')).toEqual([{ one: '1' }]);
  });

  it.each(MAJORS)('comes to the same on PostgreSQL %i', async (major) => {
    await using db = await freshDatabase(major);
    await using store = Store.at(db.uri);
    expect(await migrate(store)).toHaveLength(readMigrations().length);
    expect(await migrate(store)).toEqual([]);
  });

  it('leaves nothing of a migration that fails, and goes on there once it is mended', async () => {
    await using db = await freshDatabase(18);
    await using store = Store.at(db.uri);
    const [first, second] = readMigrations();
    const broken = { ...second!, sql: `${second!.sql}; SELECT 1/0` };
    await expect(migrate(store, [first!, broken])).rejects.toThrow('division by zero');
    const [{ audit }] = (await db.session.query("SELECT to_regclass('opendts.audit') AS audit")) as [
      { audit: unknown },
    ];
    expect(audit).toBeNull();
    expect(await migrate(store, [first!, second!])).toEqual([second!.name]);
  });

  it('refuses what breaks this version, to workers of an older one before it is applied, and a migration that was edited', async () => {
    await using db = await freshDatabase(18);
    await using store = Store.at(db.uri);
    const all = readMigrations();
    await migrate(store, all);
    const number = all.length + 1;
    const breaking = { number, name: 'x', sql: 'SELECT 1', checksum: 'x', breaks: 'it is another world' };
    const id = randomUUID();
    const row = {
      id,
      name: 'w1',
      version: '0.1.0',
      region: null,
      cluster: null,
      host: 'h',
      pid: 1,
      capacity: 4,
    };
    await putWorker(store, { ...row, knows: number - 1 });
    await expect(migrate(store, [...all, breaking])).rejects.toMatchObject({
      code: 'STORE_IN_USE',
      facts: { name: 'x', workers: 'w1 (opendts 0.1.0 on h)' },
    });
    await migrate(store, all);
    // One of its own version may have come first; one that stood still wakes, and sees.
    await store.query(nothing, 'UPDATE opendts.worker SET knows = $1', [String(number)]);
    expect(await migrate(store, [...all, breaking])).toEqual(['x']);
    const seen = await seeWorker(store, { id, knows: number - 1, lastSeen: null });
    expect(seen?.isOutdated).toBe(true);
    expect((await seeWorker(store, { id, knows: number, lastSeen: null }))?.isOutdated).toBe(false);
    await expect(migrate(store, all)).rejects.toMatchObject({ code: 'STORE_NEWER' });
    await expect(assertOurs(store)).rejects.toMatchObject({ code: 'STORE_NEWER' });
    await store.query(nothing, 'UPDATE opendts.migration SET breaks = NULL');
    await assertOurs(store);
    const edited = all.map((one) => (one.number === 2 ? { ...one, checksum: 'other' } : one));
    await expect(migrate(store, edited)).rejects.toMatchObject({ code: 'MIGRATION_CHANGED' });
  });

  it('has the schema that migrations/schema.sql says (vitest -u writes it)', async () => {
    await using db = await freshDatabase(17);
    await using empty = await freshDatabase(17);
    await using store = Store.at(db.uri);
    await migrate(store);
    await using session = await db.open();
    await using there = await empty.open();
    const model = await readModel(session);
    const everything = { includesTable: () => true, wholeDatabase: true, done: new Set<string>() };
    const { steps, notMigrated } = planSchema(model, everything, await readTargetFacts(there, model));
    // PostgreSQL 18 names NOT NULL too, which makes it hard to read.
    const ours = steps.filter(({ id }) => id !== 'schema public');
    const text = [
      '-- What all migrations together make, as opendts reads it: for people and for reviews. Nothing runs it.',
      ...ours.flatMap(({ id, statements }) => [
        '',
        `-- ${id}`,
        ...statements.map((statement) => `${statement};`),
      ]),
      ...notMigrated.map((line) => `-- not shown: ${line}`),
    ].join('\n');
    await expect(`${text}\n`).toMatchFileSnapshot('../migrations/schema.sql');
  });

  it('takes entries of the audit log and gives none of them up', async () => {
    await using db = await freshDatabase(18);
    await using store = Store.at(db.uri);
    await migrate(store);
    await insertAudit(store, auditEntry('x'));
    for (const sql of [
      "UPDATE opendts.audit SET outcome = 'failed'",
      'DELETE FROM opendts.audit',
      'TRUNCATE opendts.audit CASCADE',
      'SET session_replication_role = replica; DELETE FROM opendts.audit',
    ])
      await expect(db.session.query(sql)).rejects.toThrow('append-only');
    const [{ count }] = (await db.session.query('SELECT count(*) FROM opendts.audit')) as [{ count: string }];
    expect(count).toBe('1');
  });

  it('says that it is away, and answers again when it is back', async () => {
    await using db = await freshDatabase(18);
    await using store = Store.at(db.uri);
    await store.query(nothing, 'SELECT 1');
    const slow = store.query(nothing, 'SELECT pg_sleep(30)');
    const ended = expect(slow).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    await expect
      .poll(
        async () =>
          (
            await db.session.query(
              "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(30)%' AND datname = current_database()",
            )
          ).length,
        { timeout: 20_000 },
      )
      .toBeGreaterThan(0);
    await ended;
    // At once: the lost session must not be lent again.
    expect(await store.query(nothing, 'SELECT 1')).toHaveLength(1);
  });

  it('refuses an address that cannot be read without quoting it', () => {
    expect(() => Store.at('postgresql://u:MARKER@h/d?nothing=1')).toThrow(
      expect.objectContaining({
        code: 'STORE_ADDRESS_INVALID',
        message: expect.not.stringContaining('MARKER'),
      }),
    );
  });

  it('serves more callers than it has sessions, and never a session to two at once', async () => {
    await using db = await freshDatabase(18);
    await using store = Store.at(db.uri);
    const pid = z.object({ pid: z.string() });
    let inside = 0;
    let most = 0;
    const pids = await Promise.all(
      Array.from({ length: 60 }, () =>
        store.transaction(async (tx) => {
          most = Math.max(most, ++inside);
          const [first] = await tx.query(pid, 'SELECT pg_backend_pid() AS pid');
          const [second] = await tx.query(pid, 'SELECT pg_backend_pid() AS pid');
          inside--;
          expect(first).toEqual(second);
          return first!.pid;
        }),
      ),
    );
    expect(new Set(pids).size).toBeLessThanOrEqual(10);
    expect(most).toBeLessThanOrEqual(10);
  });
});
