/** Changes alone, from a slot that the user made: from all it holds, from an LSN, from a time (A5). */
import { describe, expect, it } from 'vitest';
import { parseLsn, type Lsn } from '../src/engine/change/lsn.ts';
import { queryMessage } from '../src/engine/pg/wire/messages.ts';
import type { Session } from '../src/engine/pg/session.ts';
import { openChangeReader } from '../src/engine/source/change-reader.ts';
import { sourceNames } from '../src/engine/source/source-names.ts';
import { parseTime } from '../src/engine/change/commit-time.ts';
import { cleanup } from '../src/service/task/release/cleanup.ts';
import { freshPair, type DatabasePair, type TestDatabase } from './database.ts';
import { pause } from './follow.ts';
import type { Major } from './global-setup.ts';
import { migrate, type RunOptions } from './migration.ts';
import { ownServer } from './own-server.ts';
import { firstOf } from './matrix.ts';

const TABLES = `CREATE TABLE item (id int PRIMARY KEY, name text); CREATE TABLE note (id int PRIMARY KEY, name text)`;

interface WithSlot extends DatabasePair {
  readonly slot: string;
}

/** Both ends with the tables, the source with publication `pub` and, made after it, a slot. */
async function pairWithSlot(from: Major, to: Major): Promise<WithSlot> {
  const pair = await freshPair(from, to, TABLES);
  await pair.target.session.query(TABLES);
  await pair.source.session.query('CREATE PUBLICATION pub FOR TABLE item, note');
  const slot = `own_${pair.source.name}`;
  await makeSlot(pair.source, slot);
  await settle(pair.source, slot);
  return { ...pair, slot };
}

/** Moves a slot that holds nothing yet on until it keeps no catalog from before it was made, as slots of other tests may make it do. */
async function settle({ session }: TestDatabase, slot: string): Promise<void> {
  const { now } = await session.one('SELECT txid_current()::text AS now');
  const keeps = () =>
    session.one(`SELECT catalog_xmin::text AS oldest FROM pg_replication_slots WHERE slot_name = '${slot}'`);
  while (BigInt((await keeps()).oldest ?? '0') <= BigInt(now ?? '0')) {
    await session.query('CHECKPOINT');
    await session.query(`SELECT pg_replication_slot_advance('${slot}', pg_current_wal_lsn())`);
    await pause(20);
  }
}

async function makeSlot(db: TestDatabase, slot: string, plugin = 'pgoutput'): Promise<void> {
  await db.session.query(`SELECT pg_create_logical_replication_slot('${slot}', '${plugin}')`);
}

function from(slot: string, at: { lsn?: Lsn; time?: bigint } = {}): RunOptions {
  return {
    types: ['incremental'],
    publication: 'pub',
    start: { slot, lsn: at.lsn ?? null, time: at.time ?? null },
  };
}

async function ids(db: TestDatabase, table = 'item'): Promise<string> {
  const { list } = await db.session.one(
    `SELECT coalesce(string_agg(id || coalesce(name, ''), ' ' ORDER BY id), '') AS list FROM ${table}`,
  );
  return list ?? '';
}

async function here(db: TestDatabase): Promise<Lsn> {
  return parseLsn((await db.session.one('SELECT pg_current_wal_insert_lsn()::text AS lsn')).lsn ?? '');
}

async function clock(db: TestDatabase): Promise<bigint> {
  const { now } = await db.session.one(
    `SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS now`,
  );
  return parseTime(now ?? '') ?? 0n;
}

async function slots(db: TestDatabase): Promise<string[]> {
  const rows = await db.session.query(
    `SELECT slot_name FROM pg_replication_slots WHERE database = current_database() ORDER BY 1`,
  );
  return rows.map((row) => row.slot_name ?? '');
}

function readers(db: TestDatabase, slot: string): Promise<unknown[]> {
  return db.session.query(`SELECT FROM pg_replication_slots WHERE slot_name = '${slot}' AND active`);
}

/** Somebody else who reads the slot. */
async function follower(db: TestDatabase, slot: string): Promise<Session> {
  const reader = await db.open({ replication: true, role: 'somebody' });
  const options = `(proto_version '1', publication_names 'pub')`;
  reader.takeWire().write(queryMessage(`START_REPLICATION SLOT ${slot} LOGICAL 0/0 ${options}`));
  while ((await readers(db, slot)).length === 0) await pause(20);
  return reader;
}

async function failure(pair: DatabasePair, options: RunOptions): Promise<string> {
  const thrown: unknown = await migrate(pair.source, pair.target, options).catch((error: unknown) => error);
  if (!(thrown instanceof Error)) throw new Error('the migration was not refused');
  return `${thrown.message} ${'remedy' in thrown ? String(thrown.remedy) : ''}`;
}

