/** Rows that are migrated only where they meet a condition (B11): copied, followed as they enter and leave it, and compared. */
import { describe, expect, it } from 'vitest';
import type { AppError } from '../src/base/errors/app-error.ts';
import { armFailpoint, type FailpointName } from '../src/base/runtime/failpoint.ts';
import type { MigrationEvent } from '../src/contract/progress.ts';
import type { TableRule } from '../src/contract/task-spec.ts';
import { cleanup } from '../src/service/task/release/cleanup.ts';
import { chooseForTables } from '../src/service/task/stopped.ts';
import {
  ALL,
  CHUNK,
  doneChunks,
  expectIdentical,
  FULL,
  named,
  pairOf,
  SLOW,
  stopAfter,
  writer,
} from './copy-faults.ts';
import { freshDatabase, freshPair, type TestDatabase } from './database.ts';
import { follow, pause } from './follow.ts';
import { migrate, start, type RunOptions } from './migration.ts';
import { firstOf } from './matrix.ts';

const rows = (db: TestDatabase, sql: string) => db.session.query(sql);

/** Ids on the target, in order. */
async function ids(db: TestDatabase, table: string): Promise<string> {
  const found = await rows(db, `SELECT id::text AS id FROM ${table} ORDER BY 1`);
  return found.map(({ id }) => id).join(' ');
}

/** `orders` is followed under FULL because of its filter; `point` keeps its key as identity; `equal` has none; `doc` has values out of line. */
const TABLES = `
  CREATE SCHEMA sales;
  CREATE TABLE sales.orders (id int PRIMARY KEY, region text, amount numeric(8,2), note text);
  INSERT INTO sales.orders SELECT i, (ARRAY['EU','US',NULL])[1 + i % 3], i / 4.0, 'note ' || i FROM generate_series(1, 60) i;
  CREATE TABLE point (id int, region int, n int NOT NULL DEFAULT 0, PRIMARY KEY (id, region));
  INSERT INTO point SELECT i, i % 3 FROM generate_series(1, 60) i;
  CREATE TABLE equal (region text COLLATE "en-x-icu", v int);
  INSERT INTO equal SELECT (ARRAY['a','B','c'])[1 + i % 3], i % 2 FROM generate_series(1, 60) i;
  CREATE TABLE doc (id int PRIMARY KEY, kept bool, at timestamptz, body text);
  ALTER TABLE doc ALTER body SET STORAGE EXTERNAL;
  INSERT INTO doc SELECT i, i % 2 = 0, '2024-01-01Z'::timestamptz + i * interval '1 day', repeat(md5(i::text), 200) FROM generate_series(1, 20) i;
  CREATE TABLE part (id int, k int, v text, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
  CREATE TABLE part_0 PARTITION OF part FOR VALUES IN (0); CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);
  INSERT INTO part SELECT i, i % 2, (ARRAY['x','y'])[1 + i % 4 / 2] FROM generate_series(1, 40) i;
  CREATE TABLE whole (id int PRIMARY KEY, v text); INSERT INTO whole VALUES (1, 'a');
  ANALYZE`;

const RULES: TableRule[] = [
  { tables: 'sales.*', filter: "region = 'EU' AND amount < 100" },
  { tables: 'point', filter: 'region = 1' },
  { tables: 'equal', filter: "region < 'b'" },
  { tables: 'doc', filter: "kept AND at >= '2024-01-03 00:00:00+00'" },
  { tables: 'part', filter: "v LIKE 'x%'" },
];

/** For the tables of the copy's fault tests: about half of the rows of each pass. */
const COPY_RULES: TableRule[] = [
  { tables: 'ordered', filter: 'id % 3 <> 0 AND n < 4' },
  { tables: 'scattered', filter: "id > '80000000-0000-0000-0000-000000000000'" },
  { tables: 'loose', filter: "a < 25 OR b = 'y'" },
  { tables: 'toasted', filter: 'n % 2 = 0' },
  { tables: 'part', filter: 'k = 0' },
];

const IDENTITIES = `SELECT relname AS name, relreplident AS identity FROM pg_class WHERE relname IN ('orders', 'point', 'doc') ORDER BY 1`;

