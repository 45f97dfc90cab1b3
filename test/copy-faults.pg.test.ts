/**
 * A copy whose sessions and connections break in the middle of chunks, on either side: killed, cut, or silent. It goes on by itself, or
 * ends with a clear error and goes on when run again; in the end both sides hold the same.
 */
import { describe, expect, it } from 'vitest';
import { AppError } from '../src/base/errors/app-error.ts';
import type { MigrationEvent } from '../src/contract/progress.ts';
import type { MigrationType } from '../src/contract/task-spec.ts';
import { NO_LIMITS } from '../src/engine/source/throttle.ts';
import {
  ALL,
  CHUNK,
  chunksDone,
  expectIdentical,
  failureOf,
  FULL,
  midway,
  pairOf,
  SLOW,
  terminate,
  until,
  writer,
  type Pair,
} from './copy-faults.ts';
import { migrate, start, type RunOptions } from './migration.ts';
import { proxyBefore } from './tcp-proxy.ts';
import { firstOf } from './matrix.ts';

const KINDS = firstOf(1, [
  ['schema,full,incremental', ALL],
  ['schema,full', FULL],
] as const);

/** Runs a slow copy, lets `disturb` happen midway, and to the end; changes are made all the while where they are followed. */
async function disturbed(
  pair: Pair,
  types: readonly MigrationType[],
  { disturb, ...options }: RunOptions & { disturb: (events: MigrationEvent[]) => Promise<void> },
): Promise<MigrationEvent[]> {
  const { source, target } = pair;
  const events: MigrationEvent[] = [];
  {
    await using _ = types.includes('incremental') ? await writer(source) : null;
    const migration = start(source, target, { types, chunkBytes: CHUNK, limits: SLOW, events, ...options });
    await until(migration, midway());
    await disturb(events);
    migration.limit(NO_LIMITS);
    await migration.finished;
  }
  if (types.includes('incremental')) await migrate(source, target, { types });
  await expectIdentical(pair);
  return events;
}

describe.each(KINDS)('%s: the backend of a copy worker is killed in the middle of a chunk', (_, types) => {
  it.each([
    ['source', 12, 18],
    ['target', 18, 12],
  ] as const)(
    'on the %s (%i to %i): its chunk is copied again, under the same snapshot',
    async (side, from, to) => {
      await using pair = await pairOf(from, to);
      let killed = 0;
      const events = await disturbed(pair, types, {
        disturb: async () => {
          killed = await terminate(pair[side], 'copy');
        },
      });
      expect(killed).toBeGreaterThan(0);
      expect(events.filter(({ message }) => /new snapshot/.test(message))).toEqual([]);
    },
  );
});

describe.each(KINDS)('%s: other sessions are killed in the middle of the copy', (_, types) => {
  it.each([
    ['source', 'control'],
    ['target', 'control'],
    ['source', '%'],
    ['target', '%'],
  ] as const)('on the %s, %s', async (side, role) => {
    await using pair = await pairOf(18, 17);
    await disturbed(pair, types, {
      disturb: async () => {
        await terminate(pair[side], role);
      },
    });
  });
});

/** A worker in the middle of its copy: no other connection carries so much. */
const isCopy = ({ sent, received }: { sent: number; received: number }) =>
  sent > 200_000 || received > 600_000;

describe.each(KINDS)('%s: connections break in the middle of a chunk', (_, types) => {
  it.each(['source', 'target'] as const)('cut on the %s, those of the workers', async (side) => {
    await using pair = await pairOf(18, 17);
    const { proxy, options } = await proxyBefore(pair, side);
    await using _ = proxy;
    let cut = 0;
    await disturbed(pair, types, {
      ...options,
      disturb: async () => {
        await proxy.until(isCopy);
        cut = proxy.cut(isCopy);
      },
    });
    expect(cut).toBeGreaterThan(0);
  });

  it.each(['source', 'target'] as const)(
    'cut on the %s, all of them, the one that holds the snapshot too',
    async (side) => {
      await using pair = await pairOf(17, 18);
      const { proxy, options } = await proxyBefore(pair, side);
      await using _ = proxy;
      const cut: number[] = [];
      const events = await disturbed(pair, types, {
        ...options,
        disturb: async () => {
          cut.push(proxy.cut());
        },
      });
      expect(cut[0]).toBeGreaterThan(1);
      if (side === 'target') expect(events.filter(({ message }) => /new snapshot/.test(message))).toEqual([]);
    },
  );

  it.each(['source', 'target'] as const)(
    'silent on the %s, those of the workers: they are given up, their backends ended, their chunks copied again',
    async (side) => {
      await using pair = await pairOf(18, 18);
      const { proxy, options } = await proxyBefore(pair, side);
      await using _ = proxy;
      let silenced = 0;
      await disturbed(pair, types, {
        ...options,
        silentMs: 1_000,
        disturb: async () => {
          await proxy.until(isCopy);
          silenced = proxy.silence({ which: isCopy });
        },
      });
      expect(silenced).toBeGreaterThan(0);
    },
  );

  it.each(['source', 'target'] as const)(
    'silent on the %s, all of them, for a while: it goes on once the network has healed',
    async (side) => {
      await using pair = await pairOf(17, 17);
      const { proxy, options } = await proxyBefore(pair, side);
      await using _ = proxy;
      await disturbed(pair, types, {
        ...options,
        silentMs: 500,
        disturb: async () => {
          expect(proxy.silence()).toBeGreaterThan(0);
          // New ones pass: the old ones never speak again.
        },
      });
    },
  );
});

