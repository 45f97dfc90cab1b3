/** Who needs whom among the things to create: pg_depend, seen through what is only a part of something else. */
import type { Dependency } from '../pg/catalog/dependencies.ts';
import type { ObjectKey } from '../pg/catalog/user-object.ts';
import type { Draft, Piece } from './draft.ts';

export interface Graph {
  readonly drafts: ReadonlyMap<ObjectKey, Draft>;
  readonly pieces: ReadonlyMap<ObjectKey, { readonly piece: Piece; readonly owner: Draft }>;
  /** Needs of a draft without those of its pieces, of a piece without its owner, or of an object that is not migrated. */
  needsOf(key: ObjectKey): ReadonlySet<ObjectKey>;
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
  const byKey = new Map(drafts.map((one) => [one.key, one]));
  const pieces = new Map(
    drafts.flatMap((owner) => owner.pieces.map((piece) => [piece.key, { piece, owner }] as const)),
  );
  const wholes = new Map(dependencies.filter(({ isPart }) => isPart).map(({ object, on }) => [object, on]));
  // One string for each key: comparing it with itself takes no look at its characters.
  const own = new Map([...byKey.keys(), ...pieces.keys(), ...others].map((key) => [key, key]));
  const isNode = (key: ObjectKey) => own.has(key);
  const resolve = (key: ObjectKey): ObjectKey | null => {
    const passed = new Set<ObjectKey>();
    let at: ObjectKey | undefined = key;
    while (at !== undefined && !isNode(at) && !passed.has(at)) {
      passed.add(at);
      at = wholes.get(at);
    }
    return at !== undefined && isNode(at) ? at : null;
  };

  const needs = new Map<ObjectKey, Set<ObjectKey>>();
  const add = (from: ObjectKey, on: ObjectKey) => {
    const [needing, needed] = [resolve(from), resolve(on)];
    if (needing === null || needed === null || needing === needed) return;
    // A sequence depends on the column that owns it, but is created first: the column's default needs it.
    if (byKey.get(needing)?.relkind === 'S' && byKey.get(needed)?.relkind !== null && byKey.has(needed))
      return;
    if (pieces.get(needing)?.owner.key === needed) return;
    const one = own.get(needed) ?? needed;
    const set = needs.get(needing);
    if (set) set.add(one);
    else needs.set(own.get(needing) ?? needing, new Set([one]));
  };
  // What is a part of two things (the cast of a range to its multirange) makes neither need the other.
  for (const { object, on, isPart } of dependencies) if (!isPart || isNode(object)) add(object, on);
  for (const one of drafts) for (const key of [...one.needs, ...one.follows]) add(one.key, key);
  const none: ReadonlySet<ObjectKey> = new Set();
  return { drafts: byKey, pieces, needsOf: (key) => needs.get(key) ?? none };
}