describe.each(firstOf(2, [12, 18, 15] as const))('a slot of the user on %i', (major) => {
  it('is read from what it holds, and stays after cleanup, with its publication', async () => {
    await using pair = await pairWithSlot(major, 18);
    const { source, target, slot } = pair;
    await source.session.query(`INSERT INTO item VALUES (1, 'a'), (2, 'b')`);
    await source.session.query(`UPDATE item SET name = 'c' WHERE id = 2`);
    const summary = await migrate(source, target, from(slot));
    expect(await ids(target)).toBe('1a 2c');
    expect(summary.slot).toBe(slot);
    await source.session.query(`DELETE FROM item WHERE id = 1`);
    await migrate(source, target, from(slot));
    expect(await ids(target)).toBe('2c');
    expect(await slots(source)).toEqual([slot]);
    const { removed, kept } = await cleanup({ source: source.info, target: target.info, dryRun: false });
    expect(removed).toEqual(['schema _opendts on the target']);
    expect(kept.join(' ')).toContain(`replication slot ${slot} on the source`);
    expect(kept.join(' ')).toContain('publication pub on the source');
    expect(await slots(source)).toEqual([slot]);
    expect(await source.session.query(`SELECT FROM pg_publication WHERE pubname = 'pub'`)).toHaveLength(1);
  });

  it('is read from an LSN on, over several runs', async () => {
    await using pair = await pairWithSlot(major, 18);
    const { source, target, slot } = pair;
    await source.session.query(`INSERT INTO item VALUES (1, 'a')`);
    const lsn = await here(source);
    await source.session.query(`INSERT INTO item VALUES (2, 'b')`);
    await migrate(source, target, from(slot, { lsn }));
    expect(await ids(target)).toBe('2b');
    await source.session.query(`INSERT INTO item VALUES (3, 'c')`);
    await migrate(source, target, from(slot, { lsn }));
    expect(await ids(target)).toBe('2b 3c');
  });

  it('is read from a time on; what was committed before is accounted for and not applied', async () => {
    await using pair = await pairWithSlot(major, 18);
    const { source, target, slot } = pair;
    await source.session.query(`INSERT INTO item VALUES (1, 'a'), (2, 'b')`);
    await source.session.query(`INSERT INTO note VALUES (1, 'n')`);
    const time = await clock(source);
    await pause(5);
    await source.session.query(`INSERT INTO item VALUES (3, 'c')`);
    const events: Parameters<NonNullable<RunOptions['onEvent']>>[0][] = [];
    await migrate(source, target, { ...from(slot, { time }), events });
    expect([await ids(target), await ids(target, 'note')]).toEqual(['3c', '']);
    expect(events.map(({ message }) => message).join('\n')).toMatch(
      /changes are followed from \w+\/\w+ on, the first commit that is not before .*Z \(\d+ earlier transactions are not applied\)/,
    );
    const accounts = await target.session.query(
      'SELECT source_table, received, applied, folded, filtered FROM _opendts.account ORDER BY 1',
    );
    expect(accounts).toEqual([
      { source_table: 'public.item', received: '3', applied: '1', folded: '0', filtered: '2' },
      { source_table: 'public.note', received: '1', applied: '0', folded: '0', filtered: '1' },
    ]);
    await source.session.query(`INSERT INTO item VALUES (4, 'd')`);
    await migrate(source, target, from(slot, { time }));
    expect(await ids(target)).toBe('3c 4d');
  });

  it('begins at the end of the log where nothing was committed after the time', async () => {
    await using pair = await pairWithSlot(major, 18);
    const { source, target, slot } = pair;
    await source.session.query(`INSERT INTO item VALUES (1, 'a')`);
    await pause(5);
    const time = await clock(source);
    await migrate(source, target, from(slot, { time }));
    expect(await ids(target)).toBe('');
    await source.session.query(`INSERT INTO item VALUES (2, 'b')`);
    await migrate(source, target, from(slot, { time }));
    expect(await ids(target)).toBe('2b');
  });
});

