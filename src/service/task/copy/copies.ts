/**
 * The units of a task's tables (data-plane I3), as the copy moves them on and the stream asks them. Made from the books on the target:
 * a chunk that is recorded there is done, all others wait.
 */
import { AppError } from '../../../base/errors/app-error.ts';
import { chunkId, type Cut } from '../../../engine/change/cut.ts';
import { displayName, nameKey, type QualifiedName } from '../../../engine/change/relation.ts';
import { parseSnapshot } from '../../../engine/change/snapshot.ts';
import { Unit, type Later } from '../../../engine/pipeline/unit.ts';
import type { TableCopy } from '../../../engine/pipeline/visibility.ts';
import type { DoneChunk } from '../../../engine/target/books/done-chunks.ts';
import { isComplete, type CopiedTable } from './copy-books.ts';
import type { IsInEveryKey } from './range-units.ts';
import type { TaskRun } from '../task-run.ts';

/** What is begun at once: `units`, whatever their size, and as many more as `bytes` hold. */
export interface Firm {
  readonly units: number;
  readonly bytes: bigint;
}

/** A unit that is not done. */
interface Part {
  /** More than one where they go into one: then they are of one moment. */
  readonly tables: readonly string[];
  readonly unit: Unit;
  /** Its chunks that are not done. */
  readonly left: Set<string>;
  /** Those whose copy has begun and may still commit. */
  readonly underWay: Set<string>;
  readonly bytes: bigint;
  /** Its copy will not be completed under the present snapshot. */
  isOver: boolean;
}

export class Copies {
  /** By nameKey of the source table. */
  readonly tables = new Map<string, TableCopy>();
  /** By chunk id. */
  private readonly waiting = new Map<string, Part>();
  private readonly parts = new Set<Part>();
  /** Chunks of units that changes have sent back before they were begun. */
  private readonly restless = new Set<string>();
  /** Tables that could not be copied: not tried again in this run. */
  private readonly givenUp = new Map<string, AppError>();
  /** Tables about to be emptied: what has become of them only the books can tell. By nameKey. */
  private readonly unsettled = new Set<string>();

  private readonly targetOf: TaskRun['targetOf'];

  constructor(targetOf: TaskRun['targetOf']) {
    this.targetOf = targetOf;
  }

  /**
   * What the books say of these tables; only while nothing is being copied. Other tables stay as they are. Tables that go into one are
   * loaded together.
   */
  load(books: readonly CopiedTable[], isInEveryKey: IsInEveryKey): void {
    const names = new Set(books.map(({ table }) => displayName(table)));
    for (const part of this.parts) if (part.tables.some((table) => names.has(table))) this.forget(part);
    for (const group of Map.groupBy(books, ({ table }) => nameKey(this.targetOf(table))).values()) {
      const isOne = group.length > 1 && !group.every(isComplete);
      const copy = isOne ? { units: [this.waitTogether(group)], cut: null } : null;
      for (const one of group) {
        this.tables.set(nameKey(one.table), copy ?? this.copyOf(one, isInEveryKey));
        this.unsettled.delete(nameKey(one.table));
      }
    }
  }

  /** A table that is followed but was never copied: every change applies. */
  follow(table: QualifiedName): void {
    this.tables.set(nameKey(table), { units: [Unit.done(null)], cut: null });
  }

  /**
   * The tables are about to be emptied and copied anew: whatever becomes of that, their changes are in the copy that follows, until `load`
   * has read what the books say.
   */
  unsettle(tables: readonly QualifiedName[]): void {
    for (const table of tables) {
      this.tables.set(nameKey(table), { units: [Unit.waiting()], cut: null });
      this.unsettled.add(nameKey(table));
    }
  }

  /** Tables, by nameKey, that were left like that. */
  get notSettled(): ReadonlySet<string> {
    return this.unsettled;
  }

  private copyOf(one: CopiedTable, isInEveryKey: IsInEveryKey): TableCopy {
    const { table, cut, chunks } = one;
    if (isComplete(one)) return doneCopy(cut, chunks.map(laterOf));
    if (cut.kind === 'key' && isInEveryKey(table, cut.column)) {
      const units = chunks.map((done, chunk) =>
        done === null ? this.wait(one, [chunkId(table, cut, chunk)]) : Unit.done(laterOf(done)),
      );
      return { units, cut };
    }
    return { units: [this.wait(one, chunkIds(one))], cut: null };
  }

  /** A unit of these chunks; those that an earlier moment has left done are checked again before the others are copied. */
  private wait({ table, chunks }: CopiedTable, ids: readonly string[]): Unit {
    const bytes = (table.bytes * BigInt(ids.length)) / BigInt(chunks.length);
    return this.waitFor([table], ids, bytes);
  }

  private waitTogether(group: readonly CopiedTable[]): Unit {
    const tables = group.map(({ table }) => table);
    const bytes = tables.reduce((sum, table) => sum + table.bytes, 0n);
    return this.waitFor(tables, group.flatMap(chunkIds), bytes);
  }

  private waitFor(tables: readonly QualifiedName[], ids: readonly string[], bytes: bigint): Unit {
    const state = { left: new Set(ids), underWay: new Set<string>(), bytes, isOver: false };
    const part: Part = { tables: tables.map(displayName), unit: Unit.waiting(), ...state };
    for (const id of ids) this.waiting.set(id, part);
    this.parts.add(part);
    return part.unit;
  }

  private isAside({ tables }: Part): boolean {
    return this.givenUp.size > 0 && tables.some((table) => this.givenUp.has(table));
  }

  private forget(part: Part): void {
    this.parts.delete(part);
    for (const id of part.left) this.waiting.delete(id);
  }

  /** All is done but for what could not be copied. */
  get isComplete(): boolean {
    for (const part of this.parts) if (!this.isAside(part)) return false;
    return true;
  }

