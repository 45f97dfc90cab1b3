/**
 * A window (data-plane P7, P8): the changes of whole source transactions on their way into one target transaction. Changes of one row
 * are folded, column by column, into its net change where the table allows it; everything else keeps its place in order. Pure.
 *
 * Per table the order is: folded changes collected so far, then an ordered one, then new folded ones. Where nothing folds, new rows are
 * gathered until another change of their table comes. Tables do not wait for one another, because foreign keys and triggers do not fire
 * for us (a table where they would neither folds nor gathers, and TRUNCATE closes all).
 */
import type { PlacedChange, RowChange, Truncate } from '../../../change/change.ts';
import type { KeyCut } from '../../../change/cut.ts';
import { LSN_ZERO, type Lsn } from '../../../change/lsn.ts';
import { newRowOf, oldRowOf, PackedRow, type Row } from '../../../change/packed-row.ts';
import { nameKey } from '../../../change/relation.ts';
import { RowArena } from '../../../change/row-arena.ts';
import {
  changeOne,
  deletePart,
  deleteRanges,
  settable,
  truncateAll,
  type Planned,
} from '../sql/apply-sql.ts';
import { MAX_COUNTED } from '../sql/at-once.ts';
import { deleteSet, insertRows, updateSet } from '../sql/set-sql.ts';
import { movesKey, putIn, rowInTheWay, wholeChange } from './give-way.ts';
import { hasLarge, hasSameKey, keyText, merge, shapeOf, sizeOfRow, type Net } from './net-change.ts';
import { assertAllAreEmptied, type KeyColumn, type TargetTable } from '../sql/target-table.ts';

const MAX_CHANGES = 20_000;
/** More do not stay in the processor's caches, and each lets the target wait longer for its last one. */
const MAX_BYTES = 2 * 1024 * 1024;

interface Folding {
  readonly table: TargetTable;
  readonly key: readonly KeyColumn[];
  readonly rows: Map<string, Net>;
  changes: number;
}

/** Counts of the account (I6) that the window decides: every change added is applied or folded away. */
export interface Folded {
  readonly applied: number;
  readonly folded: number;
}

export class Window {
  private readonly foldings = new Map<TargetTable, Folding>();
  private readonly gathered = new Map<TargetTable, Row[]>();
  /** By oid of the relation: how it was described last. */
  private readonly described = new Map<number, TargetTable>();
  private planned: Planned[] = [];
  private readonly counts = new Map<TargetTable, { applied: number; folded: number }>();
  private cells = 0;
  private count = 0;
  /** In order, one change a statement (P11). */
  private readonly ordered: boolean;
  /** Of the transaction, where there is one: in order. */
  private readonly finalLsn: Lsn;
  /** Of the rows that are held; nothing that leaves the window is in it. */
  private readonly arena: RowArena;
  /** Changes, up to which the window may go in one round trip. */
  private readonly smallUpTo: number;
  /** Changes of that transaction received so far. */
  received = 0;

  constructor(
    ordered: boolean,
    finalLsn: Lsn = LSN_ZERO,
    arena: RowArena = new RowArena(),
    smallUpTo: number = MAX_COUNTED,
  ) {
    this.ordered = ordered;
    this.finalLsn = finalLsn;
    this.arena = arena;
    this.smallUpTo = smallUpTo;
  }

  /** Changes held. */
  get size(): number {
    return this.count;
  }

  /** Characters of the values held: about the bytes they take. */
  get bytes(): number {
    return this.cells;
  }

  /** It holds at least this share of what it should hold at most. */
  holds(share: number): boolean {
    return this.count >= share * MAX_CHANGES || this.cells >= share * MAX_BYTES;
  }

  /** A single change has made it larger than it should be: two such windows are too many (I4). */
  get isLarge(): boolean {
    return this.cells > 2 * MAX_BYTES;
  }

