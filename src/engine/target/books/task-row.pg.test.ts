import { expect, it } from 'vitest';
import { freshDatabase } from '../../../../test/database.ts';
import { sleep } from '../../../base/runtime/sleep.ts';
import { connect } from '../../pg/connect.ts';
import { ensureBookkeeping } from './bookkeeping.ts';
import { holdFence, registerTask, takeOver } from './task-row.ts';

it('a former owner whose transactions hold the fence one after the other does not keep the next one out', async () => {
  await using db = await freshDatabase(15);
  await ensureBookkeeping(db.session);
  const task = { taskId: 't', sourceSystem: '1', sourceDatabase: 's', options: '{}', phase: 'copy' as const };
  await registerTask(db.session, task, []);
  const { fence } = await takeOver(db.session, 't');
  // Each holds it for less than the time that a lock is waited for, and never all let go.
  const former = async (late: number) => {
    const session = await connect(db.info, { side: 'target', applicationName: 'opendts:t:copy' });
    await sleep(late);
    for (;;) {
      await session.transaction(async () => {
        await holdFence(session, 't', fence);
        await sleep(500);
      });
    }
  };
  const ended = Promise.allSettled([former(0), former(170), former(340)]);
  await sleep(1_000);
  const started = performance.now();
  expect((await takeOver(db.session, 't')).fence).toBe(fence + 1n);
  expect(performance.now() - started).toBeLessThan(15_000);
  await ended;
});
