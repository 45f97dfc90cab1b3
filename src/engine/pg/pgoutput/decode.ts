/**
 * The pgoutput messages of protocol version 1, from bytes to Changes. Pure; the relation cache is an argument.
 * Column values stay bytes (ByteText): nothing here knows what a value means.
 * https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
 */
import { AppError } from '../../../base/errors/app-error.ts';
import { UNCHANGED, type ByteText, type Cell, type StreamMessage, type Tuple } from '../../change/change.ts';
import { lsnFrom } from '../../change/lsn.ts';
import type { Relation, RelationColumn, ReplicaIdentity } from '../../change/relation.ts';

/** Relation messages seen on this stream, by oid. A new stream starts with an empty one. */
export type RelationCache = Map<number, Relation>;

const IDENTITIES: Readonly<Record<string, ReplicaIdentity>> = {
  d: 'default',
  n: 'nothing',
  f: 'full',
  i: 'index',
};

/** Reads fields in order; running over the end throws, as does an unknown tag. */
class Cursor {
  private readonly bytes: Buffer;
  private at: number;

  constructor(bytes: Buffer, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  byte(): number {
    return this.bytes.readUInt8(this.at++);
  }

  int16(): number {
    this.at += 2;
    return this.bytes.readUInt16BE(this.at - 2);
  }

  int32(): number {
    this.at += 4;
    return this.bytes.readUInt32BE(this.at - 4);
  }

  int64(): bigint {
    this.at += 8;
    return this.bytes.readBigUInt64BE(this.at - 8);
  }

  string(): string {
    const end = this.bytes.indexOf(0, this.at);
    if (end < 0) throw new RangeError('unterminated string');
    const text = this.bytes.toString('utf8', this.at, end);
    this.at = end + 1;
    return text;
  }

  cell(): Cell {
    const tag = this.byte();
    if (tag === 0x6e) return null; // n
    if (tag === 0x75) return UNCHANGED; // u
    if (tag !== 0x74) throw new RangeError(`column tag ${tag}`); // t
    const length = this.int32();
    const end = this.at + length;
    if (end > this.bytes.length) throw new RangeError('column beyond the message');
    const text = this.bytes.toString('latin1', this.at, end) as ByteText;
    this.at = end;
    return text;
  }

  tuple(): Tuple {
    const cells: Cell[] = [];
    for (let left = this.int16(); left > 0; left--) cells.push(this.cell());
    return cells;
  }
}

/** Decodes one message; Relation messages are added to the cache. Throws STREAM_BROKEN on anything that cannot be understood. */
export function decode(bytes: Buffer, relations: RelationCache): StreamMessage {
  try {
    return decodeMessage(new Cursor(bytes, 1), String.fromCharCode(bytes[0] ?? 0), relations);
  } catch (thrown) {
    if (thrown instanceof AppError) throw thrown;
    throw new AppError(
      'STREAM_BROKEN',
      {
        problem: `message ${JSON.stringify(String.fromCharCode(bytes[0] ?? 0))} of ${bytes.length} bytes: ${String(thrown)}`,
      },
      thrown,
    );
  }
}

function decodeMessage(cursor: Cursor, type: string, relations: RelationCache): StreamMessage {
  switch (type) {
    case 'B':
      return {
        kind: 'begin',
        finalLsn: lsnFrom(cursor.int64()),
        commitTime: cursor.int64(),
        xid: cursor.int32(),
      };
    case 'C':
      cursor.byte();
      return {
        kind: 'commit',
        commitLsn: lsnFrom(cursor.int64()),
        endLsn: lsnFrom(cursor.int64()),
        commitTime: cursor.int64(),
      };
    case 'R': {
      const relation = decodeRelation(cursor);
      relations.set(relation.oid, relation);
      return { kind: 'relation', relation };
    }
    case 'I': {
      const relation = known(relations, cursor.int32());
      cursor.byte(); // N
      return { kind: 'insert', relation, new: cursor.tuple() };
    }
    case 'U': {
      const relation = known(relations, cursor.int32());
      const tag = cursor.byte();
      const old = tag === 0x4e ? null : cursor.tuple(); // N follows at once, or K/O and then N
      if (old !== null) cursor.byte();
      return { kind: 'update', relation, new: cursor.tuple(), old };
    }
    case 'D': {
      const relation = known(relations, cursor.int32());
      cursor.byte(); // K or O
      return { kind: 'delete', relation, old: cursor.tuple() };
    }
    case 'T': {
      const count = cursor.int32();
      const options = cursor.byte();
      const oids = Array.from({ length: count }, () => cursor.int32());
      return {
        kind: 'truncate',
        relations: oids.map((oid) => known(relations, oid)),
        restartIdentity: (options & 2) !== 0,
      };
    }
    case 'O': // origin
    case 'Y': // type
    case 'M': // logical message
      return { kind: 'other' };
    default:
      throw new AppError('STREAM_BROKEN', { problem: `unknown message ${JSON.stringify(type)}` });
  }
}

function known(relations: RelationCache, oid: number): Relation {
  const relation = relations.get(oid);
  if (!relation)
    throw new AppError('STREAM_BROKEN', { problem: `a change of relation ${oid}, which was not described` });
  return relation;
}

function decodeRelation(cursor: Cursor): Relation {
  const oid = cursor.int32();
  // An empty schema stands for pg_catalog.
  const schema = cursor.string() || 'pg_catalog';
  const name = cursor.string();
  const replicaIdentity = IDENTITIES[String.fromCharCode(cursor.byte())];
  if (!replicaIdentity) throw new RangeError('unknown replica identity');
  const columns = Array.from({ length: cursor.int16() }, (): RelationColumn => {
    const flags = cursor.byte();
    return {
      isKey: (flags & 1) !== 0,
      name: cursor.string(),
      typeOid: cursor.int32(),
      typmod: cursor.int32() | 0,
    };
  });
  return { oid, schema, name, replicaIdentity, columns };
}
