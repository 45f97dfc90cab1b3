/** Messages as the servers wrote them (12 to 18 write the same), and what they are taken for. */
import { describe, expect, it } from 'vitest';
import { UNCHANGED, type StreamMessage } from '../../change/change.ts';
import { lsnFrom } from '../../change/lsn.ts';
import { nameKey, type ReplicaIdentity } from '../../change/relation.ts';
import { parseSnapshot } from '../../change/snapshot.ts';
import { TestDecoder } from './decode.ts';
import type { Unjudged } from './known-tables.ts';
import type { DescribedTable, Description, MisplacedTable } from './described-table.ts';
import type { Marks } from './marks.ts';

const latin1 = (text: string) => Buffer.from(text, 'utf8').toString('latin1');

function described(name: string, identity: ReplicaIdentity, columns: Record<string, string>): DescribedTable {
  return {
    oid: 4711,
    schema: 'shop',
    name,
    replicaIdentity: identity,
    columns: Object.entries(columns).map(([written, type]) => ({
      name: written.replace(/^"(.*)"$/, '$1').replaceAll('""', '"'),
      typeOid: TYPES[type] ?? 0,
      typmod: -1,
      isKey: identity !== 'full' && identity !== 'nothing' && written === 'id',
      head: latin1(` ${written}[${type}]:`),
      isVirtual: false,
    })),
  };
}

const TYPES: Readonly<Record<string, number>> = { integer: 23, text: 25, boolean: 16, 'integer[]': 1007 };
const ITEM = described('item', 'default', { id: 'integer', name: 'text', '"old-key"': 'boolean' });
const LOG = described('log', 'full', { a: 'integer', b: 'text' });
const BARE = described('bare', 'default', { a: 'integer' });
const NONE = described('none', 'full', {});
const ODD = described('Ta"b:l,e', 'full', { '"sp ace"': '"we.ird ""s"."t]: \'x"[]', 'b"': 'x' });

interface Made {
  (text: string, at?: bigint): StreamMessage | Unjudged;
  readonly decoder: TestDecoder;
}

function decoder(
  tables: readonly (DescribedTable | MisplacedTable)[] = [ITEM, LOG, BARE, NONE, ODD],
  snapshot = '1000:1000:',
  marks: Marks = { first: lsnFrom(100n), after: new Map() },
): Made {
  const description: Description = {
    tables: new Map(tables.map((table) => [nameKey(table), table] as const)),
    misplaced: tables.find((table): table is MisplacedTable => 'problem' in table) ?? null,
    others: new Set([nameKey({ schema: 'other', name: 'one' })]),
    placement: { snapshot: parseSnapshot(snapshot), print: '' },
    typeOids: new Map(Object.entries(TYPES)),
  };
  const one = new TestDecoder(description, marks);
  return Object.assign(
    (text: string, at = 0n) => one.decode({ kind: 'text', text: latin1(text), at: lsnFrom(at) }),
    { decoder: one },
  );
}

const item = expect.objectContaining({ oid: 4711, schema: 'shop', name: 'item', replicaIdentity: 'default' });