describe('a position that the slot does not hold', () => {
  it('before what it holds is refused, and what it holds is named', async () => {
    await using pair = await pairWithSlot(15, 18);
    const { source, slot } = pair;
    const early = await here(source);
    await source.session.query(`INSERT INTO item VALUES (1, 'a')`);
    await source.session.query(`SELECT pg_replication_slot_advance('${slot}', pg_current_wal_insert_lsn())`);
    const { held } = await source.session.one(
      `SELECT confirmed_flush_lsn::text AS held FROM pg_replication_slots WHERE slot_name = '${slot}'`,
    );
    expect(await failure(pair, from(slot, { lsn: early }))).toContain(`it holds changes from ${held} on`);
  });

  it('behind the end of the log is refused', async () => {
    await using pair = await pairWithSlot(15, 18);
    const lsn = parseLsn('FFFF/0');
    expect(await failure(pair, from(pair.slot, { lsn }))).toContain('FFFF/0 has not been written yet');
  });

  it('of a time from which on commits may have been read already is refused, and the first commit is named', async () => {
    await using pair = await pairWithSlot(18, 18);
    const { source, slot } = pair;
    const time = await clock(source);
    expect(await failure(pair, from(slot, { time }))).toContain('it holds no commit');
    await source.session.query(`INSERT INTO item VALUES (1, 'a')`);
    expect(await failure(pair, from(slot, { time }))).toMatch(
      /its first commit is of 20\d\d-.*Z, so that .* Give a time after 20/,
    );
    expect(await slots(source)).toEqual([slot]);
  });

  it('of a time that has not come is refused', async () => {
    await using pair = await pairWithSlot(18, 18);
    const time = (await clock(pair.source)) + 3_600_000_000n;
    expect(await failure(pair, from(pair.slot, { time }))).toContain('has not come yet on the source');
  });
});

describe('a slot that cannot serve', () => {
  it('is refused with the reason: missing, physical, of another database, with prepared transactions', async () => {
    await using pair = await pairWithSlot(17, 18);
    await using other = await freshPair(17, 18);
    const { source } = pair;
    expect(await failure(pair, from('no_such_slot'))).toContain('no replication slot "no_such_slot"');
    await source.session.query(`SELECT pg_create_physical_replication_slot('phys_${source.name}')`);
    expect(await failure(pair, from(`phys_${source.name}`))).toContain('it is a physical slot');
    await source.session.query(`SELECT pg_drop_replication_slot('phys_${source.name}')`);
    await makeSlot(other.source, `elsewhere_${source.name}`);
    expect(await failure(pair, from(`elsewhere_${source.name}`))).toContain(
      `it belongs to database "${other.source.name}"`,
    );
    await source.session.query(
      `SELECT pg_create_logical_replication_slot('two_${source.name}', 'pgoutput', false, true)`,
    );
    expect(await failure(pair, from(`two_${source.name}`))).toContain('two_phase');
  });

  it('because it is in use is refused, and its reader goes on', async () => {
    await using pair = await pairWithSlot(18, 18);
    const { source, slot } = pair;
    await using _reader = await follower(source, slot);
    expect(await failure(pair, from(slot))).toMatch(/is in use \(backend \d+ \(test:somebody\)\)/);
    expect(await readers(source, slot)).toHaveLength(1);
  });

  it('because somebody else took it meanwhile is not taken away from them', async () => {
    await using pair = await pairWithSlot(18, 18);
    const { source, slot } = pair;
    await using _reader = await follower(source, slot);
    const opening = openChangeReader({
      control: source.session,
      openReplication: () => source.open({ replication: true }),
      tables: [],
      names: sourceNames('x', { slot, publication: 'pub' }),
      decoder: 'pgoutput',
      positions: [],
      from: await here(source),
      safe: await here(source),
      recorded: null,
      onTimeline: async () => {},
      signal: AbortSignal.timeout(1_000),
    });
    await expect(opening).rejects.toThrow('aborted');
    expect(await readers(source, slot)).toHaveLength(1);
  });

  it('because the source has removed its log is refused', async () => {
    await using server = await ownServer(15, {
      max_slot_wal_keep_size: '1MB',
      min_wal_size: '32MB',
      max_wal_size: '32MB',
    });
    await using pair = await pairWithSlot(18, 18);
    const { database } = server;
    await database.session.query(`${TABLES}; CREATE PUBLICATION pub FOR TABLE item, note`);
    await makeSlot(database, 'mine');
    for (let segment = 0; segment < 5; segment++)
      await database.session.query(`SELECT pg_logical_emit_message(false, 'x', 'x'), pg_switch_wal()`);
    await database.session.query('CHECKPOINT');
    expect(await failure({ ...pair, source: database }, from('mine'))).toContain(
      'the source has removed WAL that it needs',
    );
  });

  it('with a full copy is refused', async () => {
    await using pair = await pairWithSlot(18, 18);
    expect(await failure(pair, { ...from(pair.slot), types: ['full', 'incremental'] })).toContain(
      'A position to begin at goes with changes alone',
    );
  });
});