  get chunksLeft(): number {
    return this.waiting.size;
  }

  /** Something is being copied, as far as is known. */
  get isCopying(): boolean {
    for (const { unit } of this.parts) if (unit.isCopying) return true;
    return false;
  }

  /**
   * A snapshot stands that sees all that was received: what waits may be copied under it. Null: the slot's own. Some are
   * begun with it, those first that changes have sent back before: where all are written to all the time, none would get its turn else.
   */
  bindAll(later: Later | null, firm: Firm | null = null): void {
    for (const part of this.parts) {
      part.isOver = false;
      part.unit.bind(later);
    }
    if (firm !== null) for (const { unit } of this.mostUrgent(firm)) unit.claim();
  }

  private mostUrgent({ units, bytes }: Firm): Part[] {
    const isRestless = ({ left }: Part) => left.values().some((id) => this.restless.has(id));
    const ranked = [...this.parts]
      .filter((part) => !this.isAside(part))
      .map((part) => ({ part, weight: (isRestless(part) ? 1n << 64n : 0n) + part.bytes }))
      .toSorted((a, b) => (a.weight < b.weight ? 1 : a.weight > b.weight ? -1 : 0));
    const chosen: Part[] = [];
    let room = bytes;
    for (const { part } of ranked) {
      if (chosen.length >= units && part.bytes > room) continue;
      if (chosen.length >= units) room -= part.bytes;
      chosen.push(part);
    }
    return chosen;
  }

  /** The chunk is to be copied now; false when it has to wait for another snapshot. */
  claim(id: string): boolean {
    const part = this.waiting.get(id);
    if (part === undefined || part.isOver || this.isAside(part) || !part.unit.claim()) return false;
    part.underWay.add(id);
    return true;
  }

  /** The chunk's unit is copied under the present snapshot, come what may. */
  isBegun(id: string): boolean {
    const part = this.waiting.get(id);
    return part !== undefined && !part.isOver && part.unit.isCopying;
  }

  /** The chunk's copy has committed. */
  finish(id: string): void {
    const part = this.waiting.get(id);
    if (!part) return;
    part.underWay.delete(id);
    if (!part.unit.isCopying) return;
    part.left.delete(id);
    this.waiting.delete(id);
    if (part.left.size === 0) {
      this.parts.delete(part);
      this.restless.delete(id);
      part.unit.finish();
    } else this.releaseIfOver(part);
  }

  /** The chunk is not copied under the present snapshot, and none of its transactions can commit any more. */
  leave(id: string): void {
    const part = this.waiting.get(id);
    if (!part) return;
    part.underWay.delete(id);
    part.isOver = true;
    this.releaseIfOver(part);
  }

  /** Nobody waits for the end of a pass where it is certain before that the unit's copy comes to nothing. */
  private releaseIfOver({ isOver, underWay, unit }: Part): void {
    if (isOver && underWay.size === 0) unit.release();
  }

  /** Chunks that were found to be of the present snapshot already. */
  keep(ids: readonly string[]): void {
    for (const id of ids) {
      this.waiting.get(id)?.left.delete(id);
      this.waiting.delete(id);
    }
  }

  /** The table, or whatever goes by this name, is left aside: its changes are in a copy that is still to come. */
  giveUp(name: string, error: AppError): void {
    this.givenUp.set(name, error);
    for (const part of this.parts) {
      if (!part.tables.includes(name)) continue;
      part.isOver = true;
      this.releaseIfOver(part);
    }
  }

  /** A person wants nothing of it any more: its changes are nobody's. */
  leaveOut(table: QualifiedName): void {
    const name = displayName(table);
    this.tables.delete(nameKey(table));
    this.giveUp(name, new AppError('TABLE_SKIPPED', { table: name }));
  }

  /** A person wants it to wait. */
  isPaused(table: QualifiedName): boolean {
    return this.givenUp.get(displayName(table))?.code === 'TABLE_PAUSED';
  }

  /** Something of it is not copied. */
  isLeft(name: string): boolean {
    for (const { tables } of this.parts) if (tables.includes(name)) return true;
    return false;
  }

  /** Why, by name; what a person has left out lacks nothing. */
  get leftBehind(): ReadonlyMap<string, AppError> {
    return new Map([...this.givenUp].filter(([, { code }]) => code !== 'TABLE_SKIPPED'));
  }

  isGivenUp(id: string): boolean {
    const part = this.waiting.get(id);
    return part !== undefined && this.isAside(part);
  }

  /** Whoever asks for a table's copy again has removed the cause. */
  tryAgain(table: string): void {
    this.givenUp.delete(table);
  }

  /** The snapshot is gone: what is not done waits for another. */
  release(): void {
    for (const { unit, left, underWay } of this.parts) {
      if (unit.isWaiting) for (const id of left) this.restless.add(id);
      underWay.clear();
      unit.release();
    }
  }
}

function chunkIds({ table, cut, chunks }: CopiedTable): string[] {
  return chunks.map((_, chunk) => chunkId(table, cut, chunk));
}

function laterOf(chunk: DoneChunk | null): Later | null {
  if (chunk === null || chunk.snapshot === null || chunk.readUntil === null) return null;
  return { text: chunk.snapshot, snapshot: parseSnapshot(chunk.snapshot), readUntil: chunk.readUntil };
}

/** Where all chunks are of one moment, they need not be told apart. */
function doneCopy(cut: Cut, chunks: readonly (Later | null)[]): TableCopy {
  const [first = null] = chunks;
  const isOne = chunks.every((later) => later?.text === first?.text);
  if (cut.kind === 'key' && !isOne) return { units: chunks.map((later) => Unit.done(later)), cut };
  return { units: [Unit.done(first)], cut: null };
}
