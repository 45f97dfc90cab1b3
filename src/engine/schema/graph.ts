/** Who needs whom among the things to create: pg_depend, seen through what is only a part of something else. */
import type { Dependency } from '../pg/catalog/dependencies.ts';
import type { ObjectKey } from '../pg/catalog/user-object.ts';
import type { Draft, Piece } from './draft.ts';
import { ManyLists } from './many-lists.ts';

export interface Graph {
  readonly drafts: ReadonlyMap<ObjectKey, Draft>;
  readonly pieces: ReadonlyMap<ObjectKey, { readonly piece: Piece; readonly owner: Draft }>;
  /** Needs of a draft without those of its pieces, of a piece without its owner, or of an object that is not migrated. */
  needsOf(key: ObjectKey): readonly ObjectKey[];
}

/**
 * `others` are objects that are known by name but not created. A dependency on something that is none of the three counts
 * for what that is a part of (a view's SELECT rule, an array type, a row type, the index of a constraint), or not at all
 * (members of extensions, built-in objects).
 */
export function buildGraph(
  drafts: readonly Draft[],
  dependencies: readonly Dependency[],
  others: ReadonlySet<ObjectKey>,
): Graph {
  const byKey = new Map<ObjectKey, Draft>();
  const pieces = new Map<ObjectKey, { readonly piece: Piece; readonly owner: Draft }>();
  for (const owner of drafts) {
    byKey.set(owner.key, owner);
    for (const piece of owner.pieces) pieces.set(piece.key, { piece, owner });
  }
  const wholes = new Map<ObjectKey, ObjectKey>();
  for (const { object, on, isPart } of dependencies) if (isPart) wholes.set(object, on);
  const isNode = (key: ObjectKey) => byKey.has(key) || pieces.has(key) || others.has(key);
  const resolve = (key: ObjectKey): ObjectKey | null => {
    if (isNode(key)) return key;
    const passed = new Set<ObjectKey>();
    let at: ObjectKey | undefined = key;
    while (at !== undefined && !isNode(at) && !passed.has(at)) {
      passed.add(at);
      at = wholes.get(at);
    }
    return at !== undefined && isNode(at) ? at : null;
  };

  const needs = new ManyLists<ObjectKey, ObjectKey>();
  const add = (from: ObjectKey, on: ObjectKey) => {
    const [needing, needed] = [resolve(from), resolve(on)];
    if (needing === null || needed === null || needing === needed) return;
    // A sequence depends on the column that owns it, but is created first: the column's default needs it.
    if (byKey.get(needing)?.relkind === 'S' && byKey.get(needed)?.relkind !== null && byKey.has(needed))
      return;
    if (pieces.get(needing)?.owner.key === needed) return;
    needs.add(needing, needed);
  };
  // What is a part of two things (the cast of a range to its multirange) makes neither need the other.
  for (const { object, on, isPart } of dependencies) if (!isPart || isNode(object)) add(object, on);
  for (const one of drafts) {
    for (const key of one.needs) add(one.key, key);
    for (const key of one.follows) add(one.key, key);
  }
  return { drafts: byKey, pieces, needsOf: (key) => needs.of(key) };
}
