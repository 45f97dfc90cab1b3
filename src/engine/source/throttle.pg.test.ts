/** Two copies at a time under shared limits: the rate that is set is the rate that is measured, also after it was changed. */
import { describe, expect, it } from 'vitest';
import { sleep } from '../../base/runtime/sleep.ts';
import { freshDatabase, type TestDatabase } from '../../../test/database.ts';
import { readTables } from '../pg/catalog/tables/tables.ts';
import type { CopyAmount, CopyPace } from '../pg/wire/copy-pace.ts';
import { relayCopy } from '../pg/wire/copy-relay.ts';
import { holdFreshSnapshot } from './snapshot-holder.ts';
import { CopyThrottle, type CopyLimits } from './throttle.ts';
import { WHOLE } from '../change/cut.ts';
import { openChunkReader } from './chunk-reader.ts';

const NEVER = new AbortController().signal;
const NONE: CopyLimits = { queriesPerSecond: null, rowsPerSecond: null, bytesPerSecond: null };

/** Counts beside the throttle what each copy has let through. */
class Meter extends CopyThrottle {
  readonly passed: { rows: number; bytes: number }[] = [];

  override forUnit(): CopyPace {
    const mine = { rows: 0, bytes: 0 };
    this.passed.push(mine);
    const pace = super.forUnit();
    return {
      get grain() {
        return pace.grain;
      },
      spend: (passed, goOn) => {
        mine.rows += passed.rows;
        mine.bytes += passed.bytes;
        return pace.spend(passed, goOn);
      },
    };
  }

  total(what: keyof CopyAmount): number {
    return this.passed.reduce((sum, copy) => sum + copy[what], 0);
  }

  /** What passes a second, measured from now on for this long. */
  async measure(what: keyof CopyAmount, ms: number): Promise<number> {
    const [before, started] = [this.total(what), performance.now()];
    await sleep(ms);
    return ((this.total(what) - before) / (performance.now() - started)) * 1000;
  }
}

/** Runs copies a and b, which do not end by themselves, while `work` runs. `values`: the text in each row of a and of b. */
async function whileCopying(
  meter: Meter,
  values: readonly [string, string],
  work: () => Promise<void>,
): Promise<void> {
  await using db = await freshDatabase(18);
  const stop = new AbortController();
  const copy = async (name: string, value: string) => {
    await db.session.query(`CREATE UNLOGGED TABLE public.${name} (i int, v text)`);
    await using from = await db.open();
    await using to = await db.open();
    const out = `COPY (SELECT generate_series(1, 100000000), ${value}) TO STDOUT`;
    const statements = {
      out,
      in: `COPY public.${name} FROM STDIN`,
      onPass: () => {},
      pace: meter.forUnit(),
    };
    await relayCopy(from, to, statements, stop.signal);
  };
  const copies = [copy('a', values[0]), copy('b', values[1])].map((run) =>
    run.catch((thrown: unknown) => {
      if (!stop.signal.aborted) throw thrown;
    }),
  );
  while (meter.passed.length < 2 || meter.passed.some(({ rows }) => rows === 0)) await sleep(10);
  try {
    await work();
  } finally {
    stop.abort();
    await Promise.all(copies);
  }
}

function expectWithin(measured: number, wanted: number, part: number): void {
  expect(measured).toBeGreaterThan(wanted * (1 - part));
  expect(measured).toBeLessThan(wanted * (1 + part));
}

