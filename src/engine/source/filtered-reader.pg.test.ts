/** What a filtered reader makes of the change stream of a real slot. */
import { describe, expect, it } from 'vitest';
import { sleep } from '../../base/runtime/sleep.ts';
import { freshDatabase, type TestDatabase } from '../../../test/database.ts';
import { OPERATIONS, type TableRule } from '../../contract/task-spec.ts';
import { readable, UNCHANGED, type Tuple } from '../change/change.ts';
import { displayName } from '../change/relation.ts';
import { formatLsn, parseLsn } from '../change/lsn.ts';
import { readTables } from '../pg/catalog/tables/tables.ts';
import { literal } from '../pg/ident.ts';
import { endOfWal } from '../pg/wal-position.ts';
import { tableWishes } from '../selection/table-wishes.ts';
import { openChangeReader, type ChangeReader, type StreamItem } from './change-reader.ts';
import { FilteredReader } from './filtered-reader.ts';
import { FilterVerdicts } from './filter-verdicts.ts';
import { usableFilters } from './row-filter.ts';

const NEVER = new AbortController().signal;

const TABLES = `
  CREATE SCHEMA s;
  CREATE TABLE s.k (id int, region text, PRIMARY KEY (id, region));
  CREATE TABLE s.f (id int PRIMARY KEY, region text, body text); ALTER TABLE s.f REPLICA IDENTITY FULL;
  ALTER TABLE s.f ALTER body SET STORAGE EXTERNAL;
  CREATE TABLE s.o (id int PRIMARY KEY, v int)`;

interface Reading extends AsyncDisposable {
  readonly db: TestDatabase;
  readonly reader: ChangeReader;
  /** What was put to the source so far. */
  readonly asked: { roundTrips: number; rows: number };
}

/** Runs `changes` behind a slot, each statement in a transaction of its own, and opens a reader at its beginning. */
async function read(
  major: 12 | 15 | 18,
  rules: readonly TableRule[],
  changes: readonly string[],
): Promise<Reading> {
  const db = await freshDatabase(major);
  await db.session.query(`${TABLES}; CREATE PUBLICATION p FOR ALL TABLES`);
  const slot = `slot_${db.name}`;
  const { lsn } = await db.session.one(
    `SELECT lsn::text FROM pg_create_logical_replication_slot(${literal(slot)}, 'pgoutput')`,
  );
  for (const statement of changes) await db.session.query(statement);
  const tables = await readTables(db.session);
  const wishOf = tableWishes(tables, { operations: OPERATIONS, rules });
  const control = await db.open();
  const filters = await usableFilters(control, tables, wishOf);
  const followed = new Map(
    tables.map((table) => [
      table.oid,
      { operations: wishOf(table).operations, filter: filters.get(table.oid) ?? null },
    ]),
  );
  const from = parseLsn(lsn ?? '');
  const inner = await openChangeReader({
    control,
    openReplication: () => db.open({ replication: true }),
    names: { slot, publication: 'p' },
    decoder: 'pgoutput',
    tables: [],
    positions: [],
    from,
    safe: from,
    recorded: { newest: from, timeline: 1 },
    onTimeline: () => Promise.resolve(),
    signal: NEVER,
  });
  const session = await db.open();
  const asked = { roundTrips: 0, rows: 0 };
  const one = session.one.bind(session);
  session.one = (...question) => {
    asked.roundTrips++;
    for (const rows of question[1] ?? []) asked.rows += (JSON.parse(rows ?? '[]') as unknown[]).length;
    return one(...question);
  };
  const reader = new FilteredReader(inner, followed, new FilterVerdicts(session));
  return {
    db,
    reader,
    asked,
    [Symbol.asyncDispose]: async () => {
      await reader[Symbol.asyncDispose]();
      await control.end();
      await db[Symbol.asyncDispose]();
    },
  };
}

function shown(tuple: Tuple): string {
  return tuple
    .map((cell) => (cell === null ? '-' : cell === UNCHANGED ? 'unchanged' : readable(cell).slice(0, 5)))
    .join(' ');
}

