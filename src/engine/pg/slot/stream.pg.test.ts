/** The change stream of a real slot. */
import { describe, expect, it } from 'vitest';
import { sleep } from '../../../base/runtime/sleep.ts';
import { freshDatabase, type TestDatabase } from '../../../../test/database.ts';
import { formatLsn, parseLsn, type Lsn } from '../../change/lsn.ts';
import { literal } from '../ident.ts';
import { pgoutputDecoder } from '../pgoutput/decoder.ts';
import { SlotStream, type StreamItem } from './stream.ts';
import { firstOf } from '../../../../test/matrix.ts';

const NEVER = new AbortController().signal;

interface Slot {
  readonly name: string;
  readonly from: Lsn;
}

/** A table `t`, published, with a slot behind it. Slot names are one namespace per server. */
async function prepare(db: TestDatabase): Promise<Slot> {
  const name = `slot_${db.name}`;
  await db.session.query('CREATE TABLE t (id bigint PRIMARY KEY, v text); CREATE PUBLICATION p FOR TABLE t');
  const { lsn } = await db.session.one(
    `SELECT lsn::text FROM pg_create_logical_replication_slot(${literal(name)}, 'pgoutput')`,
  );
  return { name, from: parseLsn(lsn ?? '') };
}

async function open(db: TestDatabase, slot: Slot, walSenderTimeoutMs = 60_000): Promise<SlotStream> {
  const session = await db.open({ replication: true });
  return SlotStream.start(session, {
    slot: slot.name,
    decoder: pgoutputDecoder('p'),
    from: slot.from,
    safe: slot.from,
    walSenderTimeoutMs,
  });
}

async function confirmedOf(db: TestDatabase, slot: Slot): Promise<Lsn> {
  const row = await db.session.one(
    'SELECT confirmed_flush_lsn::text AS at FROM pg_replication_slots WHERE slot_name = $1',
    [slot.name],
  );
  return parseLsn(row.at ?? '');
}

type Kind<K extends StreamItem['kind']> = Extract<StreamItem, { kind: K }>;

/** Reads until the Nth commit and hands every item to `onItem`. */
async function readCommits(
  stream: SlotStream,
  count: number,
  onItem: (item: StreamItem) => void = () => {},
): Promise<Kind<'commit'>[]> {
  const commits: Kind<'commit'>[] = [];
  while (commits.length < count) {
    const item = await stream.next(NEVER);
    onItem(item);
    if (item.kind === 'commit') commits.push(item);
  }
  return commits;
}

/** Waits until the slot's position is this one; whatever it was on the way is in `seen`. */
async function waitConfirmed(db: TestDatabase, slot: Slot, wanted: Lsn, seen: Lsn[]): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const at = await confirmedOf(db, slot);
    seen.push(at);
    if (at === wanted) return;
    await sleep(50);
  }
  throw new Error(`the slot is at ${formatLsn(seen.at(-1) ?? wanted)} instead of ${formatLsn(wanted)}`);
}

