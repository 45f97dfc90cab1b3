/** How the units of a task's tables follow from the books. */
import { describe, expect, it } from 'vitest';
import { AppError } from '../../../base/errors/app-error.ts';
import { chunkId, WHOLE, type Cut, type KeyCut } from '../../../engine/change/cut.ts';
import type { Begin } from '../../../engine/change/change.ts';
import { lsnFrom } from '../../../engine/change/lsn.ts';
import type { TableInfo } from '../../../engine/pg/catalog/tables/tables.ts';
import type { DoneChunk } from '../../../engine/target/books/done-chunks.ts';
import { parseSnapshot } from '../../../engine/change/snapshot.ts';
import type { Later } from '../../../engine/pipeline/unit.ts';
import { Copies } from './copies.ts';

const table: TableInfo = {
  schema: 's',
  name: 't',
  oid: 1,
  kind: 'r',
  isPartition: false,
  rootOid: null,
  persistence: 'permanent',
  replicaIdentity: 'default',
  identityColumns: ['id'],
  estimatedRows: 0,
  bytes: 1n << 40n,
  columns: [],
};
const key: KeyCut = { kind: 'key', column: 'id', order: 'integer', bounds: ['100'] };
const place: Cut = { kind: 'ctid', filenode: '1', bounds: [5] };

function done(cut: Cut, chunk: number, snapshot: string | null): DoneChunk {
  const readUntil = snapshot === null ? null : lsnFrom(1n);
  return { id: chunkId(table, cut, chunk), snapshot, readUntil, rows: 0n, skipped: 0n, bytes: 0n };
}

function load(cut: Cut, chunks: readonly (DoneChunk | null)[], inEveryKey = true): Copies {
  const copies = new Copies((one) => one);
  copies.load([{ table, cut, isCut: cut !== WHOLE, chunks }], () => inEveryKey);
  return copies;
}

const later: Later = { text: '10:10:', snapshot: parseSnapshot('10:10:'), readUntil: lsnFrom(100n) };
const unseen: Begin = { kind: 'begin', xid: 11, finalLsn: lsnFrom(50n), commitTime: 0n };
const failure = new AppError('TABLE_CHANGED', { table: 's.t' });
const unitsOf = (copies: Copies) => copies.tables.get('s\0t')?.units ?? [];

describe('the units of a table', () => {
  it('are one where all its ranges are of one moment, or it is not cut by a key', () => {
    const one = load(key, [done(key, 0, '10:10:'), done(key, 1, '10:10:')]);
    expect(unitsOf(one)).toHaveLength(1);
    expect(one.tables.get('s\0t')?.cut).toBeNull();
    expect(unitsOf(load(place, [done(place, 0, null), done(place, 1, null)]))).toHaveLength(1);
    expect(unitsOf(load(key, [done(key, 0, null), done(key, 1, '10:10:')]))).toHaveLength(2);
  });

  it('are its ranges where each may be of its own moment, and else the whole', () => {
    expect(unitsOf(load(key, [null, done(key, 1, null)])).map((unit) => unit.isDone)).toEqual([false, true]);
    expect(unitsOf(load(key, [null, done(key, 1, null)], false)).map((unit) => unit.isDone)).toEqual([false]);
    expect(unitsOf(load(place, [null, done(place, 1, null)])).map((unit) => unit.isDone)).toEqual([false]);
  });

  it('that are cut by place are done when the last of their chunks is', () => {
    const copies = load(place, [null, null]);
    const [first, second] = [chunkId(table, place, 0), chunkId(table, place, 1)];
    copies.bindAll(null);
    expect(copies.claim(first)).toBe(true);
    expect(copies.isBegun(second)).toBe(true);
    expect(copies.claim(second)).toBe(true);
    copies.finish(second);
    expect(unitsOf(copies)[0]?.isDone).toBe(false);
    copies.finish(first);
    expect(unitsOf(copies)[0]?.isDone).toBe(true);
    expect(copies.isComplete).toBe(true);
  });

  it('of a table that is given up are not copied in this run', () => {
    const copies = load(WHOLE, [null]);
    copies.giveUp('s.t', failure);
    copies.bindAll(null);
    expect(copies.claim(chunkId(table, WHOLE, 0))).toBe(false);
    expect(copies.isComplete).toBe(true);
  });

  it('that changes keep sending back are begun together with the next snapshot', () => {
    const [first, second] = [chunkId(table, key, 0), chunkId(table, key, 1)];
    const copies = load(key, [null, null]);
    copies.bindAll(later);
    unitsOf(copies)[1]?.judge(unseen);
    expect(copies.claim(second)).toBe(false);
    copies.release();
    copies.bindAll(later, { units: 1, bytes: 0n });
    expect([copies.isBegun(first), copies.isBegun(second)]).toEqual([false, true]);
    expect(unitsOf(copies)[1]?.judge(unseen)).toBe('wait');
    expect(copies.claim(second)).toBe(true);
  });

  it('of a table that fails keep nobody waiting, once none of their chunks can commit any more', () => {
    const [first, second] = [chunkId(table, place, 0), chunkId(table, place, 1)];
    const copies = load(place, [null, null]);
    copies.bindAll(later);
    copies.claim(first);
    copies.claim(second);
    copies.giveUp('s.t', failure);
    copies.leave(first);
    expect(unitsOf(copies)[0]?.judge(unseen)).toBe('wait');
    copies.leave(second);
    expect(unitsOf(copies)[0]?.judge(unseen)).toBe('in-copy');
  });

  it('of a table that is about to be emptied wait for what the books will say', () => {
    const copies = load(WHOLE, [done(WHOLE, 0, null)]);
    expect(unitsOf(copies)[0]?.judge(unseen)).toBe('apply');
    copies.unsettle([table]);
    expect(unitsOf(copies)[0]?.judge(unseen)).toBe('in-copy');
    expect([...copies.notSettled]).toEqual(['s\0t']);
    copies.load([{ table, cut: WHOLE, isCut: false, chunks: [done(WHOLE, 0, null)] }], () => true);
    expect(unitsOf(copies)[0]?.judge(unseen)).toBe('apply');
    expect([...copies.notSettled]).toEqual([]);
  });
});
