/**
 * The units of a task's tables (data-plane I3), as the copy moves them on and the stream asks them. Made from the books on the target:
 * a chunk that is recorded there is done, all others wait.
 */
import { chunkId, type Cut } from '../../../engine/change/cut.ts';
import { displayName, nameKey } from '../../../engine/change/relation.ts';
import { parseSnapshot } from '../../../engine/change/snapshot.ts';
import { Unit, type Later } from '../../../engine/pipeline/unit.ts';
import type { TableCopy } from '../../../engine/pipeline/visibility.ts';
import type { DoneChunk } from '../../../engine/target/done-chunks.ts';
import { isComplete, type CopiedTable } from './copy-books.ts';
import type { IsInEveryKey } from './range-units.ts';

interface Part {
  readonly table: string;
  readonly unit: Unit;
}

export class Copies {
  /** By nameKey of the source table. */
  readonly tables = new Map<string, TableCopy>();
  /** By chunk id; done chunks are not in it. */
  private readonly waiting = new Map<string, Part>();
  /** Chunks of a unit that are not done. */
  private readonly left = new Map<Unit, Set<string>>();
  /** Tables that could not be copied: not tried again in this run. */
  private readonly givenUp = new Set<string>();

  /** What the books say of these tables; only while nothing is being copied. Other tables stay as they are. */
  load(books: readonly CopiedTable[], isInEveryKey: IsInEveryKey): void {
    for (const one of books) {
      for (const id of chunkIds(one)) this.waiting.delete(id);
      const before = this.tables.get(nameKey(one.table));
      for (const unit of before?.units ?? []) this.left.delete(unit);
      this.tables.set(nameKey(one.table), this.copyOf(one, isInEveryKey));
    }
  }

  /** A table that is followed but was never copied: every change applies. */
  follow(table: CopiedTable['table']): void {
    this.tables.set(nameKey(table), { units: [Unit.done(null)], cut: null });
  }

  private copyOf(one: CopiedTable, isInEveryKey: IsInEveryKey): TableCopy {
    const { table, cut, chunks } = one;
    if (isComplete(one)) return doneCopy(cut, chunks.map(laterOf));
    const name = displayName(table);
    if (cut.kind === 'key' && isInEveryKey(table, cut.column)) {
      const units = chunks.map((done, chunk) =>
        done === null ? this.wait(name, [chunkId(table, cut, chunk)]) : Unit.done(laterOf(done)),
      );
      return { units, cut };
    }
    return { units: [this.wait(name, chunkIds(one))], cut: null };
  }

  /** A unit of these chunks; those that an earlier moment has left done are checked again before the others are copied. */
  private wait(table: string, ids: readonly string[]): Unit {
    const unit = Unit.waiting();
    for (const id of ids) this.waiting.set(id, { table, unit });
    this.left.set(unit, new Set(ids));
    return unit;
  }

  get isComplete(): boolean {
    return [...this.waiting.values()].every(({ table }) => this.givenUp.has(table));
  }

  /** Something is being copied, as far as is known. */
  get isCopying(): boolean {
    return [...this.left.keys()].some((unit) => unit.isCopying);
  }

  /** A snapshot stands that sees all that was received: what waits may be copied under it. Null: the slot's own. */
  bindAll(later: Later | null): void {
    for (const unit of this.left.keys()) unit.bind(later);
  }

  /** The chunk is to be copied now; false when it has to wait for another snapshot. */
  claim(id: string): boolean {
    const part = this.waiting.get(id);
    return part !== undefined && !this.givenUp.has(part.table) && part.unit.claim();
  }

  /** Part of the chunk's unit is copied or being copied under the present snapshot: the rest must follow under the same. */
  isBegun(id: string): boolean {
    return this.waiting.get(id)?.unit.isCopying ?? false;
  }

  /** The chunk's copy has committed. */
  finish(id: string): void {
    const part = this.waiting.get(id);
    if (!part?.unit.isCopying) return;
    const left = this.left.get(part.unit);
    left?.delete(id);
    this.waiting.delete(id);
    if (left !== undefined && left.size > 0) return;
    this.left.delete(part.unit);
    part.unit.finish();
  }

  /** Chunks that were found to be of the present snapshot already. */
  keep(ids: readonly string[]): void {
    for (const id of ids) {
      const part = this.waiting.get(id);
      if (part) this.left.get(part.unit)?.delete(id);
      this.waiting.delete(id);
    }
  }

  /** The table is left aside: its changes are in a copy that is still to come. Between passes. */
  giveUp(table: string): void {
    this.givenUp.add(table);
  }

  /** Whoever asks for a table's copy again has removed the cause. */
  tryAgain(table: string): void {
    this.givenUp.delete(table);
  }

  /** The snapshot is gone: what is not done waits for another. */
  release(): void {
    for (const unit of this.left.keys()) unit.release();
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