describe('the publication', () => {
  it('must be named where the slot is of pgoutput', async () => {
    await using pair = await pairWithSlot(15, 18);
    const { publication: _, ...options } = from(pair.slot);
    expect(await failure(pair, options)).toMatch(
      /--publication.*publications of the source: pub|publications of the source: pub/,
    );
  });

  it.each([12, 15, 18] as const)(
    'that is younger than the slot is refused on %i, because changes before it are not sent',
    async (major) => {
      await using pair = await pairWithSlot(major, 18);
      const { source, target, slot } = pair;
      await source.session.query(`INSERT INTO item VALUES (1, 'a')`);
      await source.session.query('CREATE PUBLICATION late FOR TABLE item, note');
      const lsn = await here(source);
      await source.session.query(`INSERT INTO item VALUES (2, 'b')`);
      const options = { ...from(slot), publication: 'late' };
      expect(await failure(pair, options)).toContain(
        `not older than the slot: table public.item, table public.note, the publication itself`,
      );
      // What the server does, and why it is refused: up to 17 an error, from 18 on silence.
      const peek = () =>
        source.session.query(
          `SELECT lsn FROM pg_logical_slot_peek_binary_changes('${slot}', NULL, NULL, 'proto_version', '1', 'publication_names', 'late') WHERE get_byte(data, 0) = 73`,
        );
      if (major < 18) await expect(peek()).rejects.toThrow('publication "late" does not exist');
      else expect(await peek()).toHaveLength(1);
      // From a position on where it was there, named by the user, it serves.
      await migrate(source, target, { ...from(slot, { lsn }), publication: 'late' });
      expect(await ids(target)).toBe('2b');
    },
  );

  it('is not needed by a copy of the slot with another plugin, which holds the same changes', async () => {
    await using pair = await pairWithSlot(15, 18);
    const { source, target, slot } = pair;
    await source.session.query(`INSERT INTO item VALUES (1, 'a')`);
    const { publication: _, ...options } = from(slot);
    const advice = await failure(pair, options);
    const copy = /SELECT (pg_copy_logical_replication_slot\([^;]*\));/.exec(advice)?.[1] ?? '';
    await source.session.query(`SELECT ${copy.replace('copy_for_opendts', `copy_${source.name}`)}`);
    await source.session.query(`INSERT INTO item VALUES (2, 'b')`);
    const { publication: __, ...copied } = from(`copy_${source.name}`);
    await migrate(source, target, copied);
    expect(await ids(target)).toBe('1a 2b');
  });

  it('that got a table after the slot was made is refused with the name of that table', async () => {
    await using pair = await pairWithSlot(18, 18);
    const { source, slot } = pair;
    await source.session.query(
      'CREATE TABLE late (id int PRIMARY KEY); ALTER PUBLICATION pub ADD TABLE late',
    );
    await pair.target.session.query('CREATE TABLE late (id int PRIMARY KEY)');
    expect(await failure(pair, from(slot))).toContain('not older than the slot: table public.late)');
  });

  it('that leaves something out is refused: operations, tables, rows, partitions under another name', async () => {
    await using pair = await freshPair(
      18,
      18,
      `${TABLES}; CREATE TABLE part (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (9)`,
    );
    const { source, target } = pair;
    await target.session.query(`${TABLES}; CREATE TABLE part_1 (id int PRIMARY KEY)`);
    await source.session.query(
      `CREATE PUBLICATION pub FOR TABLE item WHERE (id > 1), part WITH (publish = 'insert', publish_via_partition_root)`,
    );
    await makeSlot(source, `own_${source.name}`);
    const text = await failure(pair, from(`own_${source.name}`));
    expect(text).toContain('publication pub leaves operations out');
    expect(text).toContain('lacks 1 selected table (public.note)');
    expect(text).toContain('leaves out rows or columns of 1 selected table (public.item)');
    expect(text).toContain('under the name of their partitioned table');
  });

  it('of an owner serves an account that owns nothing, also with a slot of ours and a full copy', async () => {
    await using pair = await freshPair(
      15,
      18,
      `${TABLES}; CREATE PUBLICATION pub FOR ALL TABLES; INSERT INTO item VALUES (1, 'a')`,
    );
    const { source, target } = pair;
    await source.session.query(
      `CREATE ROLE "r_${source.name}" LOGIN REPLICATION PASSWORD 'x'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO "r_${source.name}"`,
    );
    const sourceInfo = { ...source.info, user: `r_${source.name}`, password: 'x' };
    try {
      const options: RunOptions = { sourceInfo, publication: 'pub' };
      expect(await failure(pair, { sourceInfo, decoder: 'pgoutput' })).toContain('does not own');
      await migrate(source, target, options);
      await source.session.query(`INSERT INTO item VALUES (2, 'b')`);
      await migrate(source, target, options);
      expect(await ids(target)).toBe('1a 2b');
      await cleanup({ source: sourceInfo, target: target.info, dryRun: false });
      expect([await slots(source), await source.session.query('SELECT FROM pg_publication')]).toEqual([
        [],
        [{}],
      ]);
    } finally {
      await source.session.query(`DROP OWNED BY "r_${source.name}"; DROP ROLE "r_${source.name}"`);
    }
  });
});
