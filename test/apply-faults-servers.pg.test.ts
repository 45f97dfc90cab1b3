/** Servers that crash while changes are followed, sessions that are ended, and transactions that are open for long. */
import { describe, expect, it } from 'vitest';
import { STREAM_TABLES } from '../scripts/faults/stream-tables.ts';
import { LSN_ZERO, parseLsn, type Lsn } from '../src/engine/change/lsn.ts';
import { pgoutputDecoder } from '../src/engine/pg/pgoutput/decoder.ts';
import { SlotStream } from '../src/engine/pg/slot/stream.ts';
import { breaking, disturbed, expectExact, openBooks, writersOn, type Pair } from './apply-faults.ts';
import { terminate } from './copy-faults.ts';
import { freshDatabase, freshPair } from './database.ts';
import { follow, pause, reaches } from './follow.ts';
import { start } from './migration.ts';
import { ownServer } from './own-server.ts';

describe.concurrent('a server that crashes and restarts again and again', () => {
  it.each([
    [18, 17],
    [12, 18],
  ] as const)('the source (%i to %i)', async (from, to) => {
    await using server = await ownServer(from);
    await using target = await freshDatabase(to);
    const pair = { source: server.database, target };
    await pair.source.session.query(STREAM_TABLES);
    await disturbed(pair, { disturb: breaking(3, () => server.crash()) });
  });

  it.each([
    [18, 17],
    [15, 12],
  ] as const)('the target (%i to %i)', async (from, to) => {
    await using server = await ownServer(to);
    await using source = await freshDatabase(from);
    const pair = { source, target: server.database };
    await source.session.query(STREAM_TABLES);
    await disturbed(pair, { disturb: breaking(3, () => server.crash()) });
  });

  it('the target, which forgets what was not on its disk yet: the source has it still (P9)', async () => {
    await using server = await ownServer(17, { wal_writer_delay: '10s', wal_writer_flush_after: '1GB' });
    await using source = await freshDatabase(18);
    const pair = { source, target: server.database };
    await source.session.query(STREAM_TABLES);
    const readLane = async () =>
      parseLsn((await pair.target.session.one('SELECT end_lsn::text FROM _opendts.lane')).end_lsn ?? '');
    let forgot = 0;
    const crash = async () => {
      const committed = await readLane();
      let confirmed: Lsn = LSN_ZERO;
      await server.crash(async () => {
        const slot = `SELECT confirmed_flush_lsn::text AS at FROM pg_replication_slots WHERE slot_name LIKE 'dts%' AND database = current_database()`;
        confirmed = parseLsn((await source.session.one(slot)).at ?? '');
      });
      const left = await readLane();
      expect(left).toBeGreaterThanOrEqual(confirmed);
      if (left < committed) forgot++;
      // Under way again, and a moment more.
      while ((await readLane()) <= committed) await pause(20);
      await pause(Math.random() * 300);
    };
    await disturbed(pair, {
      lanes: 1,
      // It may just have waited for the disk, or be back before it is looked at.
      disturb: async () => {
        for (let time = 0; time < 3 || (forgot === 0 && time < 20); time++) await crash();
      },
    });
    expect(forgot).toBeGreaterThan(0);
  });
});

describe.concurrent('the connection that reads the slot', () => {
  it('is ended by the source again and again', async () => {
    await using pair = await freshPair(17, 18, STREAM_TABLES);
    await disturbed(pair, { disturb: breaking(5, () => terminate(pair.source, 'stream')) });
  });

  it('is taken by another reader, who takes it again when he is ended, for some seconds', async () => {
    await using pair = await freshPair(18, 17, STREAM_TABLES);
    let taken = 0;
    await disturbed(pair, {
      disturb: async () => {
        for (const until = performance.now() + 3_000; performance.now() < until;)
          if (await readElsewhere(pair)) taken++;
      },
    });
    expect(taken).toBeGreaterThan(1);
  });
});

/** Takes the slot, reads from it without confirming anything, and keeps it until somebody ends the session. False: it was not to be had. */
async function readElsewhere({ source }: Pair): Promise<boolean> {
  const { slot, publication } = await source.session.one(
    `SELECT slot_name AS slot, pubname AS publication FROM pg_replication_slots, pg_publication WHERE database = current_database() AND slot_name LIKE 'dts%'`,
  );
  await terminate(source, 'stream').catch(() => {});
  const session = await source.open({ replication: true, role: 'other' });
  await using stream = SlotStream.start(session, {
    slot: slot ?? '',
    decoder: pgoutputDecoder(publication ?? ''),
    from: LSN_ZERO,
    safe: LSN_ZERO,
    walSenderTimeoutMs: 60_000,
  });
  const waited = AbortSignal.timeout(1_000);
  let items = 0;
  try {
    for (;;) {
      await stream.next(waited);
      items++;
    }
  } catch {
    return items > 0;
  }
}

it('transactions that are open for long, or began before the slot, come once each', async () => {
  // A server of its own: while they are open nobody else could create a slot on it.
  await using server = await ownServer(18);
  await using target = await freshDatabase(17);
  const source = server.database;
  const pair = { source, target };
  await source.session.query(STREAM_TABLES);
  await using reading = await source.open({ role: 'reading' });
  await using wrote = await source.open({ role: 'wrote' });
  await using open = await source.open({ role: 'open' });
  for (const session of [reading, wrote, open]) await session.query('SET search_path = public; BEGIN');
  // Has a snapshot and no number yet, so the slot does not wait for it; the next one it does wait for.
  await reading.query('SELECT count(*) FROM keyed');
  await wrote.query("INSERT INTO keyed VALUES (100001, 0, 'wrote'); UPDATE keyed SET n = n + 1 WHERE id = 8");
  const following = follow(source, target);
  const waiting = `SELECT FROM pg_stat_activity WHERE application_name LIKE 'opendts:%:holder' AND wait_event = 'transactionid'`;
  while ((await source.session.query(waiting)).length === 0) await pause(20);
  await wrote.query('COMMIT');
  await (await following).catchUp();
  await using books = await openBooks(pair);
  await open.query("INSERT INTO written VALUES (-2, 1); INSERT INTO loose VALUES (-2, 'v1'), (-2, 'v1')");
  const writers = writersOn(source);
  for (let run = 0; run < 4; run++) {
    const abort = new AbortController();
    const migration = start(source, target, { until: { kind: 'signal' }, signal: abort.signal });
    await reaches(migration, 'stream');
    await pause(200 + Math.random() * 300);
    await open.query(
      `SAVEPOINT s; INSERT INTO written VALUES (-2, ${run}); UPDATE keyed SET n = -1 WHERE id = 7`,
    );
    if (run === 1) await reading.query('INSERT INTO written VALUES (-3, 1), (-3, 1)');
    if (run === 2) await terminate(source, 'stream');
    abort.abort();
    await migration.finished;
  }
  await reading.query('COMMIT');
  await open.query('ROLLBACK TO s; COMMIT');
  await writers.stop();
  await (await follow(source, target)).catchUp();
  await expectExact(pair, books);
  const rows =
    'SELECT writer, count(*)::int AS n FROM written WHERE writer < 0 GROUP BY writer ORDER BY writer';
  expect(await target.session.query(rows)).toEqual([
    { writer: '-3', n: '2' },
    { writer: '-2', n: '4' },
  ]);
});
