/**
 * A table that joins the publication while a transaction that has written to it is open (data-plane I2): what that has written before is
 * in no stream, so the table's copy waits for a snapshot that sees all transactions begun before the publication changed.
 */
import { describe, expect, it } from 'vitest';
import type { Snapshot } from '../src/engine/change/snapshot.ts';
import { Intake } from '../src/engine/pipeline/intake.ts';
import { Unit } from '../src/engine/pipeline/unit.ts';
import { openChangeReader } from '../src/engine/source/change-reader.ts';
import { holdSlotSnapshot, nextXid, tryFreshSnapshot } from '../src/engine/source/snapshot-holder.ts';
import { endOfWal } from '../src/engine/pg/wal-position.ts';
import { freshDatabase } from './database.ts';
import { pause } from './follow.ts';

const names = { slot: 'added_slot', publication: 'added_pub' };

describe.each([12, 15, 18] as const)('on PostgreSQL %i', (major) => {
  it('a row written before the table was published is in its copy, and no row comes twice', async () => {
    await using source = await freshDatabase(major);
    const { session } = source;
    await session.query(`CREATE TABLE known (n int); CREATE TABLE added (n int); ALTER TABLE added REPLICA IDENTITY FULL;
      CREATE PUBLICATION ${names.publication} FOR TABLE known`);
    const slot = `${names.slot}_${source.name.slice(2)}`;
    const s1 = await holdSlotSnapshot(
      await source.open({ replication: true }),
      { name: slot, plugin: 'pgoutput' },
      {
        control: session,
        waitMs: 60_000,
        onWaiting: () => {},
      },
    );
    await s1[Symbol.asyncDispose]();
    const stop = new AbortController();
    await using reader = await openChangeReader({
      control: session,
      openReplication: () => source.open({ replication: true }),
      names: { ...names, slot },
      decoder: 'pgoutput',
      tables: [],
      positions: [],
      from: s1.consistentPoint,
      safe: s1.consistentPoint,
      recorded: { newest: s1.consistentPoint, timeline: 1 },
      onTimeline: () => Promise.resolve(),
      signal: stop.signal,
    });

    await using open = await source.open();
    await open.query('BEGIN; INSERT INTO public.added VALUES (1)');
    await session.query(`ALTER PUBLICATION ${names.publication} ADD TABLE added`);
    const intake = new Intake(null);
    intake.settleFrom(await nextXid(session));
    await session.query('INSERT INTO added VALUES (2)');
    await open.query('INSERT INTO public.added VALUES (3)');

    // The open transaction has not been received, and may hold what never will be.
    const needed = { covers: s1.snapshot, settled: null, received: (s: Snapshot) => intake.isSeenBy(s) };
    expect(await tryFreshSnapshot(() => source.open(), needed)).toBeNull();
    await open.query('COMMIT');
    await session.query('INSERT INTO added VALUES (4)');
    // Transactions of other tests on this server may stand in its way for a moment.
    let held = await tryFreshSnapshot(() => source.open(), needed);
    for (let tries = 0; held === null && tries < 100; tries++) {
      await pause(100);
      held = await tryFreshSnapshot(() => source.open(), needed);
    }
    if (!held) throw new Error('no snapshot');
    const unit = Unit.waiting();
    unit.bind(held);
    unit.claim();
    await session.query('INSERT INTO added VALUES (5)');
    await using copy = await source.open();
    await copy.query(
      `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '${held.exportedId}'`,
    );
    const rows = (await copy.query<{ n: string }>('SELECT n FROM public.added')).map(({ n }) => Number(n));
    unit.finish();
    await held[Symbol.asyncDispose]();

    const goal = await endOfWal(session);
    for (let begin = null; ;) {
      const item = reader.takeQueued();
      if (item === null) {
        await reader.ready(stop.signal);
        continue;
      }
      if (item.kind === 'begin') begin = item;
      if (item.kind === 'insert' && item.relation.name === 'added' && begin && unit.judge(begin) === 'apply')
        rows.push(Number(item.new[0]));
      if (item.kind === 'keepalive' && item.walEnd >= goal) break;
      if (item.kind === 'keepalive' || item.kind === 'commit') reader.askForPosition();
    }
    expect(rows.toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5]);
  });
});
