/**
 * The messages of contrib/test_decoding, from text to Changes, in the vocabulary of pgoutput. What the text leaves out (oid, identity,
 * types) comes from the catalog as it was read when the stream was opened; decision 12 tells what follows from that.
 *
 *   BEGIN 504
 *   table shop.item: INSERT: id[integer]:1 name[text]:'it''s'
 *   table shop.item: UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:2 name[text]:unchanged-toast-datum
 *   table shop.item: DELETE: id[integer]:2
 *   table shop.item, shop.note: TRUNCATE: restart_seqs cascade
 *   COMMIT 504 (at 2026-05-01 12:00:00.123456+00)
 */
import { AppError } from '../../../base/errors/app-error.ts';
import type { Cell, StreamMessage, Tuple } from '../../change/change.ts';
import { parseTime } from '../../change/commit-time.ts';
import type { Lsn } from '../../change/lsn.ts';
import type { Relation } from '../../change/relation.ts';
import { extendXid, sees, type Snapshot } from '../../change/snapshot.ts';
import type { Description } from './described-table.ts';
import { KnownTables, unjudged, type KnownTable, type Unjudged } from './known-tables.ts';
import type { Marks } from './marks.ts';
import { endOfName, ValueCursor } from './scan.ts';
import { readColumns, readTuple, shapeOf, type TableShape, type WrittenColumn } from './table-shape.ts';
import { begunXid, isCommit, type TextMessage } from './text-message.ts';

/** What a change says that the catalog does not explain. */
class Unexplained extends Error {
  override readonly name = 'Unexplained';
}

const NO_TUPLE = ' (no-tuple-data)';
const OLD_KEY = ' old-key:';
const NEW_TUPLE = ' new-tuple:';

export class TestDecoder {
  private readonly description: Description;
  private readonly marks: Map<number, Lsn>;
  private snapshot: Snapshot;
  /** No commit record still to come begins before it. */
  private bound: Lsn;
  private xid = 0;
  private readonly tables: KnownTables;

  /** `marks`: where the stream is read from, and what is known of it; the server sends no commit that begins before that. */
  constructor(description: Description, marks: Marks) {
    this.description = description;
    this.tables = new KnownTables(description);
    this.snapshot = description.placement.snapshot;
    this.bound = marks.first;
    this.marks = new Map(marks.after);
  }

  get print(): string {
    return this.description.placement.print;
  }

  /** The names were looked at once more, and are the same. */
  look(snapshot: Snapshot): void {
    this.snapshot = snapshot;
  }

  /** The names were looked at when the transaction at hand, and its DDL, could be seen. */
  get isSeen(): boolean {
    return sees(this.snapshot, extendXid(this.xid, this.snapshot));
  }

  passed(walEnd: Lsn): void {
    if (walEnd > this.bound) this.bound = walEnd;
  }

  /** What belongs to the same message as the item that `decode` has returned, and comes behind it. */
  readonly rest: (StreamMessage | Unjudged)[] = [];

  decode({ text, at }: TextMessage): StreamMessage | Unjudged {
    try {
      return this.decodeText(text, at);
    } catch (thrown) {
      if (thrown instanceof AppError) throw thrown;
      // Its beginning is made of keywords; values come later.
      const problem = `a test_decoding message of ${text.length} bytes that begins with "${/^[A-Za-z]*/.exec(text)?.[0]}": ${String(thrown)}`;
      throw new AppError('STREAM_BROKEN', { problem }, thrown);
    }
  }

  private decodeText(text: string, at: Lsn): StreamMessage | Unjudged {
    if (text.startsWith('table ')) return this.change(text);
    const begun = begunXid(text);
    if (begun !== null) {
      this.xid = begun;
      const begin = { kind: 'begin', finalLsn: this.bound, commitTime: 0n, xid: begun } as const;
      // Up to the last mark it is known on which side of each of them the commit lies.
      return this.marks.size > 0 ? begin : { ...begin, isAtLeast: true };
    }
    if (isCommit(text)) {
      const commitTime = parseTime(/ \(at (.*)\)$/.exec(text)?.[1] ?? '');
      if (commitTime === null) throw new RangeError('a commit without its time');
      const commitLsn = this.bound;
      // A mark lies behind the end of the transaction that it belongs to.
      this.passed(this.marks.get(this.xid) ?? at);
      this.marks.delete(this.xid);
      return { kind: 'commit', commitLsn, endLsn: at, commitTime };
    }
    if (text.startsWith('message: ')) return { kind: 'other' };
    throw new RangeError('unknown');
  }

  private change(text: string): StreamMessage | Unjudged {
    const tables: KnownTable[] = [];
    let at = 'table'.length;
    do {
      // Behind "table " the first time, behind ", " later.
      const begin = at + 1;
      const end = endOfName(text, endOfName(text, begin) + 1);
      tables.push(this.tables.get(text.slice(begin, end)));
      at = text[end] === ',' ? end + 1 : end;
    } while (text[at] === ' ');
    const cursor = new ValueCursor(text, at);
    const [table] = tables;
    if (!table) throw new RangeError('no table');
    if (cursor.skips(': TRUNCATE:')) return this.truncate(tables, text.includes(' restart_seqs', cursor.at));
    const kind = cursor.skips(': INSERT:')
      ? 'insert'
      : cursor.skips(': UPDATE:')
        ? 'update'
        : cursor.skips(': DELETE:')
          ? 'delete'
          : null;
    if (kind === null) throw new RangeError('an unknown operation');
    if (table.problem !== null) return unjudged(table.stub, table.problem);
    if (!table.selected) return nothing(kind, table.stub);
    try {
      return this[kind](table, cursor);
    } catch (thrown) {
      if (!(thrown instanceof Unexplained)) throw thrown;
      // The catalog may simply be the older one.
      if (!this.isSeen) throw new AppError('RELATION_STALE', {}, thrown);
      return unjudged(table.stub, thrown.message);
    }
  }

