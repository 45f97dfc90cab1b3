/** How the units of a task's tables follow from the books. */
import { describe, expect, it } from 'vitest';
import { chunkId, WHOLE, type Cut, type KeyCut } from '../../../engine/change/cut.ts';
import { lsnFrom } from '../../../engine/change/lsn.ts';
import type { TableInfo } from '../../../engine/pg/catalog/tables.ts';
import type { DoneChunk } from '../../../engine/target/done-chunks.ts';
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
  bytes: 0n,
  columns: [],
};
const key: KeyCut = { kind: 'key', column: 'id', order: 'integer', bounds: ['100'] };
const place: Cut = { kind: 'ctid', filenode: '1', bounds: [5] };

function done(cut: Cut, chunk: number, snapshot: string | null): DoneChunk {
  const readUntil = snapshot === null ? null : lsnFrom(1n);
  return { id: chunkId(table, cut, chunk), snapshot, readUntil, rows: 0n, skipped: 0n, bytes: 0n };
}

function load(cut: Cut, chunks: readonly (DoneChunk | null)[], inEveryKey = true): Copies {
  const copies = new Copies();
  copies.load([{ table, cut, isCut: cut !== WHOLE, chunks }], () => inEveryKey);
  return copies;
}

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
    copies.giveUp('s.t');
    copies.bindAll(null);
    expect(copies.claim(chunkId(table, WHOLE, 0))).toBe(false);
    expect(copies.isComplete).toBe(true);
  });
});