  add(table: TargetTable, given: RowChange): void {
    const change = table.overwrites ? wholeChange(table, given) : given;
    this.supersede(table);
    this.count++;
    const row = change.kind === 'delete' ? null : newRowOf(change);
    const old = change.kind === 'insert' ? null : oldRowOf(change);
    const inOrder = this.ordered || (row !== null && hasLarge(row));
    // Under FULL the old row is as large as the new one, and may be held as long.
    for (const one of [row, old]) if (one !== null) this.cells += sizeOfRow(one);
    if (!inOrder && table.folds && table.key && this.fold(table, table.key, change)) return;
    if (!inOrder && !table.folds && table.gathers && change.kind === 'insert') {
      this.closeNeighbours(table, () => true);
      this.gather(table, this.kept(newRowOf(change)));
      return;
    }
    this.closeNeighbours(table, () => true);
    this.close(table);
    this.order(table, change);
  }

  /** What the window holds of a row until it is drained. */
  private kept(row: Row): Row {
    return row instanceof PackedRow ? this.arena.keep(row) : row;
  }

  /** Throws TRUNCATE_SHARED, and holds nothing of it, where the target tables hold the rows of other source tables too. */
  truncate(tables: readonly TargetTable[], change: Truncate): void {
    assertAllAreEmptied(tables);
    this.closeAll();
    this.count += tables.length;
    for (const table of tables) this.tally(table, 1, 0);
    this.planned.push(truncateAll(tables, change.restartIdentity));
  }

  /** A TRUNCATE of one of the tables that go into the same. */
  emptyPart(table: TargetTable): void {
    this.closeAll();
    this.count++;
    this.tally(table, 1, 0);
    this.planned.push(deletePart(table));
  }

  /** A TRUNCATE that only these chunks of the table have not seen yet. */
  emptyRanges(table: TargetTable, cut: KeyCut, chunks: readonly number[]): void {
    this.supersede(table);
    this.close(table);
    this.count++;
    this.tally(table, 1, 0);
    this.planned.push(deleteRanges(table, cut, chunks));
  }

  /** Takes out what is to be executed, in order, and what was counted since the last call. */
  drain(): { planned: readonly Planned[]; counts: ReadonlyMap<TargetTable, Folded> } {
    this.closeAll();
    const result = { planned: this.planned, counts: new Map(this.counts) };
    this.planned = [];
    this.arena.clear();
    this.counts.clear();
    this.cells = 0;
    this.count = 0;
    return result;
  }

  /** The source describes a table anew at any time (DDL, ANALYZE): what was folded before goes before all that follows. */
  private supersede(table: TargetTable): void {
    const before = this.described.get(table.relation.oid);
    if (before === table) return;
    if (before) this.close(before);
    this.described.set(table.relation.oid, table);
  }

  private tally(table: TargetTable, applied: number, folded: number): void {
    const counts = this.counts.get(table) ?? { applied: 0, folded: 0 };
    counts.applied += applied;
    counts.folded += folded;
    this.counts.set(table, counts);
  }

  /** False when the change must keep its place: a key change, an unknown value in what may insert, or a history that makes no sense. */
  private fold(table: TargetTable, key: readonly KeyColumn[], change: RowChange): boolean {
    const row = change.kind === 'delete' ? oldRowOf(change) : newRowOf(change);
    if (change.kind === 'update' && movesKey(key, oldRowOf(change), row)) return false;
    const id = keyText(key, row);
    if (id === null) return false;
    this.closeNeighbours(table, (other) => other.rows.has(id) || !hasSameKey(other.key, key));
    const folding = this.folding(table, key);
    const before = folding.rows.get(id);
    const net = merge(before, { kind: change.kind, row: this.kept(row) }, table.lenient);
    if (net === 'refused') return false;
    if (net === null) folding.rows.delete(id);
    else folding.rows.set(id, net);
    folding.changes++;
    return true;
  }