  /** Those that are not understood first: they do not keep the others from being emptied. */
  private truncate(tables: readonly KnownTable[], restartIdentity: boolean): StreamMessage | Unjudged {
    const relations = tables
      .filter(({ problem }) => problem === null)
      .map(({ shapes, stub }) => shapes[0]?.relation ?? stub);
    const whole = { kind: 'truncate', relations, restartIdentity } as const;
    const items = tables.flatMap(({ stub, problem }) => (problem === null ? [] : [unjudged(stub, problem)]));
    const [first] = items;
    if (!first) return whole;
    this.rest.push(...items.slice(1), ...(relations.length > 0 ? [whole] : []));
    return first;
  }

  private insert(table: KnownTable, cursor: ValueCursor): StreamMessage {
    const { shape, cells } = this.wholeRow(table, cursor);
    return { kind: 'insert', relation: shape.relation, new: cells };
  }

  private update(table: KnownTable, cursor: ValueCursor): StreamMessage {
    const before = cursor.skips(OLD_KEY) ? this.before(table, cursor) : null;
    const { shape, cells } = this.wholeRow(table, cursor);
    const { relation } = shape;
    const old = before === null ? null : named(shape, before(shape));
    if (old === null && (relation.replicaIdentity === 'full' || !relation.columns.some(({ isKey }) => isKey)))
      throw new Unexplained(
        'an update does not say which row it changed: the replica identity was another one',
      );
    return { kind: 'update', relation, old, new: cells };
  }

  private delete(table: KnownTable, cursor: ValueCursor): StreamMessage {
    if (cursor.text.startsWith(NO_TUPLE, cursor.at))
      throw new Unexplained('a delete does not say which row is gone: there was no replica identity');
    for (const shape of table.shapes) {
      const old = readTuple(shape, new ValueCursor(cursor.text, cursor.at), { whole: false, until: null });
      if (old) return { kind: 'delete', relation: shape.relation, old: named(shape, old) };
    }
    throw new Unexplained('a deleted row has other columns');
  }

  /** The row at the cursor in the shape it has, which may be made from it. */
  private wholeRow(table: KnownTable, cursor: ValueCursor): { shape: TableShape; cells: Tuple } {
    const { text, at } = cursor;
    if (text.startsWith(NO_TUPLE, at)) throw new RangeError('a row without values');
    const whole = { whole: true, until: null };
    for (const shape of table.shapes) {
      const cells = readTuple(shape, new ValueCursor(text, at), whole);
      if (cells) return { shape, cells };
    }
    const shape = this.shapeFrom(table, readColumns(new ValueCursor(text, at), null));
    const cells = readTuple(shape, new ValueCursor(text, at), whole);
    if (!cells) throw new RangeError('a row is not as it describes itself');
    return { shape, cells };
  }

  /**
   * A list of columns that is not the catalog's: from before some DDL, or behind it. The row describes itself, but it can be found again
   * only if the identity's columns are among its own, as the catalog has them.
   */
  private shapeFrom(table: KnownTable, columns: readonly WrittenColumn[]): TableShape {
    const { selected } = table;
    if (!selected) throw new RangeError('a row of a table that is not selected');
    const heads = new Set(columns.map(({ head }) => head));
    const missing = selected.columns.find(({ isKey, head }) => isKey && !heads.has(head));
    if (missing)
      throw new Unexplained(
        `a row has the columns ${columns.map(({ name }) => name).join(', ')}, and the replica identity is "${missing.name}"`,
      );
    const shape = shapeOf(
      selected,
      columns.map(
        ({ head, name, type }) =>
          selected.columns.find((column) => column.head === head) ?? {
            head,
            name,
            typeOid: this.description.typeOids.get(type) ?? 0,
            typmod: -1,
            isKey: false,
            isVirtual: selected.columns.some((column) => column.name === name && column.isVirtual),
          },
      ),
    );
    table.shapes = [shape, ...table.shapes];
    return shape;
  }

  /** The old row at the cursor, which moves on to the new one; which shape both have, only the new one tells for certain. */
  private before(table: KnownTable, cursor: ValueCursor): (shape: TableShape) => readonly Cell[] {
    const { text, at } = cursor;
    const part = { whole: false, until: NEW_TUPLE };
    const [likely] = table.shapes;
    const likelyCells = likely ? readTuple(likely, cursor, part) : null;
    if (!likelyCells) {
      cursor.at = at;
      readColumns(cursor, NEW_TUPLE);
    }
    return (shape) => {
      const cells = shape === likely ? likelyCells : readTuple(shape, new ValueCursor(text, at), part);
      if (cells) return cells;
      throw new Unexplained('the old row of an update has other columns than the new one');
    };
  }
}

/** The whole old row under FULL, else the identity's columns. */
function named({ relation }: TableShape, old: readonly Cell[]): Tuple {
  if (relation.replicaIdentity === 'full') return old;
  const isNamed = relation.columns.every(({ isKey }, at) => !isKey || old[at] !== null);
  if (!isNamed || !relation.columns.some(({ isKey }) => isKey))
    throw new Unexplained('an old row does not have the columns of the replica identity');
  return old;
}

function nothing(kind: 'insert' | 'update' | 'delete', relation: Relation): StreamMessage {
  switch (kind) {
    case 'insert':
      return { kind, relation, new: [] };
    case 'update':
      return { kind, relation, old: null, new: [] };
    case 'delete':
      return { kind, relation, old: [] };
  }
}
