import { expect, it } from 'vitest';
import { freshDatabase, type TestDatabase } from '../../../test/database.ts';
import { noFailpoints } from '../../base/runtime/failpoint.ts';
import { lsnFrom } from '../change/lsn.ts';
import { ensureBookkeeping } from './bookkeeping.ts';
import { Lane } from './lane.ts';
import { recordSlot } from './recorded-slot.ts';
import { registerTask, takeOver } from './task-row.ts';
import { openChunkWriter } from './chunk-writer.ts';
import type { LoadPlan } from './load-plan.ts';
import type { Planned } from './apply-sql.ts';

const TASK = { taskId: 't', sourceSystem: 's', sourceDatabase: 'd', options: '{}', phase: 'slot' } as const;

async function taskOn(db: TestDatabase): Promise<bigint> {
  await ensureBookkeeping(db.session);
  await registerTask(db.session, TASK, []);
  const { fence } = await takeOver(db.session, 't');
  await recordSlot(
    db.session,
    { taskId: 't', fence },
    { lsn: lsnFrom(100n), snapshot: '1:1:', timeline: 1, decoder: 'pgoutput' },
  );
  await db.session.query('CREATE TABLE t (v int)');
  return fence;
}

/** All that a lane asks of a planned statement that goes well. */
const INSERT = {
  sql: 'INSERT INTO public.t VALUES (1)',
  values: [],
  expect: 1,
  operation: 'insert',
  key: null,
} as unknown as Planned;

it('a window whose commit arrives although its answer was lost is not applied a second time (P9, P10)', async () => {
  await using db = await freshDatabase(17);
  const fence = await taskOn(db);
  const options = { taskId: 't', lane: 0, fence, failpoints: noFailpoints };
  const end = { endLsn: lsnFrom(200n), commits: 1, accounts: new Map() };
  await using lost = await Lane.open(await db.open(), options);
  await lost.apply([INSERT], false);
  // The connection seems gone: another lane opens where the row still says 100.
  await using next = await Lane.open(await db.open(), options);
  const committed = lost.commit(end);
  const again = next.apply([INSERT], false).then(() => next.commit(end));
  await committed;
  await expect(again).rejects.toMatchObject({ code: 'LANE_MOVED' });
  expect(await db.session.one('SELECT count(*)::text AS n FROM t')).toEqual({ n: '1' });
  await using third = await Lane.open(await db.open(), options);
  expect(third.recorded).toBe(200n);
});

it('a lane of a former owner applies nothing (I7)', async () => {
  await using db = await freshDatabase(17);
  const fence = await taskOn(db);
  await using lane = await Lane.open(await db.open(), {
    taskId: 't',
    lane: 0,
    fence,
    failpoints: noFailpoints,
  });
  await takeOver(db.session, 't');
  await expect(lane.apply([INSERT], false)).rejects.toMatchObject({ code: 'FENCED' });
  expect(await db.session.one('SELECT count(*)::text AS n FROM t')).toEqual({ n: '0' });
});

it('a unit whose commit arrives although its answer was lost is not copied a second time (P4)', async () => {
  await using db = await freshDatabase(17);
  const fence = await taskOn(db);
  await using lost = await openChunkWriter(() => db.open());
  await using next = await openChunkWriter(() => db.open());
  const load0: LoadPlan = { columns: [], binary: false, before: null, copyIn: '', after: null, leftOut: [] };
  const chunk = (id: string) => ({ id, load: load0 });
  const write = {
    taskId: 't',
    // A task's copy fence rises with its fence.
    copyFence: fence,
    chunks: [chunk('u')],
    snapshot: null,
    readUntil: null,
    beforeCommit: () => {},
  };
  const load = async (writer: typeof lost) => {
    await writer.session.query('INSERT INTO public.t VALUES (1)');
    return { rowsIn: 1, bytes: 5 };
  };
  // The first stands before its commit while the second, which takes it for dead, does the same work.
  const reached = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const first = lost.write({ ...write, chunks: [chunk('u'), chunk('v')] }, async (unit) => {
    if (unit === 'v') {
      reached.resolve();
      await goOn.promise;
    }
    return load(lost);
  });
  await reached.promise;
  const second = next.write(write, async () => {
    goOn.resolve();
    await first;
    return load(next);
  });
  await expect(second).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
  expect(await next.write(write, () => load(next))).toMatchObject([{ id: 'u', rows: 1n }]);
  expect(await db.session.one('SELECT count(*)::text AS n FROM t')).toEqual({ n: '2' });
});