  private folding(table: TargetTable, key: readonly KeyColumn[]): Folding {
    const known = this.foldings.get(table);
    if (known) return known;
    const folding = { table, key, rows: new Map<string, Net>(), changes: 0 };
    this.foldings.set(table, folding);
    return folding;
  }

  private gather(table: TargetTable, row: Row): void {
    const rows = this.gathered.get(table) ?? [];
    if (rows.push(row) === 1) this.gathered.set(table, rows);
  }

  /**
   * Several source tables in one target table fold apart, so that rows of two that meet under one key are found out; but a key that passes
   * from one to another (a row that moves between partitions) keeps its order.
   */
  private closeNeighbours(table: TargetTable, meets: (other: Folding) => boolean): void {
    if (table.sources.length === 1) return;
    const target = nameKey(table.name);
    const others = [...this.foldings.keys(), ...this.gathered.keys()].filter(
      (other) => other !== table && nameKey(other.name) === target,
    );
    const isMet = (other: TargetTable) => {
      const folding = this.foldings.get(other);
      return folding === undefined || meets(folding);
    };
    if (others.some(isMet)) for (const other of [...others, table]) this.close(other);
  }

  private closeAll(): void {
    for (const table of [...this.foldings.keys(), ...this.gathered.keys()]) this.close(table);
  }

  /** Turns what is held of the table into statements: deletes, then updates, then inserts. */
  private close(table: TargetTable): void {
    const rows = this.gathered.get(table);
    if (rows) {
      this.gathered.delete(table);
      this.planned.push(...insertRows(table, rows, this.count <= this.smallUpTo));
      this.tally(table, rows.length, 0);
    }
    const folding = this.foldings.get(table);
    if (!folding) return;
    this.foldings.delete(table);
    const { key } = folding;
    const deletes: Row[] = [];
    const inserts: Row[] = [];
    const updates = new Map<string, Row[]>();
    let applied = 0;
    for (const net of folding.rows.values()) {
      const { kind, row } = net;
      if (kind === 'delete' || kind === 'replace') deletes.push(row);
      if (kind === 'insert' || kind === 'replace') inserts.push(row);
      if (net.kind !== 'update') {
        applied++;
        continue;
      }
      const shape = shapeOf(net.row);
      const group = updates.get(shape) ?? [];
      if (group.push(net.row) === 1) updates.set(shape, group);
    }
    if (deletes.length > 0) this.plan(deleteSet(table, key, deletes));
    for (const rows of updates.values()) {
      const sets = settable(table, rows[0] ?? [], key);
      if (sets.length === 0) continue;
      applied += rows.length;
      this.plan(updateSet(table, key, sets, rows));
    }
    this.planned.push(...insertRows(table, inserts, this.count <= this.smallUpTo));
    this.tally(table, applied, folding.changes - applied);
  }

  private order(table: TargetTable, change: RowChange): void {
    const statement = changeOne(table, change);
    const from = this.planned.length;
    const inTheWay = table.lenient && statement ? rowInTheWay(table, change) : null;
    if (inTheWay) this.plan(inTheWay);
    if (statement) this.plan(statement);
    if (table.overwrites && change.kind === 'update') this.planned.push(...putIn(table, change.new));
    if (this.ordered) this.place(from, { change, finalLsn: this.finalLsn, ordinal: this.received });
    this.tally(table, statement ? 1 : 0, statement ? 0 : 1);
  }

  /** The statements planned since `from` are this change. */
  private place(from: number, change: PlacedChange): void {
    for (let at = from; at < this.planned.length; at++) {
      const planned = this.planned[at];
      if (planned) this.planned[at] = { ...planned, change };
    }
  }

  private plan(statement: Planned): void {
    const { table, operation, key } = statement;
    // A set that does not find all its rows is applied in order, where each that is missing can be put in.
    const mustFind = operation === 'insert' || (table.overwrites && operation === 'update' && key === null);
    const mayMiss = table.lenient && !mustFind;
    this.planned.push(mayMiss ? { ...statement, expect: null } : statement);
  }
}