it.each(['source', 'target'] as const)(
  'a %s that falls silent for good ends the run with CONNECTION_LOST or CONNECT_FAILED, never a wait without end; once it is back the same command goes on',
  async (side) => {
    await using pair = await pairOf(18, 17);
    const { proxy, options } = await proxyBefore(pair, side, { connectTimeoutSeconds: 1 });
    await using _ = proxy;
    const migration = start(pair.source, pair.target, {
      types: FULL,
      chunkBytes: CHUNK,
      limits: SLOW,
      silentMs: 400,
      patienceMs: 2_000,
      ...options,
    });
    await until(migration, midway());
    proxy.silence({ newOnes: true });
    const failure = await failureOf(migration);
    expect(['CONNECTION_LOST', 'CONNECT_FAILED']).toContain(failure.code);
    expect(failure.facts.side).toBe(side);
    proxy.heal();
    await migrate(pair.source, pair.target, { types: FULL, chunkBytes: CHUNK });
    await expectIdentical(pair);
  },
);

it.each(['source', 'target'] as const)(
  'a connection that is over for us only, and not for the %s, leaves no lock behind that keeps us out',
  async (side) => {
    // Copied whole, and the target table locked against all others meanwhile.
    await using pair = await pairOf(
      17,
      18,
      `CREATE TABLE whole (id int PRIMARY KEY, v text); INSERT INTO whole SELECT i, repeat('w', 300) FROM generate_series(1, 15000) i`,
    );
    const { proxy, options } = await proxyBefore(pair, side);
    await using _ = proxy;
    const migration = start(pair.source, pair.target, { types: FULL, limits: SLOW, ...options });
    await proxy.until(isCopy);
    expect(proxy.abandon(isCopy)).toBeGreaterThan(0);
    migration.limit(NO_LIMITS);
    await migration.finished;
    await expectIdentical(pair);
  },
);

it('a server that works in silence for longer than that is left alone', async () => {
  await using pair = await pairOf(
    18,
    18,
    `CREATE TABLE slow (id int PRIMARY KEY, v text); INSERT INTO slow SELECT i, 'v' FROM generate_series(1, 5) i`,
  );
  const { source, target } = pair;
  // The target works for three seconds on the first row, and the source waits for a lock as long.
  await target.session.query(
    `CREATE TABLE slow (id int PRIMARY KEY, v text);
     CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.id = 1 THEN PERFORM pg_sleep(3); END IF; RETURN NEW; END';
     CREATE TRIGGER wait BEFORE INSERT ON slow FOR EACH ROW EXECUTE FUNCTION wait(); ALTER TABLE slow ENABLE ALWAYS TRIGGER wait`,
  );
  await using locker = await source.open();
  await locker.query('BEGIN; LOCK TABLE public.slow IN ACCESS EXCLUSIVE MODE');
  const migration = start(source, target, { types: ['full'], silentMs: 400 });
  setTimeout(() => void locker.query('COMMIT'), 2_500);
  await migration.finished;
  expect((await target.session.one('SELECT count(*)::text AS n FROM slow')).n).toBe('5');
  await expectIdentical(pair);
});

it('a copy that its limits hold back for longer than that is left alone', async () => {
  await using pair = await pairOf(
    17,
    18,
    `CREATE TABLE wide (id int PRIMARY KEY, v text); INSERT INTO wide SELECT i, repeat('w', 5000) FROM generate_series(1, 4) i`,
  );
  const events: MigrationEvent[] = [];
  const migration = start(pair.source, pair.target, {
    types: FULL,
    silentMs: 200,
    events,
    limits: { queriesPerSecond: null, rowsPerSecond: 1, bytesPerSecond: null },
  });
  await migration.finished;
  expect(events.filter(({ level }) => level === 'warn')).toEqual([]);
  await expectIdentical(pair);
});

describe('two runs of one migration at the same time', () => {
  it.each(KINDS)(
    '%s: the second takes over in the middle of the copy, the first ends, nothing is copied twice',
    async (_, types) => {
      await using pair = await pairOf(18, 15);
      const { source, target } = pair;
      {
        await using _ = types.includes('incremental') ? await writer(source) : null;
        const first = start(source, target, { types, chunkBytes: CHUNK, limits: SLOW });
        const firstEnd = first.finished.then(
          () => 'ended',
          (thrown: unknown) => (thrown instanceof AppError ? thrown.code : String(thrown)),
        );
        await until(first, midway());
        const second = start(source, target, { types, chunkBytes: CHUNK });
        await second.finished;
        expect(['FENCED', 'CONNECTION_LOST', 'SNAPSHOT_LOST']).toContain(await firstEnd);
        expect(chunksDone(second.progress())).toBeGreaterThan(20);
      }
      await migrate(source, target, { types });
      await expectIdentical(pair);
    },
  );

  it('started at the same moment, one of them does it all', async () => {
    await using pair = await pairOf(17, 17);
    const { source, target } = pair;
    const ends = await Promise.allSettled(
      [1, 2, 3].map(() => migrate(source, target, { types: FULL, chunkBytes: CHUNK })),
    );
    const codes = ends.flatMap((end) =>
      end.status === 'rejected'
        ? [end.reason instanceof AppError ? end.reason.code : String(end.reason)]
        : [],
    );
    // Whoever came last has it; the others were told so, or lost their sessions to it.
    expect(codes.filter((code) => !/^(FENCED|CONNECTION_LOST|SNAPSHOT_LOST)$/.test(code))).toEqual([]);
    await migrate(source, target, { types: FULL, chunkBytes: CHUNK });
    await expectIdentical(pair);
  });
});