describe('a message of test_decoding', () => {
  it('begins and ends a transaction; where it ends is known at its commit only', () => {
    const decode = decoder();
    expect(decode('BEGIN 504')).toEqual({
      kind: 'begin',
      finalLsn: 100n,
      isAtLeast: true,
      commitTime: 0n,
      xid: 504,
    });
    expect(decode('COMMIT 504 (at 2026-11-25 02:30:00.5963+00)', 250n)).toEqual({
      kind: 'commit',
      commitLsn: 100n,
      endLsn: 250n,
      commitTime: 848_889_000_596_300n,
    });
    expect(decode('BEGIN 505')).toMatchObject({ finalLsn: 250n });
  });

  it('inserts a row: quotes are doubled, nothing else is escaped, words without quotes are not text', () => {
    const decode = decoder();
    expect(
      decode(
        `table shop.item: INSERT: id[integer]:-1 name[text]:'it''s\n\\ '' "old-key"[boolean]:x' "old-key"[boolean]:true`,
      ),
    ).toEqual({
      kind: 'insert',
      relation: item,
      new: ['-1', `it's\n\\ ' "old-key"[boolean]:x`, 't'],
    });
    expect(
      decode(`table shop.item: INSERT: id[integer]:2 name[text]:'null' "old-key"[boolean]:null`),
    ).toMatchObject({
      new: ['2', 'null', null],
    });
    expect(
      decode(`table shop.item: INSERT: id[integer]:3 name[text]:'' "old-key"[boolean]:false`),
    ).toMatchObject({
      new: ['3', '', 'f'],
    });
  });

  it('keeps text as its bytes', () => {
    const decode = decoder();
    expect(
      decode(`table shop.item: INSERT: id[integer]:1 name[text]:'żółw' "old-key"[boolean]:null`),
    ).toMatchObject({
      new: ['1', latin1('żółw'), null],
    });
  });

  it('updates a row, by its old key where that changed', () => {
    const decode = decoder();
    expect(
      decode(
        `table shop.item: UPDATE: id[integer]:1 name[text]:unchanged-toast-datum "old-key"[boolean]:null`,
      ),
    ).toEqual({
      kind: 'update',
      relation: item,
      old: null,
      new: ['1', UNCHANGED, null],
    });
    expect(
      decode(
        `table shop.item: UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:2 name[text]:'unchanged-toast-datum new-tuple:' "old-key"[boolean]:null`,
      ),
    ).toEqual({
      kind: 'update',
      relation: item,
      old: ['1', null, null],
      new: ['2', 'unchanged-toast-datum new-tuple:', null],
    });
  });

  it('names a row by all its columns under FULL, where those that are NULL are not written', () => {
    const decode = decoder();
    expect(
      decode(`table shop.log: UPDATE: old-key: b[text]:'x' new-tuple: a[integer]:1 b[text]:null`),
    ).toMatchObject({
      old: [null, 'x'],
      new: ['1', null],
    });
    expect(decode('table shop.log: DELETE: a[integer]:1')).toMatchObject({
      kind: 'delete',
      old: ['1', null],
    });
    expect(decode('table shop.log: DELETE:')).toMatchObject({ kind: 'delete', old: [null, null] });
    expect(decode('table shop.none: INSERT:')).toMatchObject({ kind: 'insert', new: [] });
  });

  it('deletes by the key', () => {
    expect(decoder()('table shop.item: DELETE: id[integer]:7')).toEqual({
      kind: 'delete',
      relation: item,
      old: ['7', null, null],
    });
  });

  it('reads names and types with any character in them', () => {
    const row = `"sp ace"["we.ird ""s"."t]: 'x"[]]:'{a}' b"[x]:B'101'`;
    expect(decoder()(`table shop."Ta""b:l,e": INSERT: ${row}`)).toMatchObject({
      relation: { name: 'Ta"b:l,e' },
      new: ['{a}', '101'],
    });
  });

  it('empties tables', () => {
    expect(
      decoder()('table shop.item, shop."Ta""b:l,e", other.one: TRUNCATE: restart_seqs cascade'),
    ).toMatchObject({
      kind: 'truncate',
      relations: [{ name: 'item' }, { name: 'Ta"b:l,e' }, { schema: 'other', name: 'one' }],
      restartIdentity: true,
    });
    expect(decoder()('table shop.item: TRUNCATE: (no-flags)')).toMatchObject({ restartIdentity: false });
  });

  it('of a table that is not selected is not looked into', () => {
    expect(decoder()('table other.one: INSERT: whatever')).toMatchObject({
      kind: 'insert',
      relation: { schema: 'other', name: 'one' },
      new: [],
    });
    expect(decoder()('table other.one: DELETE: (no-tuple-data)')).toMatchObject({ kind: 'delete' });
  });

  it('of the kind that applications write is nothing to us', () => {
    expect(decoder()('message: transactional: 1 prefix: p, sz: 9 content:BEGIN 504')).toEqual({
      kind: 'other',
    });
  });
});