/** `+ s.k (1 EU)`, `~`, `-`, `0` for TRUNCATE, `. s.k` for what is left out, `? s.k` for what cannot be judged, `;` for a commit. */
function sign(item: StreamItem): string[] {
  switch (item.kind) {
    case 'insert':
      return [`+ ${displayName(item.relation)} (${shown(item.new)})`];
    case 'update':
      return [`~ ${displayName(item.relation)} (${shown(item.new)})`];
    case 'delete':
      return [`- ${displayName(item.relation)} (${shown(item.old)})`];
    case 'truncate':
      return [`0 ${item.relations.map(displayName).join(' ')}`];
    case 'filtered':
      return [`. ${displayName(item.relation)}`];
    case 'unjudged':
      return [`? ${displayName(item.relation)} ${item.error.code}`];
    case 'commit':
      return [';'];
    case 'begin':
    case 'relation':
    case 'keepalive':
    case 'other':
      return [];
  }
}

/** Everything up to the end of the WAL, taken as the loop takes it. */
async function all({ reader, db }: Reading, seen: string[] = []): Promise<string[]> {
  const end = await endOfWal(db.session);
  for (;;) {
    const item = reader.takeQueued();
    if (item === null) {
      reader.askForPosition();
      // Something else may be there first; then it is asked again while it still waits.
      await Promise.race([reader.ready(NEVER), sleep(20)]);
      continue;
    }
    // Older servers send transactions that have nothing for us.
    if (item.kind !== 'commit' || seen.at(-1) !== ';') seen.push(...sign(item));
    if (item.kind === 'keepalive' && item.walEnd >= end) return seen;
  }
}

/** All of the WAL is on its way: what the reader finds is not a matter of which of the two is faster. */
async function sent({ db }: Reading): Promise<void> {
  const end = await endOfWal(db.session);
  const isSent = async () =>
    (
      await db.session.one(
        `SELECT coalesce(bool_or(r.sent_lsn >= $1::pg_lsn), false) AS yes FROM pg_catalog.pg_stat_replication r
           JOIN pg_catalog.pg_replication_slots s ON s.active_pid = r.pid WHERE s.database = pg_catalog.current_database()`,
        [formatLsn(end)],
      )
    ).yes === 't';
  while (!(await isSent())) await sleep(20);
}

