/** A snapshot is taken over only on the server that holds it, on a connection of our own (data-plane P3). */
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { freshDatabase, type TestDatabase } from '../../../test/database.ts';
import { fakePooler } from '../../../test/fake-pooler.ts';
import { startEmbedded } from '../../base/embedded/server.ts';
import type { ConnInfo } from '../pg/conninfo/conninfo.ts';
import { parseConninfo } from '../pg/conninfo/parse.ts';
import { connect } from '../pg/connect.ts';
import { importSnapshot } from './import-snapshot.ts';
import { holdFreshSnapshot, holdSlotSnapshot } from './snapshot-holder.ts';

const ANY = { covers: null, settled: null };
const open = (info: ConnInfo, replication = false) =>
  connect(info, { side: 'source', applicationName: 'test', replication });
const portOf = (db: TestDatabase) => db.info.hosts[0]!.port;

describe('a snapshot', () => {
  it.each([12, 18] as const)('is seen by another session of its server (%i)', async (major) => {
    await using db = await freshDatabase(major);
    await db.session.query('CREATE TABLE t (id int); INSERT INTO t VALUES (1)');
    await using held = await holdSlotSnapshot(
      await open(db.info, true),
      { name: `s_${db.name}`, plugin: 'pgoutput' },
      {
        control: db.session,
        waitMs: 10_000,
      },
    );
    await db.session.query('INSERT INTO t VALUES (2)');
    await using reader = await open(db.info);
    await importSnapshot(reader, held);
    expect(await reader.query('SELECT id FROM public.t')).toEqual([{ id: '1' }]);
    expect(await held.isHeld()).toBe(true);
    expect(held.lost.aborted).toBe(false);
  });

  it('is not looked for behind a pooler', async () => {
    await using db = await freshDatabase(17);
    await using pooler = await fakePooler([portOf(db)], true);
    await using held = await holdFreshSnapshot(() => db.open(), ANY);
    await using reader = await open(pooler.through(db.info));
    await expect(importSnapshot(reader, held)).rejects.toMatchObject({ code: 'POOLER', exit: 3 });
    await expect(holdFreshSnapshot(() => open(pooler.through(db.info)), ANY)).rejects.toMatchObject({
      code: 'POOLER',
    });
  });

  it('is not called lost where a load balancer has led to another server', async () => {
    await using here = await freshDatabase(17);
    await using there = await freshDatabase(18);
    const role = `r_${randomBytes(4).toString('hex')}`;
    const create = `CREATE ROLE ${role} LOGIN SUPERUSER PASSWORD 'only-here'`;
    for (const db of [here, there]) await db.session.query(create);
    try {
      await there.session.query(`CREATE DATABASE ${here.name}`);
      await using balancer = await fakePooler([portOf(here), portOf(there)], false);
      const info = balancer.through({ ...here.info, user: role, password: 'only-here' });
      {
        await using held = await holdFreshSnapshot(() => open(info), ANY);
        await using reader = await open(info);
        await expect(importSnapshot(reader, held)).rejects.toMatchObject({
          code: 'OTHER_SERVER',
          message: expect.stringContaining('Connections for the source reach different servers'),
        });
        await using same = await open(info);
        await importSnapshot(same, held);
        // The publication would be on one server, the slot on the other.
        await using control = await open(info);
        await using walsender = await open(info, true);
        await expect(
          holdSlotSnapshot(walsender, { name: 'never', plugin: 'pgoutput' }, { control, waitMs: 1000 }),
        ).rejects.toMatchObject({
          code: 'OTHER_SERVER',
        });
      }
      expect(await here.session.query("SELECT FROM pg_replication_slots WHERE slot_name = 'never'")).toEqual(
        [],
      );
    } finally {
      await there.session.query(`DROP DATABASE ${here.name} WITH (FORCE)`);
      for (const db of [here, there]) await db.session.query(`DROP ROLE ${role}`);
    }
  });

  it('is lost when its server has been started again', async () => {
    let server = await startEmbedded({ major: 17, settings: { fsync: 'off' } });
    try {
      const info = parseConninfo(server.uri('postgres'), 'source');
      await using held = await holdFreshSnapshot(() => open(info), ANY);
      server = await server.restart();
      await using reader = await open(info);
      await expect(importSnapshot(reader, held)).rejects.toMatchObject({ code: 'SNAPSHOT_LOST' });
      expect(held.lost.aborted).toBe(true);
    } finally {
      await server.remove();
    }
  });

  it('tells when its holder is ended by somebody else, and not when we let go', async () => {
    await using db = await freshDatabase(15);
    const session = await db.open();
    const held = await holdFreshSnapshot(() => Promise.resolve(session), ANY);
    await db.session.query(`SELECT pg_terminate_backend(${session.pid})`);
    await expect.poll(() => held.lost.aborted).toBe(true);
    expect(await held.isHeld()).toBe(false);
    const mine = await holdFreshSnapshot(() => db.open(), ANY);
    await mine[Symbol.asyncDispose]();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(mine.lost.aborted).toBe(false);
  });
});
