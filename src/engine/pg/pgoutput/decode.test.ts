/** The pgoutput decoder against an encoder written from the protocol's documentation. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppError } from '../../../base/errors/app-error.ts';
import { asText, byteText, readable, UNCHANGED, type Cell, type StreamMessage } from '../../change/change.ts';
import { lsnFrom } from '../../change/lsn.ts';
import type { Relation, ReplicaIdentity } from '../../change/relation.ts';
import { decode, RelationCache } from './decode.ts';

const int = (bytes: 1 | 2 | 4, value: number): Buffer => {
  const buffer = Buffer.alloc(bytes);
  buffer.writeUIntBE(value, 0, bytes);
  return buffer;
};
const int64 = (value: bigint): Buffer => {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64BE(value);
  return buffer;
};
const text = (value: string): Buffer => Buffer.from(`${value}\0`);
const IDENTITY = { default: 'd', nothing: 'n', full: 'f', index: 'i' } as const;

function encodeTuple(cells: readonly Cell[]): Buffer {
  const parts = cells.map((cell) => {
    if (cell === null) return Buffer.from('n');
    if (cell === UNCHANGED) return Buffer.from('u');
    const bytes = Buffer.from(asText(cell), 'latin1');
    return Buffer.concat([Buffer.from('t'), int(4, bytes.length), bytes]);
  });
  return Buffer.concat([int(2, cells.length), ...parts]);
}

function encodeRelation(relation: Relation): Buffer {
  const columns = relation.columns.map(({ isKey, name, typeOid, typmod }) =>
    Buffer.concat([int(1, isKey ? 1 : 0), text(name), int(4, typeOid), int(4, typmod >>> 0)]),
  );
  const schema = relation.schema === 'pg_catalog' ? '' : relation.schema;
  return Buffer.concat([
    Buffer.from('R'),
    int(4, relation.oid),
    text(schema),
    text(relation.name),
    Buffer.from(IDENTITY[relation.replicaIdentity]),
    int(2, relation.columns.length),
    ...columns,
  ]);
}

function encode(message: StreamMessage): Buffer {
  switch (message.kind) {
    case 'begin':
      return Buffer.concat([
        Buffer.from('B'),
        int64(message.finalLsn),
        int64(message.commitTime),
        int(4, message.xid),
      ]);
    case 'commit':
      return Buffer.concat([
        Buffer.from('C\0'),
        int64(message.commitLsn),
        int64(message.endLsn),
        int64(message.commitTime),
      ]);
    case 'relation':
      return encodeRelation(message.relation);
    case 'insert':
      return Buffer.concat([
        Buffer.from('I'),
        int(4, message.relation.oid),
        Buffer.from('N'),
        encodeTuple(message.new),
      ]);
    case 'update': {
      const tag = message.relation.replicaIdentity === 'full' ? 'O' : 'K';
      const old = message.old === null ? [] : [Buffer.from(tag), encodeTuple(message.old)];
      return Buffer.concat([
        Buffer.from('U'),
        int(4, message.relation.oid),
        ...old,
        Buffer.from('N'),
        encodeTuple(message.new),
      ]);
    }
    case 'delete': {
      const tag = message.relation.replicaIdentity === 'full' ? 'O' : 'K';
      return Buffer.concat([
        Buffer.from('D'),
        int(4, message.relation.oid),
        Buffer.from(tag),
        encodeTuple(message.old),
      ]);
    }
    case 'truncate':
      return Buffer.concat([
        Buffer.from('T'),
        int(4, message.relations.length),
        int(1, message.restartIdentity ? 2 : 0),
        ...message.relations.map(({ oid }) => int(4, oid)),
      ]);
    case 'other':
      return Buffer.from('O');
  }
}

const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const u32 = fc.nat(0xffffffff);
const name = fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }).filter((s) => !s.includes('\0'));
const relation: fc.Arbitrary<Relation> = fc.record({
  oid: u32,
  schema: fc.oneof(name, fc.constant('pg_catalog')),
  name,
  replicaIdentity: fc.constantFrom<ReplicaIdentity>('default', 'nothing', 'full', 'index'),
  columns: fc.array(
    fc.record({
      name,
      typeOid: u32,
      typmod: fc.integer({ min: -1, max: 0x7fffffff }),
      isKey: fc.boolean(),
    }),
    { maxLength: 6 },
  ),
});
const cell: fc.Arbitrary<Cell> = fc.oneof(
  fc.constant(null),
  fc.constant<typeof UNCHANGED>(UNCHANGED),
  fc.constant(byteText('')),
  fc.string({ unit: 'grapheme', maxLength: 20 }).map(byteText),
);
const tuple = fc.array(cell, { maxLength: 8 });
const message: fc.Arbitrary<StreamMessage> = fc.oneof(
  fc.record({ kind: fc.constant('begin'), finalLsn: u64.map(lsnFrom), commitTime: u64, xid: u32 }),
  fc.record({
    kind: fc.constant('commit'),
    commitLsn: u64.map(lsnFrom),
    endLsn: u64.map(lsnFrom),
    commitTime: u64,
  }),
  fc.record({ kind: fc.constant('relation'), relation }),
  fc.record({ kind: fc.constant('insert'), relation, new: tuple }),
  fc.record({ kind: fc.constant('update'), relation, new: tuple, old: fc.option(tuple) }),
  fc.record({ kind: fc.constant('delete'), relation, old: tuple }),
  fc.record({
    kind: fc.constant('truncate'),
    relations: fc.uniqueArray(relation, { maxLength: 4, selector: ({ oid }) => oid }),
    restartIdentity: fc.boolean(),
  }),
);

/** A cache that knows every relation the message speaks of. */
function described(of: StreamMessage): RelationCache {
  const list = of.kind === 'truncate' ? of.relations : 'relation' in of ? [of.relation] : [];
  return new RelationCache(list.map((one) => [one.oid, one]));
}

