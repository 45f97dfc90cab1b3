/** A run that another has taken over: what it may still do, and what it says. */
import { describe, expect, it } from 'vitest';
import { freshPair, type TestDatabase } from '../../../../test/database.ts';
import { pause } from '../../../../test/follow.ts';
import { migrate } from '../../../../test/migration.ts';
import { AppError } from '../../../base/errors/app-error.ts';
import { sourceNames } from '../../../engine/source/source-names.ts';
import { takeOver } from '../../../engine/target/books/task-row.ts';
import { Ends } from '../ends.ts';
import { dropTaskSlot, failureOf } from './ownership.ts';

const TABLE = 'CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)';

/** A migration that has come to its stream, as its owner of that time knows it. */
async function owned(source: TestDatabase, target: TestDatabase) {
  const { taskId } = await migrate(source, target);
  const { fence } = await takeOver(target.session, taskId);
  const ends = new Ends(source.info, target.info);
  await ends.adoptTask(taskId);
  return { ends, taskId, fence, names: sourceNames(taskId) };
}

const slotsOf = (source: TestDatabase) =>
  source.session.query('SELECT FROM pg_replication_slots WHERE database = current_database()');

describe('a former owner', () => {
  it('does not drop the slot, which is another owner’s by now (O2)', async () => {
    await using pair = await freshPair(17, 18, TABLE);
    const { source, target } = pair;
    const former = await owned(source, target);
    await using ends = former.ends;
    await ends.source();
    await takeOver(target.session, former.taskId);
    await expect(dropTaskSlot(former)).rejects.toMatchObject({ code: 'FENCED' });
    expect(await slotsOf(source)).toHaveLength(1);
  });

  it('that asks while the fence is being raised waits for the answer (O2)', async () => {
    await using pair = await freshPair(18, 17, TABLE);
    const { source, target } = pair;
    const former = await owned(source, target);
    await using _ = former.ends;
    const asked: Promise<unknown>[] = [];
    await takeOver(target.session, former.taskId, async () => {
      asked.push(dropTaskSlot(former).catch((thrown: unknown) => thrown));
      await pause(300);
      expect(await slotsOf(source)).toHaveLength(1);
    });
    expect(await asked[0]).toMatchObject({ code: 'FENCED' });
    expect(await slotsOf(source)).toHaveLength(1);
  });

  it('loses the sessions on the source that it opened before the fence was raised, however late (O2)', async () => {
    await using pair = await freshPair(17, 17, TABLE);
    const { source, target } = pair;
    const former = await owned(source, target);
    await using ends = former.ends;
    // Keeps the next owner between its first sweep and the fence.
    await using blocker = await target.open({ role: 'blocker' });
    await blocker.query('BEGIN; SELECT FROM _opendts.task FOR UPDATE');
    const next = migrate(source, target);
    const waiting = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'opendts:%' AND wait_event_type = 'Lock'`;
    while ((await target.session.query(waiting)).length === 0) await pause(20);
    const late = await ends.source();
    expect(await late.one('SELECT 1 AS one')).toEqual({ one: '1' });
    await blocker.query('COMMIT');
    await next;
    expect(late.isEnded).toBe(true);
  });

  it('says that it was taken over, whatever it failed with; an owner says what it failed with (O1)', async () => {
    await using pair = await freshPair(17, 18, TABLE);
    const owner = await owned(pair.source, pair.target);
    await using ends = owner.ends;
    const error = new AppError('PROGRESS_AHEAD', { slot: 's', confirmed: '0/2', recorded: '0/1' });
    expect(await failureOf(owner, error)).toBe(error);
    await takeOver(pair.target.session, owner.taskId);
    const failure = await failureOf({ ...owner, ends }, error);
    expect(failure.code).toBe('FENCED');
    expect(failure.cause).toBe(error);
    await pair.target.session.query('DROP SCHEMA _opendts CASCADE');
    expect(await failureOf(owner, error)).toBe(error);
  });
});