describe.each(firstOf(2, [12, 18, 15, 17] as const))('the stream of a slot on PostgreSQL %i', (major) => {
  it('hands transactions out whole and in the order of their commits, however they ran', async () => {
    await using db = await freshDatabase(major);
    const slot = await prepare(db);
    await using first = await db.open();
    await using second = await db.open();
    await first.query('BEGIN; INSERT INTO public.t VALUES (1), (2)');
    await second.query('BEGIN; INSERT INTO public.t VALUES (10)');
    await first.query(
      "SAVEPOINT s; INSERT INTO public.t VALUES (3, 'gone'); ROLLBACK TO s; INSERT INTO public.t VALUES (4)",
    );
    await second.query('INSERT INTO public.t VALUES (11); COMMIT');
    await first.query('COMMIT');
    await db.session.query('BEGIN; INSERT INTO t VALUES (99); ROLLBACK; TRUNCATE t');
    await using stream = await open(db, slot);
    const story: string[] = [];
    let last = 0n;
    const commits = await readCommits(stream, 3, (item) => {
      if (item.kind === 'insert') story.push(String(item.new[0]));
      if (item.kind === 'begin' || item.kind === 'commit' || item.kind === 'truncate') story.push(item.kind);
      if (item.kind !== 'begin') return;
      expect(item.finalLsn).toBeGreaterThan(last);
      last = item.finalLsn;
    });
    expect(story.join(' ')).toBe('begin 10 11 commit begin 1 2 4 commit begin truncate commit');
    for (const { commitLsn, endLsn } of commits) expect(endLsn).toBeGreaterThan(commitLsn);
  });

  it('moves the slot to what was confirmed and never further, whatever was read', async () => {
    await using db = await freshDatabase(major);
    const slot = await prepare(db);
    const seen: Lsn[] = [];
    const stream = await open(db, slot, 3_000);
    for (const id of [1, 2, 3]) await db.session.query(`INSERT INTO t VALUES (${id})`);
    const [first, second] = await readCommits(stream, 3);
    await sleep(1_200);
    expect(await confirmedOf(db, slot)).toBe(slot.from);
    stream.confirm(first!.endLsn);
    await waitConfirmed(db, slot, first!.endLsn, seen);
    stream.askForPosition();
    await sleep(1_200);
    expect(await confirmedOf(db, slot)).toBe(first!.endLsn);
    stream.confirm(second!.endLsn);
    await stream[Symbol.asyncDispose]();
    await waitConfirmed(db, slot, second!.endLsn, seen);
    expect(seen.filter((at) => ![slot.from, first!.endLsn, second!.endLsn].includes(at))).toEqual([]);
    // The third is sent again to who comes next; the confirmed ones are not.
    await using again = await open(db, { ...slot, from: second!.endLsn });
    const ids: unknown[] = [];
    await readCommits(again, 1, (item) => item.kind === 'insert' && ids.push(item.new[0]));
    expect(ids).toEqual(['3']);
  });

  it('outlives wal_sender_timeout while nobody reads, holds little, and then hands everything out', async () => {
    await using db = await freshDatabase(major);
    await db.session.query(`ALTER DATABASE ${db.name} SET wal_sender_timeout = '2s'`);
    const slot = await prepare(db);
    await using stream = await open(db, slot, 2_000);
    expect((await stream.next(NEVER)).kind).toBe('keepalive');
    const before = process.memoryUsage.rss();
    await db.session.query("INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(1, 100000) i");
    let most = 0;
    for (let waited = 0; waited < 6_000; waited += 100) {
      await sleep(100);
      most = Math.max(most, process.memoryUsage.rss() - before);
    }
    expect(most).toBeLessThan(60_000_000);
    let next = 1n;
    await readCommits(stream, 1, (item) => {
      if (item.kind !== 'insert') return;
      if (item.new[0] !== String(next)) throw new Error(`row ${String(item.new[0])} instead of ${next}`);
      next++;
    });
    expect(next).toBe(100_001n);
  });
});

describe('the stream of a slot', () => {
  it('describes a table before its changes, and again after it changed', async () => {
    await using db = await freshDatabase(18);
    const slot = await prepare(db);
    await db.session.query(
      "INSERT INTO t VALUES (1, 'a'); ALTER TABLE t ADD COLUMN extra int; INSERT INTO t VALUES (2, 'b', 3)",
    );
    await using stream = await open(db, slot);
    const widths: (readonly [string, number])[] = [];
    let inserts = 0;
    while (inserts < 2) {
      const item = await stream.next(NEVER);
      if (item.kind === 'relation') widths.push([item.relation.name, item.relation.columns.length]);
      if (item.kind === 'insert') {
        inserts++;
        expect(item.relation.columns).toHaveLength(item.new.length);
      }
    }
    expect(widths).toEqual([
      ['t', 2],
      ['t', 3],
    ]);
  });

  it('fails with the error of the server when there is no such slot', async () => {
    await using db = await freshDatabase(18);
    await using stream = await open(db, { name: 'missing', from: parseLsn('0/1') });
    await expect(stream.next(NEVER)).rejects.toMatchObject({ sqlstate: '42704' });
  });
});