async function failure(promise: Promise<unknown>): Promise<AppError> {
  return promise.then(
    () => expect.unreachable('it should have failed'),
    (thrown: AppError) => thrown,
  );
}

describe.each(
  firstOf(2, [
    [12, 15],
    [18, 12],
    [15, 18],
  ] as const),
)('a filtered migration from %i to %i', (from, to) => {
  it('copies the rows that pass, and follows them as they enter and leave', async () => {
    await using ends = await freshPair(from, to, TABLES);
    const { source, target } = ends;
    const following = await follow(source, target, { rules: RULES });
    // The copy: rows for which the condition is NULL do not pass.
    expect(await ids(target, 'sales.orders')).toBe(
      Array.from({ length: 20 }, (_, i) => String(3 * (i + 1)))
        .sort()
        .join(' '),
    );
    await expectIdentical(ends, RULES);
    // FULL where an old row must be known as a whole, and only there.
    expect(await rows(source, IDENTITIES)).toEqual([
      { name: 'doc', identity: 'f' },
      { name: 'orders', identity: 'f' },
      { name: 'point', identity: 'd' },
    ]);
    await rows(
      source,
      `UPDATE sales.orders SET region = 'US' WHERE id = 3;
       UPDATE sales.orders SET region = 'EU' WHERE id = 1;
       UPDATE sales.orders SET region = NULL WHERE id = 6;
       UPDATE sales.orders SET region = 'EU' WHERE id = 2;
       UPDATE sales.orders SET note = 'passes before and after' WHERE id = 9;
       UPDATE sales.orders SET note = 'passes neither before nor after' WHERE id = 4;
       UPDATE sales.orders SET id = id + 1000 WHERE id IN (12, 13);
       UPDATE sales.orders SET id = 2000, region = 'EU' WHERE id = 16;
       UPDATE sales.orders SET amount = 100 WHERE id = 15;
       DELETE FROM sales.orders WHERE id IN (18, 19, 20);
       INSERT INTO sales.orders VALUES (100, 'EU', 1, NULL), (101, 'US', 1, NULL), (102, NULL, 1, NULL), (103, 'EU', 99.999, 'rounds');
       UPDATE point SET region = 2, n = 1 WHERE id IN (1, 4);
       UPDATE point SET region = 1, n = 2 WHERE id IN (2, 3);
       UPDATE point SET n = 7 WHERE id < 20;
       DELETE FROM point WHERE id IN (7, 8);
       UPDATE equal SET region = 'A' WHERE ctid IN (SELECT ctid FROM equal WHERE region = 'c' LIMIT 3);
       UPDATE equal SET region = 'b' WHERE ctid IN (SELECT ctid FROM equal WHERE region = 'B' LIMIT 3);
       DELETE FROM equal WHERE ctid IN (SELECT ctid FROM equal LIMIT 9);
       INSERT INTO equal VALUES ('a', 1), ('a', 1), ('z', 1);
       UPDATE doc SET kept = true WHERE id IN (1, 5, 7);
       UPDATE doc SET kept = false WHERE id IN (8, 10);
       UPDATE doc SET at = at - interval '40 days' WHERE id = 12;
       UPDATE doc SET kept = NULL WHERE id = 14;
       UPDATE part SET v = 'x2' WHERE id IN (2, 3);
       UPDATE part SET v = 'y2' WHERE id IN (4, 5);
       UPDATE part SET k = 1 - k WHERE id < 20;
       UPDATE whole SET v = 'b'; INSERT INTO whole VALUES (2, 'c')`,
    );
    // One row through many states in one transaction.
    await rows(
      source,
      `BEGIN; INSERT INTO sales.orders VALUES (500, 'US'); UPDATE sales.orders SET region = 'EU', amount = 1 WHERE id = 500;
       UPDATE sales.orders SET region = 'US' WHERE id = 500; UPDATE sales.orders SET region = 'EU', id = 501 WHERE id = 500;
       DELETE FROM sales.orders WHERE id = 501; INSERT INTO sales.orders VALUES (500, 'EU', 2, 'stays'); COMMIT`,
    );
    await following.catchUp();
    await expectIdentical(ends, RULES);
    expect(await ids(target, 'doc')).toBe('16 18 2 20 4 5 6 7');
    await cleanup({ source: source.info, target: target.info, dryRun: false });
    expect((await rows(source, IDENTITIES)).map(({ identity }) => identity)).toEqual(['d', 'd', 'd']);
  });
});

