/**
 * Waits of a minute: a target that hangs while the source gives up on readers after five seconds, and a slot that somebody keeps whom we may
 * not end. They wait side by side.
 */
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { STREAM_TABLES } from '../scripts/faults/stream-tables.ts';
import { LSN_ZERO } from '../src/engine/change/lsn.ts';
import { pgoutputDecoder } from '../src/engine/pg/pgoutput/decoder.ts';
import { SlotStream } from '../src/engine/pg/slot/stream.ts';
import { disturbed, expectExact, openBooks, retries, writersOn, type Pair } from './apply-faults.ts';
import { terminate } from './copy-faults.ts';
import { freshDatabase, freshPair } from './database.ts';
import { follow, pause } from './follow.ts';
import { ownServer } from './own-server.ts';
import { proxyBefore, type TcpProxy } from './tcp-proxy.ts';

const HANG_MS = 60_000;
const TIMEOUT_MS = 240_000;

/** Makes the target hang; the result ends it. */
type Hang = (pair: Pair, proxy: TcpProxy) => Promise<() => Promise<void>>;

const HANGS: readonly (readonly [string, Hang])[] = [
  [
    'a lock on one of its tables',
    async ({ target }) => {
      const locker = await target.open({ role: 'locker' });
      await locker.query('BEGIN; LOCK TABLE public.written IN ACCESS EXCLUSIVE MODE');
      return () => locker.end();
    },
  ],
  [
    'a backend that stands still',
    async ({ target }) => {
      const { pid } = await target.session.one(
        `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'opendts:%:apply'`,
      );
      process.kill(Number(pid), 'SIGSTOP');
      return async () => void process.kill(Number(pid), 'SIGCONT');
    },
  ],
  [
    'a network that holds everything back',
    async (_, proxy) => {
      proxy.silence();
      return async () => proxy.heal();
    },
  ],
];

describe.concurrent('a target that hangs for a minute: the source with wal_sender_timeout = 5 s keeps the connection', () => {
  it.each(HANGS)(
    'for %s',
    async (_, hang) => {
      // A server of its own: while its transaction is open nobody else could create a slot on it.
      await using server = await ownServer(18);
      await using source = await freshDatabase(17);
      const pair = { source, target: server.database };
      const { session, name } = source;
      await session.query(STREAM_TABLES);
      await session.query(`ALTER DATABASE ${name} SET wal_sender_timeout = '5s'`);
      const { proxy, options } = await proxyBefore(pair, 'target');
      await using __ = proxy;
      const walsender = () =>
        session.query(
          `SELECT pid, backend_start::text AS since FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'opendts:%:stream'`,
        );
      const events = await disturbed(pair, {
        ...options,
        load: { pauseMs: 200, shares: { bulk: 0, moves: 0 } },
        disturb: async () => {
          let before = await walsender();
          for (; before.length === 0; before = await walsender()) await pause(20);
          const end = await hang(pair, proxy);
          // More than the queue and all buffers take: the source has to wait in the middle of it.
          await session.query(
            `INSERT INTO bulk SELECT g, repeat('x', 500) FROM generate_series(100000, 160000) g`,
          );
          await pause(HANG_MS);
          const after = await walsender();
          await end();
          expect(after).toEqual(before);
        },
      });
      expect(retries(events)).toBe(0);
    },
    TIMEOUT_MS,
  );
});

it.concurrent(
  'a slot that is kept for seconds by somebody whom we may not end: the stream waits and goes on',
  async () => {
    await using pair = await freshPair(18, 17);
    const { source } = pair;
    const role = `r_${randomBytes(4).toString('hex')}`;
    await source.session.query(
      `CREATE ROLE ${role} LOGIN REPLICATION PASSWORD 'only-here'; GRANT ALL ON DATABASE ${source.name} TO ${role};
     GRANT ALL ON SCHEMA public TO ${role}; SET ROLE ${role}`,
    );
    await source.session.query(STREAM_TABLES);
    await source.session.query('RESET ROLE');
    const following = await follow(source, pair.target, {
      sourceInfo: { ...source.info, user: role, password: 'only-here' },
    });
    await using books = await openBooks(pair);
    const writers = writersOn(source);
    await pause(300);
    const { slot, publication } = await source.session.one(
      `SELECT slot_name AS slot, pubname AS publication FROM pg_replication_slots, pg_publication WHERE database = current_database() AND slot_name LIKE 'dts%'`,
    );
    await terminate(source, 'stream');
    const session = await source.open({ replication: true, role: 'other' });
    const other = SlotStream.start(session, {
      slot: slot ?? '',
      decoder: pgoutputDecoder(publication ?? ''),
      from: LSN_ZERO,
      safe: LSN_ZERO,
      walSenderTimeoutMs: 60_000,
    });
    await other.next(new AbortController().signal);
    while (!following.events.some(({ message }) => message.includes('is in use by backend'))) await pause(50);
    await other[Symbol.asyncDispose]();
    await writers.stop();
    await following.catchUp();
    await expectExact(pair, books);
    await source.session.query(`DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`);
  },
  TIMEOUT_MS,
);