function failureOf(bytes: Buffer, cache: RelationCache): unknown {
  try {
    decode(bytes, cache);
  } catch (thrown) {
    return thrown;
  }
  return null;
}

/** With the cells of rows that come packed. */
function plain(seen: StreamMessage): StreamMessage {
  if (seen.kind === 'insert') return { kind: seen.kind, relation: seen.relation, new: seen.new };
  if (seen.kind === 'delete') return { kind: seen.kind, relation: seen.relation, old: seen.old };
  if (seen.kind !== 'update') return seen;
  return { kind: seen.kind, relation: seen.relation, new: seen.new, old: seen.old };
}

describe('the pgoutput decoder', () => {
  it('reads back every kind of message as it was written', () => {
    fc.assert(
      fc.property(message, (sent) => {
        expect(plain(decode(encode(sent), described(sent)))).toEqual(sent);
      }),
      { numRuns: 1000 },
    );
  });

  it('keeps a Relation message for the changes that follow, and replaces it by a later one', () => {
    const cache = new RelationCache();
    const first: Relation = {
      oid: 16_400,
      schema: 'sales',
      name: 'order',
      replicaIdentity: 'default',
      columns: [{ name: 'id', typeOid: 23, typmod: -1, isKey: true }],
    };
    const second: Relation = { ...first, name: 'orders' };
    const insert = (of: Relation): StreamMessage => ({
      kind: 'insert',
      relation: of,
      new: [byteText('1')],
    });
    decode(encodeRelation(first), cache);
    expect(plain(decode(encode(insert(first)), cache))).toEqual(insert(first));
    decode(encodeRelation(second), cache);
    expect(plain(decode(encode(insert(first)), cache))).toEqual(insert(second));
  });

  it('keeps the columns of tables that are alike once, and tells apart what differs in anything', () => {
    const cache = new RelationCache();
    const id = { name: 'id', typeOid: 23, typmod: -1, isKey: true };
    const columnsOf = (oid: number, columns: Relation['columns']) => {
      const of: Relation = { oid, schema: 's', name: `t${oid}`, replicaIdentity: 'default', columns };
      expect(decode(encodeRelation(of), cache)).toEqual({ kind: 'relation', relation: of });
      return cache.get(oid)?.columns;
    };
    const first = columnsOf(1, [id]);
    expect(columnsOf(2, [id])).toBe(first);
    for (const [at, other] of [{ name: 'ie' }, { typeOid: 20 }, { typmod: 8 }, { isKey: false }].entries())
      expect(columnsOf(3 + at, [{ ...id, ...other }])).not.toBe(first);
    expect(columnsOf(9, [id, id])).not.toBe(first);
  });

  it('tells null, unchanged and empty apart, and keeps characters of several bytes', () => {
    const of: Relation = { oid: 1, schema: 's', name: 't', replicaIdentity: 'full', columns: [] };
    const sent: StreamMessage = {
      kind: 'insert',
      relation: of,
      new: [null, UNCHANGED, byteText(''), byteText('Grüße, 世界 🐘')],
    };
    const seen = decode(encode(sent), described(sent));
    if (seen.kind !== 'insert') throw new Error('not an insert');
    expect(seen.new.slice(0, 3)).toEqual([null, UNCHANGED, '']);
    expect(readable(byteText('Grüße, 世界 🐘'))).toBe('Grüße, 世界 🐘');
    expect(seen.new[3]).toHaveLength(Buffer.byteLength('Grüße, 世界 🐘'));
  });

  it('calls an empty schema pg_catalog', () => {
    const of: Relation = { oid: 1, schema: 'pg_catalog', name: 't', replicaIdentity: 'full', columns: [] };
    expect(encodeRelation(of)[5]).toBe(0);
    expect(decode(encodeRelation(of), new RelationCache())).toEqual({ kind: 'relation', relation: of });
  });

  it('passes over origins, types and logical messages', () => {
    for (const type of ['O', 'Y', 'M'])
      expect(decode(Buffer.from(`${type}whatever`), new RelationCache())).toEqual({ kind: 'other' });
  });

  it('throws STREAM_BROKEN and nothing else when a message is cut at any length', () => {
    fc.assert(
      fc.property(message, (sent) => {
        const bytes = encode(sent);
        for (let length = 0; length < bytes.length; length++) {
          const thrown = failureOf(bytes.subarray(0, length), described(sent));
          expect(thrown).toBeInstanceOf(AppError);
          expect((thrown as AppError).code).toBe('STREAM_BROKEN');
        }
      }),
      { numRuns: 300 },
    );
  });

  it('throws STREAM_BROKEN and nothing else on bytes that are no message', () => {
    const known: Relation = { oid: 0, schema: 's', name: 't', replicaIdentity: 'full', columns: [] };
    fc.assert(
      fc.property(
        fc.constantFrom('B', 'C', 'R', 'I', 'U', 'D', 'T', 'x'),
        fc.uint8Array({ maxLength: 60 }),
        (type, rest) => {
          const thrown = failureOf(Buffer.concat([Buffer.from(type), rest]), new RelationCache([[0, known]]));
          if (thrown !== null) expect((thrown as AppError).code).toBe('STREAM_BROKEN');
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('refuses a change of a relation that was not described', () => {
    const unknown: Relation = { oid: 7, schema: 's', name: 't', replicaIdentity: 'full', columns: [] };
    const changes: StreamMessage[] = [
      { kind: 'insert', relation: unknown, new: [] },
      { kind: 'update', relation: unknown, new: [], old: null },
      { kind: 'delete', relation: unknown, old: [] },
      { kind: 'truncate', relations: [unknown], restartIdentity: false },
    ];
    for (const change of changes)
      expect(failureOf(encode(change), new RelationCache())).toMatchObject({
        code: 'STREAM_BROKEN',
        message: expect.stringContaining('relation 7') as string,
      });
  });
});