describe('two copies at a time', () => {
  it.each([5_000_000, 60_000])('pass the bytes a second that are set: %d', async (bytesPerSecond) => {
    const meter = new Meter({ ...NONE, bytesPerSecond });
    await whileCopying(meter, ["repeat('x', 1000)", "repeat('y', 1000)"], async () => {
      expectWithin(await meter.measure('bytes', 6_000), bytesPerSecond, 0.05);
      const [first, second] = meter.passed;
      expectWithin(first!.bytes, second!.bytes, 0.1);
    });
  });

  it.each([20_000, 300])('pass the rows a second that are set: %d', async (rowsPerSecond) => {
    const meter = new Meter({ ...NONE, rowsPerSecond });
    await whileCopying(meter, ["'x'", "'y'"], async () => {
      expectWithin(await meter.measure('rows', 6_000), rowsPerSecond, 0.05);
      const [first, second] = meter.passed;
      expectWithin(first!.rows, second!.rows, 0.1);
    });
  });

  it('share a limit of rows evenly where those of one are a thousand times as large', async () => {
    const meter = new Meter({ ...NONE, rowsPerSecond: 500 });
    await whileCopying(meter, ["'x'", "repeat('y', 10000)"], async () => {
      expectWithin(await meter.measure('rows', 6_000), 500, 0.05);
      const [small, large] = meter.passed;
      expectWithin(small!.rows, large!.rows, 0.1);
    });
  });

  it('follow a change of the limit within 300 ms, up and down', async () => {
    const meter = new Meter({ ...NONE, bytesPerSecond: 1_000_000 });
    await whileCopying(meter, ["repeat('x', 1000)", "repeat('y', 1000)"], async () => {
      expectWithin(await meter.measure('bytes', 2_000), 1_000_000, 0.1);
      meter.set({ ...NONE, bytesPerSecond: 4_000_000 });
      await sleep(300);
      expectWithin(await meter.measure('bytes', 2_000), 4_000_000, 0.1);
      meter.set({ ...NONE, bytesPerSecond: 500_000 });
      await sleep(300);
      expectWithin(await meter.measure('bytes', 2_000), 500_000, 0.1);
    });
  });
});

/** A database with table t of this many rows, and what is needed to copy it into table u. */
async function unitDatabase(rows: number): Promise<TestDatabase> {
  const db = await freshDatabase(15);
  await db.session.query(`CREATE TABLE t (id int); CREATE TABLE u (id int)`);
  await db.session.query(`INSERT INTO t SELECT generate_series(1, ${rows})`);
  return db;
}

async function copyUnit(db: TestDatabase, throttle: CopyThrottle, onBytes: (bytes: number) => void) {
  const table = (await readTables(db.session)).find(({ name }) => name === 't')!;
  await using held = await holdFreshSnapshot(() => db.open(), { covers: null, settled: null });
  await using reader = await openChunkReader({
    open: () => db.open(),
    control: () => Promise.resolve(db.session),
    held,
    throttle,
  });
  await using writer = await db.open();
  const unit = {
    table,
    cut: WHOLE,
    chunk: 0,
    columns: ['id'],
    binary: false,
    copyIn: 'COPY public.u FROM STDIN',
    onPass: onBytes,
  };
  await reader.lock([table], NEVER);
  return await reader.send(unit, writer, NEVER);
}

describe('a unit', () => {
  it('that stands still for minutes is copied at once when the limit is lifted', async () => {
    await using db = await unitDatabase(1_000);
    const throttle = new CopyThrottle({ ...NONE, rowsPerSecond: 0.01 });
    let bytes = 0;
    const copy = copyUnit(db, throttle, (more) => (bytes += more));
    while (bytes === 0) await sleep(10);
    await sleep(500);
    // One row of four bytes or less, and the head of its message.
    expect(bytes).toBeLessThan(10);
    const lifted = performance.now();
    throttle.set(NONE);
    expect(await copy).toMatchObject({ rowsOut: 1_000, rowsIn: 1_000 });
    // Under the old limit it would have taken a day.
    expect(performance.now() - lifted).toBeLessThan(30_000);
    expect(await db.session.one('SELECT count(*)::text, sum(id)::text FROM u')).toEqual({
      count: '1000',
      sum: '500500',
    });
  });

  it('smaller than a turn does not slip through: what one leaves the next pays', async () => {
    await using db = await unitDatabase(100);
    const throttle = new CopyThrottle({ ...NONE, rowsPerSecond: 1_000 });
    const started = performance.now();
    for (let copies = 1; copies <= 20; copies++) await copyUnit(db, throttle, () => {});
    expect(performance.now() - started).toBeGreaterThan(2_000);
  });

  it('costs the source four statements', async () => {
    await using db = await unitDatabase(10);
    const throttle = new CopyThrottle({ ...NONE, queriesPerSecond: 5 });
    const started = performance.now();
    for (let copies = 1; copies <= 2; copies++)
      expect(await copyUnit(db, throttle, () => {})).toMatchObject({ rowsIn: 10 });
    // What is between the copies counts for the burst at most.
    expect(performance.now() - started).toBeGreaterThan((8 / 5) * 1000 - 100);
  });
});