describe.each([12, 15, 18] as const)('a filtered reader (source %i)', (major) => {
  it('turns rows that enter into inserts and rows that leave into deletes, in their order, and leaves nothing out of the count', async () => {
    await using reading = await read(
      major,
      [
        { tables: 's.k', filter: "region = 'EU'" },
        { tables: 's.f', filter: "region = 'EU'" },
      ],
      [
        "INSERT INTO s.k VALUES (1, 'EU'), (2, 'US')",
        "BEGIN; UPDATE s.k SET id = 3 WHERE id = 1; UPDATE s.k SET region = 'EU' WHERE id = 2; UPDATE s.k SET region = 'US' WHERE id = 3; COMMIT",
        'DELETE FROM s.k WHERE id = 3; DELETE FROM s.k WHERE id = 2',
        `INSERT INTO s.f SELECT i, (ARRAY['EU','US',NULL])[i], repeat('long!', 2000) FROM generate_series(1, 3) i`,
        'INSERT INTO s.o VALUES (1, 1)',
        "UPDATE s.f SET region = 'EU' WHERE id = 2",
        'UPDATE s.f SET region = NULL WHERE id = 1',
        'UPDATE s.f SET id = 9 WHERE id = 2',
        "UPDATE s.f SET region = 'US' WHERE id = 3",
        'DELETE FROM s.f',
        'TRUNCATE s.f, s.o',
      ],
    );
    expect(await all(reading)).toEqual(
      [
        ['+ s.k (1 EU)', '. s.k', ';'],
        ['~ s.k (3 EU)', '+ s.k (2 EU)', '- s.k (3 EU)', ';'],
        ['. s.k', '- s.k (2 EU)', ';'],
        ['+ s.f (1 EU long!)', '. s.f', '. s.f', ';'],
        ['+ s.o (1 1)', ';'],
        // The value that did not travel comes from the old row.
        ['+ s.f (2 EU long!)', ';'],
        ['- s.f (1 EU long!)', ';'],
        ['~ s.f (9 EU unchanged)', ';'],
        ['. s.f', ';'],
        ['. s.f', '- s.f (9 EU long!)', '. s.f', ';'],
        ['0 s.f s.o', ';'],
      ].flat(),
    );
  });

  it('hands out the chosen operations only, of the tables and schemas chosen', async () => {
    await using reading = await read(
      major,
      [
        { tables: 's.*', operations: ['insert', 'update'] },
        { tables: 's.k', operations: ['delete', 'truncate'] },
      ],
      [
        "INSERT INTO s.k VALUES (1, 'EU'); INSERT INTO s.o VALUES (1, 1)",
        'UPDATE s.k SET id = 2; UPDATE s.o SET v = 2',
        'DELETE FROM s.k; DELETE FROM s.o',
        'TRUNCATE s.k, s.o, s.f',
        'TRUNCATE s.o',
      ],
    );
    expect(await all(reading)).toEqual(
      [
        ['. s.k', '+ s.o (1 1)', ';'],
        ['. s.k', '~ s.o (1 2)', ';'],
        ['- s.k (2 EU)', '. s.o', ';'],
        ['0 s.k', '. s.o', '. s.f', ';'],
        ['. s.o', ';'],
      ].flat(),
    );
  });

  it('passes deletes on where updates are not followed: the target has the row as it came', async () => {
    await using reading = await read(
      major,
      [{ tables: 's.k', filter: "region = 'EU'", operations: ['insert', 'delete'] }],
      [
        "INSERT INTO s.k VALUES (1, 'EU'), (2, 'US')",
        "UPDATE s.k SET region = 'US' WHERE id = 1",
        'DELETE FROM s.k',
      ],
    );
    expect(await all(reading)).toEqual(
      [
        ['+ s.k (1 EU)', '. s.k', ';'],
        ['. s.k', ';'],
        ['- s.k (2 US)', '- s.k (1 US)', ';'],
      ].flat(),
    );
  });

  it('asks once for all that has arrived, and never again for the same values', async () => {
    const inserts = (from: number) =>
      Array.from(
        { length: 300 },
        (_, n) => `INSERT INTO s.k VALUES (${from + n}, 'r${n % 150}'), (${from + n}, 'R${n}')`,
      );
    await using reading = await read(
      major,
      [{ tables: 's.k', filter: "region < 'r5'" }],
      [
        ...inserts(0),
        `INSERT INTO s.k SELECT 1000 + i, 'n' || i FROM generate_series(1, 20000) i`,
        ...inserts(500),
      ],
    );
    await sent(reading);
    const seen = await all(reading);
    expect(seen.filter((line) => !line.startsWith(';'))).toHaveLength(600 + 20_000 + 600);
    expect(reading.asked.rows).toBe(150 + 300 + 20_000);
    expect(reading.asked.roundTrips).toBeLessThan(10);
    const { db } = reading;
    const [passing] = await db.session.query(`SELECT count(*)::text AS n FROM s.k WHERE region < 'r5'`);
    expect(seen.filter((line) => line.startsWith('+'))).toHaveLength(Number(passing?.n));
  });

  it('names the change that cannot be judged in its place, and goes on with the others', async () => {
    await using reading = await read(
      major,
      [
        { tables: 's.o', filter: '10 / v > 1' },
        { tables: 's.k', filter: 'id > 1' },
      ],
      [
        'INSERT INTO s.o VALUES (1, 2), (2, 9)',
        "INSERT INTO s.o VALUES (3, 4); INSERT INTO s.o VALUES (4, 0); INSERT INTO s.k VALUES (1, 'a'), (2, 'b')",
        'INSERT INTO s.o VALUES (5, 1)',
      ],
    );
    expect(await all(reading)).toEqual(
      [
        ['+ s.o (1 2)', '. s.o', ';'],
        ['+ s.o (3 4)', '? s.o FILTER_FAILED', '. s.k', '+ s.k (2 b)', ';'],
        ['+ s.o (5 1)', ';'],
      ].flat(),
    );
  });

  it('cannot judge where the filtered column is not what it was, or the whole old row is not sent', async () => {
    await using reading = await read(
      major,
      [{ tables: 's.f', filter: "region = 'EU'" }],
      [
        "INSERT INTO s.f VALUES (1, 'US', repeat('long!', 2000)), (2, 'EU', NULL)",
        'ALTER TABLE s.f RENAME region TO land',
        "INSERT INTO s.f VALUES (3, 'EU'); INSERT INTO s.o VALUES (1, 1)",
        'ALTER TABLE s.f RENAME land TO region',
        'ALTER TABLE s.f REPLICA IDENTITY DEFAULT',
        "UPDATE s.f SET region = 'EU' WHERE id = 1; DELETE FROM s.f WHERE id = 2; INSERT INTO s.f VALUES (4, 'EU')",
      ],
    );
    expect(await all(reading)).toEqual(
      [
        ['. s.f', '+ s.f (2 EU -)', ';'],
        ['? s.f RELATION_CHANGED', '+ s.o (1 1)', ';'],
        ['? s.f FILTER_FAILED', '? s.f FILTER_FAILED', '+ s.f (4 EU -)', ';'],
      ].flat(),
    );
  });
});