describe('the rows a filter passes', () => {
  it('are the same after random changes, whatever the windows, in order or as sets', async () => {
    await using ends = await freshPair(15, 15, TABLES);
    const { source, target } = ends;
    const following = await follow(source, target, { rules: RULES });
    for (let n = 0; n < 300; n++) {
      const id = () => 1 + Math.floor(Math.random() * 80);
      const region = () => ["'EU'", "'US'", 'NULL'][Math.floor(Math.random() * 3)];
      const work = [
        `INSERT INTO sales.orders VALUES (${id()}, ${region()}, ${n}, 'n') ON CONFLICT DO NOTHING`,
        `UPDATE sales.orders SET region = ${region()} WHERE id BETWEEN ${id()} AND ${id()}`,
        `UPDATE sales.orders SET id = id + 80 * (1 - 2 * (id / 81)), region = ${region()} WHERE id % 7 = ${n % 7} AND id < 161
           AND NOT EXISTS (SELECT FROM sales.orders o WHERE o.id IN (orders.id + 80, orders.id - 80))`,
        `DELETE FROM sales.orders WHERE id = ${id()}`,
        `UPDATE point SET region = (region + 1) % 3 WHERE id = ${id()}`,
        `UPDATE point SET n = n + 1 WHERE id = ${id()}`,
        `UPDATE doc SET kept = NOT kept WHERE id = ${1 + (n % 20)}`,
        `UPDATE doc SET body = repeat(md5('${n}'), 200) WHERE id = ${1 + (n % 19)}`,
        `UPDATE part SET k = 1 - k, v = chr(120 + ${n % 2}) WHERE id = ${id()}`,
        `UPDATE equal SET region = chr(97 + ${n % 3}) WHERE ctid = (SELECT ctid FROM equal OFFSET ${id() % 50} LIMIT 1)`,
        `TRUNCATE equal; INSERT INTO equal SELECT chr(97 + i % 3), i % 2 FROM generate_series(1, 60) i`,
      ].filter((_, at) => Math.random() < (at === 10 ? 0.01 : 0.3));
      await rows(source, `BEGIN; ${work.join('; ')}; ${Math.random() < 0.1 ? 'ROLLBACK' : 'COMMIT'}`);
    }
    await following.catchUp();
    await expectIdentical(ends, RULES);
  });

  it.each([
    ['copy.before-unit-commit', 1],
    ['copy.after-unit-commit', 1],
    ['slot.after-create', 1],
    ['apply.between-apply-and-progress', 1],
    ['apply.between-commit-and-ack', 1],
  ] as const)('are the same after a kill at %s', async (name: FailpointName, pass) => {
    await using ends = await freshPair(18, 15, TABLES);
    const { source, target } = ends;
    const options = { rules: RULES, jobs: 1 };
    const change = () =>
      rows(
        source,
        `UPDATE sales.orders SET region = CASE region WHEN 'EU' THEN 'US' WHEN 'US' THEN 'EU' END WHERE id % 4 < 2;
         UPDATE point SET region = (region + 1) % 3 WHERE id % 2 = 0; DELETE FROM equal WHERE v = 1;
         UPDATE doc SET kept = NOT kept; UPDATE part SET v = CASE v WHEN 'x' THEN 'y' ELSE 'x' END, k = 1 - k`,
      );
    const died = new Error('killed');
    const failpoints = armFailpoint(`${name}:${pass}`, () => {
      throw died;
    });
    if (name.startsWith('apply')) {
      await migrate(source, target, options);
      for (let n = 0; n < 3; n++) await change();
    }
    expect(await failure(migrate(source, target, { ...options, failpoints }))).toMatchObject({
      cause: died,
    });
    await change();
    await migrate(source, target, options);
    await expectIdentical(ends, RULES);
  });

  it.each([
    [18, 17],
    [12, 18],
  ] as const)(
    'are copied again exactly where the source changed them, when the copy goes on under a later snapshot (from %i to %i)',
    async (from, to) => {
      await using pair = await pairOf(from, to);
      const { source, target } = pair;
      const options: RunOptions = { rules: COPY_RULES, types: FULL };
      await stopAfter(pair, 14, options);
      const before = await doneChunks(target);
      // What does not pass before nor after is not looked at; toasted is cut by place or key, as the server can read it.
      await rows(
        source,
        'UPDATE ordered SET n = n + 1 WHERE id % 3 = 0; DELETE FROM ordered WHERE id % 9 = 0',
      );
      const again = { ...options, chunkBytes: CHUNK };
      const abort = new AbortController();
      const failpoints = armFailpoint('copy.after-unit-commit:1', () => abort.abort());
      await start(source, target, { ...again, jobs: 1, signal: abort.signal, failpoints }).finished;
      const between = await doneChunks(target);
      for (const [chunk, { at }] of before) expect(between.get(chunk)?.at).toBe(at);
      // One row less that passes, and one more, in the same range.
      await rows(source, 'UPDATE ordered SET id = -1 WHERE id = 1; UPDATE ordered SET id = -3 WHERE id = 2');
      expect(named(await migrate(source, target, again), /copied again/)).toEqual(['ordered']);
      await expectIdentical(pair, COPY_RULES);
    },
  );

  it.each(
    firstOf(1, [
      [18, 17, 25],
      [12, 18, 14],
    ] as const),
  )(
    'are the same where parts of a table were copied at different moments under load (from %i to %i)',
    async (from, to, commits) => {
      await using pair = await pairOf(from, to);
      const options: RunOptions = { rules: COPY_RULES, types: ALL };
      {
        await using _ = await writer(pair.source);
        await stopAfter(pair, commits, options);
        await pause(300);
        await stopAfter(pair, 3, options);
        await pause(300);
        await follow(pair.source, pair.target, { ...options, chunkBytes: CHUNK }).then((going) =>
          going.catchUp(),
        );
      }
      await migrate(pair.source, pair.target, options);
      await expectIdentical(pair, COPY_RULES);
    },
  );

  it.each(firstOf(1, [12, 18] as const))(
    'are the same where the copy goes on beside the stream (source %i)',
    async (from) => {
      await using pair = await pairOf(from, 17);
      const events: MigrationEvent[] = [];
      const options: RunOptions = {
        rules: COPY_RULES,
        chunkBytes: CHUNK,
        limits: SLOW,
        walBudget: { bytes: 1n << 60n, ms: 500 },
        onEvent: (event) => events.push(event),
      };
      {
        await using _ = await writer(pair.source);
        await (await follow(pair.source, pair.target, options)).catchUp();
      }
      expect(events.map(({ message }) => message).join()).toContain('Changes are applied from now on');
      await migrate(pair.source, pair.target, options);
      await expectIdentical(pair, COPY_RULES);
    },
  );

  it('are judged on when the session that judges them is lost', async () => {
    await using ends = await freshPair(17, 17, TABLES);
    const { source, target } = ends;
    const following = await follow(source, target, { rules: RULES });
    for (let n = 0; n < 5; n++) {
      await rows(
        source,
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'opendts:%:filter'`,
      );
      await rows(source, `UPDATE sales.orders SET region = 'EU', note = 'n${n}' WHERE id % 5 = ${n}`);
      await pause(300);
    }
    await following.catchUp();
    expect(following.events.map(({ message }) => message).join()).toContain(
      'connection to the source was lost',
    );
    await expectIdentical(ends, RULES);
  });
});

describe('a filter that cannot be', () => {
  it.each([
    ["regio = 'EU'", 'column "regio" does not exist'],
    ["region = 'EU", 'unterminated quoted string'],
    ['id IN (SELECT 1)', 'cannot use subquery'],
    ['random() < 0.5', 'must be marked IMMUTABLE'],
  ])('keeps the migration from starting: %s', async (filter, problem) => {
    await using ends = await freshPair(15, 15, TABLES);
    const error = await failure(
      migrate(ends.source, ends.target, { rules: [{ tables: 'sales.orders', filter }] }),
    );
    expect(error).toMatchObject({ code: 'CHECKS_FAILED', message: expect.stringContaining(problem) });
    expect(error.message).toContain('sales.orders');
    expect(await rows(ends.target, "SELECT FROM pg_namespace WHERE nspname = '_opendts'")).toEqual([]);
  });

  it('is named where it reads what the change stream does not carry, but only then', async () => {
    await using ends = await freshPair(
      15,
      15,
      'CREATE TABLE t (id int PRIMARY KEY, a int, b int GENERATED ALWAYS AS (a * 2) STORED); INSERT INTO t VALUES (1, 1), (2, 5)',
    );
    const rules = [{ tables: 't', filter: 'b > 5' }];
    const error = await failure(migrate(ends.source, ends.target, { rules }));
    expect(error).toMatchObject({
      code: 'CHECKS_FAILED',
      message: expect.stringContaining('generated column'),
    });
    await migrate(ends.source, ends.target, { rules, types: ['schema', 'full'] });
    expect(await ids(ends.target, 't')).toBe('2');
  });

  it('stops its table alone when a value makes it fail, until the table is copied again without it', async () => {
    await using ends = await freshPair(
      15,
      15,
      'CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t VALUES (1, 1); CREATE TABLE o (id int PRIMARY KEY)',
    );
    const { source, target } = ends;
    const rules = [{ tables: 't', filter: '10 / a > 1' }];
    const following = await follow(source, target, { rules });
    await rows(source, 'INSERT INTO t VALUES (2, 2)');
    await rows(source, 'INSERT INTO t VALUES (3, 0); DELETE FROM t WHERE id = 3; INSERT INTO o VALUES (1)');
    await rows(source, 'INSERT INTO t VALUES (4, 3); INSERT INTO o VALUES (2)');
    const error = await failure(following.catchUp());
    expect(error).toMatchObject({ code: 'TABLES_STOPPED', message: expect.stringContaining('public.t') });
    expect(error.message).toContain('division by zero');
    expect(await ids(target, 'o')).toBe('1 2');
    await chooseForTables(target.session, ['public.t'], 'recopy');
    await migrate(source, target, { rules });
    expect(await ids(target, 't')).toBe('1 2 4');
    await expectIdentical(ends, rules);
  });

  it('does not keep the migration from stopping while the source is at it', async () => {
    await using ends = await freshPair(
      15,
      15,
      `CREATE FUNCTION slow(int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM pg_sleep(60); RETURN true; END $$;
       CREATE TABLE t (id int PRIMARY KEY)`,
    );
    const { source, target } = ends;
    const abort = new AbortController();
    const rules = [{ tables: 't', filter: 'public.slow(id)' }];
    const migration = start(source, target, { rules, until: { kind: 'signal' }, signal: abort.signal });
    while (migration.progress().phase !== 'stream') await pause(20);
    await rows(source, 'INSERT INTO t VALUES (1)');
    await pause(500);
    const began = performance.now();
    abort.abort();
    expect((await migration.finished).outcome).toBe('stopped');
    expect(performance.now() - began).toBeLessThan(10_000);
  });

  it('stops its table alone when the identity it needs was taken away', async () => {
    await using ends = await freshPair(15, 15, TABLES);
    const { source, target } = ends;
    const following = await follow(source, target, { rules: RULES });
    await rows(source, 'ALTER TABLE sales.orders REPLICA IDENTITY DEFAULT');
    await rows(source, "UPDATE sales.orders SET region = 'EU'; INSERT INTO whole VALUES (7, 'x')");
    expect(await failure(following.catchUp())).toMatchObject({
      code: 'TABLES_STOPPED',
      message: expect.stringContaining('REPLICA IDENTITY is not FULL'),
    });
    expect(await ids(target, 'whole')).toBe('1 7');
  });

  it('is named when its rule matches no selected table', async () => {
    await using ends = await freshPair(15, 15, TABLES);
    const rules = [{ tables: 'sales.order', filter: 'id > 1' }];
    expect(await failure(migrate(ends.source, ends.target, { rules }))).toMatchObject({
      code: 'NOTHING_SELECTED',
      message: expect.stringContaining('"sales.order" (of a rule)'),
    });
  });
});

describe('a replica identity of the user’s own', () => {
  it('comes back after the cleanup, an index too', async () => {
    await using source = await freshDatabase(17);
    await using target = await freshDatabase(17);
    await rows(
      source,
      `CREATE TABLE doc (id int PRIMARY KEY, code int NOT NULL, kept bool); CREATE UNIQUE INDEX by_code ON doc (code);
       ALTER TABLE doc REPLICA IDENTITY USING INDEX by_code; INSERT INTO doc VALUES (1, 1, true), (2, 2, false)`,
    );
    const rules = [{ tables: 'doc', filter: 'kept' }];
    const following = await follow(source, target, { rules });
    await rows(source, 'UPDATE doc SET kept = NOT kept');
    await following.catchUp();
    expect(await ids(target, 'doc')).toBe('2');
    await cleanup({ source: source.info, target: target.info, dryRun: false });
    expect(
      await rows(
        source,
        "SELECT c.relreplident AS i, i.indisreplident AS x FROM pg_class c, pg_index i WHERE c.relname = 'doc' AND i.indexrelid = 'by_code'::regclass",
      ),
    ).toEqual([{ i: 'i', x: 't' }]);
  });
});

describe('tables that come while the migration runs', () => {
  it('are filtered as their rules say, or left out where those make no sense of them', async () => {
    await using ends = await freshPair(
      15,
      17,
      'CREATE SCHEMA sales; CREATE TABLE sales.orders (id int PRIMARY KEY, region text)',
    );
    const { source, target } = ends;
    const rules = [{ tables: 'sales.*', filter: "region = 'EU'" }];
    const following = await follow(source, target, { rules });
    await rows(
      source,
      `CREATE TABLE sales.fresh (id int PRIMARY KEY, region text); INSERT INTO sales.fresh VALUES (1, 'EU'), (2, 'US'), (3, 'US');
       CREATE TABLE sales.part (id int PRIMARY KEY, region text) PARTITION BY RANGE (id);
       CREATE TABLE sales.part_0 PARTITION OF sales.part FOR VALUES FROM (0) TO (10);
       CREATE TABLE sales.other (id int PRIMARY KEY); INSERT INTO sales.other VALUES (1);
       INSERT INTO sales.part VALUES (1, 'EU'), (2, 'US'), (3, 'US')`,
    );
    const there = async (table: string) =>
      (await rows(target, `SELECT FROM pg_tables WHERE schemaname = 'sales' AND tablename = '${table}'`))
        .length > 0;
    while (!((await there('fresh')) && (await there('part_0')))) await pause(50);
    while ((await ids(target, 'sales.fresh')) !== '1') await pause(50);
    await rows(
      source,
      `UPDATE sales.fresh SET region = 'EU' WHERE id = 2; UPDATE sales.fresh SET region = NULL WHERE id = 1;
       UPDATE sales.part SET region = 'EU' WHERE id = 2; UPDATE sales.part SET region = 'US' WHERE id IN (1, 3)`,
    );
    const { warnings } = await following.catchUp();
    expect(await ids(target, 'sales.fresh')).toBe('2');
    expect(await ids(target, 'sales.part')).toBe('2');
    expect(await there('other')).toBe(false);
    expect(warnings).toContainEqual(
      expect.stringMatching(
        /sales\.other; they are not picked up: their filter cannot be used: column "region"/,
      ),
    );
  });

  it('or are called something else by now are filtered on', async () => {
    await using ends = await freshPair(15, 17, TABLES);
    const { source, target } = ends;
    const options = { rules: RULES };
    const following = await follow(source, target, options);
    await rows(
      source,
      "ALTER TABLE sales.orders RENAME TO former; UPDATE sales.former SET region = 'EU' WHERE id < 5",
    );
    await following.catchUp();
    await rows(
      source,
      "UPDATE sales.former SET region = 'US' WHERE id = 2; INSERT INTO sales.former VALUES (900, 'US', 1, '')",
    );
    await migrate(source, target, options);
    const [passing] = await rows(
      source,
      `SELECT count(*)::text AS n FROM sales.former WHERE ${RULES[0]!.filter}`,
    );
    expect(await rows(target, 'SELECT count(*)::text AS n FROM sales.orders')).toEqual([passing]);
    expect((await ids(target, 'sales.orders')).split(' ')).not.toContain('2');
  });
});