describe('a row whose columns are not those of the catalog', () => {
  it('describes itself, if the key is still the same', () => {
    const decode = decoder();
    decode('BEGIN 504');
    expect(decode(`table shop.item: INSERT: id[integer]:1 dropped[integer[]]:'{1}'`)).toMatchObject({
      relation: {
        oid: 4711,
        columns: [
          { name: 'id', typeOid: 23, isKey: true },
          { name: 'dropped', typeOid: 1007, isKey: false },
        ],
      },
      new: ['1', '{1}'],
    });
    expect(
      decode(
        `table shop.item: UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:2 dropped[integer[]]:null`,
      ),
    ).toMatchObject({
      old: ['1', null],
      new: ['2', null],
    });
    // And then one in today's shape.
    expect(
      decode(`table shop.item: INSERT: id[integer]:1 name[text]:'x' "old-key"[boolean]:null`),
    ).toMatchObject({
      new: ['1', 'x', null],
    });
  });

  const UNEXPLAINED = [
    `table shop.item: INSERT: id[bigint]:1 name[text]:'x'`,
    'table shop.item: DELETE: nr[integer]:1',
    'table shop.item: DELETE: (no-tuple-data)',
    `table shop.item: DELETE: name[text]:'x'`,
    'table shop.log: UPDATE: a[integer]:1 b[text]:null',
    'table shop.bare: UPDATE: a[integer]:1',
    `table shop.item: UPDATE: old-key: name[text]:'x' new-tuple: id[integer]:1 name[text]:'y' "old-key"[boolean]:null`,
  ];

  it.each(UNEXPLAINED)('has a problem where nobody knows which row is meant: %s', (text) => {
    const decode = decoder();
    decode('BEGIN 504');
    expect(decode(text)).toMatchObject({ kind: 'unjudged', relation: { oid: 4711 } });
  });

  it.each(UNEXPLAINED)('is read again where the catalog may be the older one: %s', (text) => {
    const decode = decoder(undefined, '500:510:504');
    decode('BEGIN 504');
    expect(() => decode(text)).toThrow('is read again');
  });
});

describe('a table that is not in its place', () => {
  const gone = { oid: 4712, schema: 'shop', name: 'gone', problem: 'it is called shop.other now' };

  it('has a problem under its name, and under any name that no table has now', () => {
    const decode = decoder([ITEM, gone]);
    expect(decode('table shop.gone: INSERT: a[integer]:1')).toMatchObject({
      kind: 'unjudged',
      relation: { oid: 4712, name: 'gone' },
      error: { message: expect.stringContaining('it is called shop.other now') },
    });
    expect(decode('table shop.between: DELETE: a[integer]:1')).toMatchObject({
      kind: 'unjudged',
      relation: { oid: 4712, name: 'gone' },
      error: { message: expect.stringContaining('it may have been called shop.between for a while') },
    });
    expect(decode('table other.one: DELETE: a[integer]:1')).toMatchObject({
      kind: 'delete',
      relation: { oid: 0, name: 'one' },
    });
  });

  it('does not keep others from being emptied with it', () => {
    const decode = decoder([ITEM, gone]);
    expect(decode('table shop.gone, shop.item: TRUNCATE: (no-flags)')).toMatchObject({
      kind: 'unjudged',
      relation: { oid: 4712 },
    });
    expect(decode.decoder.rest).toMatchObject([{ kind: 'truncate', relations: [{ name: 'item' }] }]);
  });
});

describe('recorded positions ahead of the stream', () => {
  it('are the bound behind the last transaction before them', () => {
    const after = new Map([[505, lsnFrom(400n)]]);
    const decode = decoder(undefined, undefined, { first: lsnFrom(150n), after });
    expect(decode('BEGIN 504')).toMatchObject({ finalLsn: 150n });
    expect(decode('BEGIN 504')).not.toHaveProperty('isAtLeast');
    decode('COMMIT 504 (at 2026-11-25 02:30:00+00)', 200n);
    expect(decode('BEGIN 505')).toMatchObject({ finalLsn: 200n });
    decode('COMMIT 505 (at 2026-11-25 02:30:00+00)', 300n);
    expect(decode('BEGIN 506')).toMatchObject({ finalLsn: 400n, isAtLeast: true });
  });
});

describe('what does not make sense', () => {
  it.each([
    '',
    'PREPARE TRANSACTION',
    'BEGIN x',
    'COMMIT 504',
    'table shop.item',
    'table shop.item: UPSERT: id[integer]:1',
    'table shop.item: INSERT: (no-tuple-data)',
    'table shop.item: INSERT: id[integer]',
    'table shop.item: INSERT: id[integer]:',
    `table shop.item: INSERT: id[integer]:1 name[text]:'MARKER`,
    `table shop.item: INSERT: id[integer]:1 name[text]:'MARKER'x "old-key"[boolean]:null`,
    `table shop."item: INSERT: MARKER`,
    'table shop.item: INSERT: id[integer:1',
  ])('ends the stream, without a value in the error: %j', (text) => {
    const decode = decoder();
    let message = '';
    try {
      decode(text);
    } catch (thrown) {
      message = thrown instanceof Error ? thrown.message : '';
    }
    expect(message).toContain('The change stream does not make sense');
    expect(message).not.toContain('MARKER');
  });
});
