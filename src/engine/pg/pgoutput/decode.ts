/**
 * The pgoutput messages of protocol version 1, from bytes to Changes. Pure; the relation cache is an argument.
 * Column values stay bytes (ByteText): nothing here knows what a value means.
 * https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
 */
import { AppError } from '../../../base/errors/app-error.ts';
import { UNCHANGED, type ByteText, type Cell, type StreamMessage, type Tuple } from '../../change/change.ts';
import { lsnFrom } from '../../change/lsn.ts';
import {
  NULL_TAG,
  PackedDelete,
  PackedInsert,
  PackedRow,
  PackedUpdate,
  TEXT_TAG,
  unpacked,
  type Row,
} from '../../change/packed-row.ts';
import type { Relation, RelationColumn, ReplicaIdentity } from '../../change/relation.ts';

/** Relation messages seen on this stream, by oid. A new stream starts with an empty one. */
export class RelationCache extends Map<number, Relation> {
  /** Tables of large schemas are much alike: those whose columns are described by the same bytes share them. */
  readonly columns = new Map<string, readonly RelationColumn[]>();
}

const IDENTITIES: Readonly<Record<string, ReplicaIdentity>> = {
  d: 'default',
  n: 'nothing',
  f: 'full',
  i: 'index',
};

const UNCHANGED_TAG = 0x75;
/** A new row follows. */
const NEW = 0x4e;
const SMALL = 8 * 1024;
/** Values of such a message stay where they are (I4). */
const LARGE = 1024 * 1024;

/** Reads fields in order; running over the end throws, as does an unknown tag. */
class Cursor {
  private readonly bytes: Buffer;
  private readonly begin: number;
  private readonly end: number;
  private at: number;
  /** The whole of a small message, one character per byte, made when the first value is read: one call for all of them. */
  private text: string | null = null;

  constructor(bytes: Buffer, begin: number, end: number) {
    this.bytes = bytes;
    this.begin = begin;
    this.at = begin;
    this.end = end;
  }

  /** Where the next `length` bytes begin. */
  private take(length: number): number {
    const { at } = this;
    if (at + length > this.end) throw new RangeError('beyond the end of the message');
    this.at = at + length;
    return at;
  }

  byte(): number {
    return this.bytes[this.take(1)] ?? 0;
  }

  int16(): number {
    return this.bytes.readUInt16BE(this.take(2));
  }

  int32(): number {
    return this.bytes.readUInt32BE(this.take(4));
  }

  int64(): bigint {
    return this.bytes.readBigUInt64BE(this.take(8));
  }

  string(): string {
    const end = this.bytes.indexOf(0, this.at);
    if (end < 0 || end >= this.end) throw new RangeError('unterminated string');
    const text = this.bytes.toString('utf8', this.at, end);
    this.at = end + 1;
    return text;
  }

  /** What is ahead, one character per byte; nothing is taken. */
  rest(): string {
    return this.bytes.toString('latin1', this.at, this.end);
  }

  private cell(): Cell {
    const tag = this.byte();
    if (tag === NULL_TAG) return null;
    if (tag === UNCHANGED_TAG) return UNCHANGED;
    if (tag !== TEXT_TAG) throw new RangeError(`column tag ${tag}`);
    const length = this.int32();
    const from = this.take(length);
    if (length > SMALL && this.end - this.begin > LARGE) return this.bytes.subarray(from, from + length);
    // A value keeps the text alive that it is part of.
    if (this.end - this.begin > SMALL) return this.bytes.toString('latin1', from, from + length) as ByteText;
    this.text ??= this.bytes.toString('latin1', this.begin, this.end);
    return this.text.substring(from - this.begin, from - this.begin + length) as ByteText;
  }

  /** As it lies there, where that may be. */
  row(): Row {
    return this.packed() ?? this.tuple();
  }

  /** The row ahead as it lies there; null, and nothing is taken, where it is large or not known as a whole. */
  private packed(): PackedRow | null {
    const { at: from, bytes } = this;
    if (this.end - this.begin > SMALL) return null;
    for (let left = this.int16(); left > 0; left--) {
      const tag = this.byte();
      if (tag === NULL_TAG) continue;
      if (tag !== TEXT_TAG) {
        this.at = from;
        return null;
      }
      this.take(this.int32());
    }
    return new PackedRow(bytes, from + 2, this.at);
  }

  private tuple(): Tuple {
    const cells: Cell[] = [];
    for (let left = this.int16(); left > 0; left--) cells.push(this.cell());
    return cells;
  }
}

/**
 * Decodes the message that lies in `bytes` from `begin` to `end`; Relation messages are added to the cache. Throws STREAM_BROKEN on
 * anything that cannot be understood.
 */
export function decode(
  bytes: Buffer,
  relations: RelationCache,
  begin = 0,
  end = bytes.length,
): StreamMessage {
  try {
    return decodeMessage(new Cursor(bytes, begin, end), relations);
  } catch (thrown) {
    if (thrown instanceof AppError) throw thrown;
    const type = JSON.stringify(String.fromCharCode(bytes[begin] ?? 0));
    throw new AppError(
      'STREAM_BROKEN',
      { problem: `message ${type} of ${end - begin} bytes: ${String(thrown)}` },
      thrown,
    );
  }
}

function decodeMessage(cursor: Cursor, relations: RelationCache): StreamMessage {
  const type = String.fromCharCode(cursor.byte());
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
      const relation = decodeRelation(cursor, relations);
      relations.set(relation.oid, relation);
      return { kind: 'relation', relation };
    }
    case 'I': {
      const relation = known(relations, cursor.int32());
      cursor.byte(); // N
      const row = cursor.row();
      return row instanceof PackedRow
        ? new PackedInsert(relation, row)
        : { kind: 'insert', relation, new: row };
    }
    case 'U': {
      const relation = known(relations, cursor.int32());
      const tag = cursor.byte();
      const old = tag === NEW ? null : cursor.row(); // N follows at once, or K/O and then N
      if (old !== null) cursor.byte();
      const row = cursor.row();
      if (row instanceof PackedRow && (old === null || old instanceof PackedRow))
        return new PackedUpdate(relation, row, old);
      return { kind: 'update', relation, new: unpacked(row), old: old && unpacked(old) };
    }
    case 'D': {
      const relation = known(relations, cursor.int32());
      cursor.byte(); // K or O
      const old = cursor.row();
      return old instanceof PackedRow ? new PackedDelete(relation, old) : { kind: 'delete', relation, old };
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

function decodeRelation(cursor: Cursor, { columns: known }: RelationCache): Relation {
  const oid = cursor.int32();
  // An empty schema stands for pg_catalog.
  const schema = cursor.string() || 'pg_catalog';
  const name = cursor.string();
  const replicaIdentity = IDENTITIES[String.fromCharCode(cursor.byte())];
  if (!replicaIdentity) throw new RangeError('unknown replica identity');
  const rest = cursor.rest();
  const columns = known.get(rest) ?? decodeColumns(cursor);
  known.set(rest, columns);
  return { oid, schema, name, replicaIdentity, columns };
}

function decodeColumns(cursor: Cursor): RelationColumn[] {
  return Array.from({ length: cursor.int16() }, () => {
    const flags = cursor.byte();
    return {
      isKey: (flags & 1) !== 0,
      name: cursor.string(),
      typeOid: cursor.int32(),
      typmod: cursor.int32() | 0,
    };
  });
}
