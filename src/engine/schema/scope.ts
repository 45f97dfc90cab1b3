/** Which drafts take part: what the user chose, what that needs, and what falls away because something it needs is not there. */
import type { QualifiedName } from '../change/relation.ts';
import type { ObjectKey } from '../pg/catalog/user-object.ts';
import type { Draft } from './draft.ts';
import type { Graph } from './graph.ts';
import { ManyLists } from './many-lists.ts';
import type { SchemaModel } from './model.ts';

/** Keys of the included tables; a partition goes with its root, or alone where it is a new one. */
export function selectedTables(
  model: SchemaModel,
  includesTable: (name: QualifiedName) => boolean,
): Set<ObjectKey> {
  const byOid = new Map(model.tables.map(({ info }) => [info.oid, info]));
  return new Set(
    model.tables
      .filter(({ info }) => {
        const root = info.rootOid === null ? info : byOid.get(info.rootOid);
        return (root !== undefined && includesTable(root)) || includesTable(info);
      })
      .map(({ key }) => key),
  );
}

export interface Participation {
  /** Keys of drafts and of pieces. */
  readonly live: ReadonlySet<ObjectKey>;
  /** Drafts and pieces that would be live if something they need were there: id → reason. */
  readonly lost: ReadonlyMap<string, string>;
  /** Live tables that need something which is not there, by key: the reason. */
  readonly incomplete: ReadonlyMap<ObjectKey, string>;
}

/**
 * `absent` are the objects that will not be on the target, with the words for them. What needs one of them is lost, and what
 * needs that; but never a table: without it its rows would be lost too, so its creation fails and says why.
 */
export function participants(
  graph: Graph,
  absent: ReadonlyMap<ObjectKey, string>,
  { selected, wholeDatabase }: { selected: ReadonlySet<ObjectKey>; wholeDatabase: boolean },
): Participation {
  const { lost: lostBecause, tables } = findLost(graph, absent);
  const attached = Map.groupBy(graph.drafts.values(), (one) => one.attachedTo);
  const live = new Set<ObjectKey>();
  const lost = new Map<string, string>();
  const queue: ObjectKey[] = [];
  const reach = (one: Draft) => {
    const reason = lostBecause.get(one.key);
    if (reason === undefined) queue.push(one.key);
    else if (!one.isFollowUp) lost.set(one.id, `needs ${reason}`);
  };
  const take = (key: ObjectKey) => {
    for (const needed of graph.needsOf(key)) if (!live.has(needed)) queue.push(needed);
  };
  for (const one of graph.drafts.values()) {
    if (wholeDatabase ? one.attachedTo === null : selected.has(one.key)) reach(one);
  }
  for (let key = queue.pop(); key !== undefined; key = queue.pop()) {
    const owner = graph.pieces.get(key)?.owner;
    if (owner) queue.push(owner.key);
    const one = graph.drafts.get(key);
    // What is vital takes part without what it needs.
    if (!one || live.has(key) || lostBecause.has(key)) continue;
    live.add(key);
    take(key);
    for (const piece of one.pieces) {
      const reason = lostBecause.get(piece.key);
      if (reason !== undefined) {
        lost.set(piece.id, `needs ${reason}`);
        continue;
      }
      live.add(piece.key);
      take(piece.key);
    }
    for (const other of attached.get(key) ?? []) reach(other);
  }
  const incomplete = new Map(
    [...tables].filter(([key]) => live.has(key)).map(([key, words]) => [key, `needs ${words}`]),
  );
  return { live, lost, incomplete };
}

const NOBODY: Pick<Dependents, 'of'> = { of: () => [] };

type Dependents = ManyLists<ObjectKey, ObjectKey>;

function dependentsIn(graph: Graph): Dependents {
  const dependents: Dependents = new ManyLists();
  for (const keys of [graph.drafts.keys(), graph.pieces.keys()])
    for (const key of keys) for (const needed of graph.needsOf(key)) dependents.add(needed, key);
  return dependents;
}

/** Drafts and pieces that need an absent object, directly or not → the words for what they lack. */
function findLost(
  graph: Graph,
  absent: ReadonlyMap<ObjectKey, string>,
): { lost: Map<ObjectKey, string>; tables: Map<ObjectKey, string> } {
  const dependents = absent.size === 0 ? NOBODY : dependentsIn(graph);
  const lost = new Map<ObjectKey, string>();
  const tables = new Map<ObjectKey, string>();
  const queue = [...absent];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    const [key, words] = next;
    for (const dependent of dependents.of(key)) {
      const one = graph.drafts.get(dependent);
      const isTable = one?.relkind === 'r' || one?.relkind === 'p';
      // A parent that is not selected is done without.
      if (isTable && !words.startsWith('table ')) tables.set(dependent, words);
      if (isTable || one?.isVital || lost.has(dependent)) continue;
      lost.set(dependent, words);
      if (one) queue.push([dependent, `${one.id}, which is not migrated`]);
      const body = graph.pieces.get(dependent);
      if (!body?.piece.isBody || lost.has(body.owner.key)) continue;
      lost.set(body.owner.key, words);
      queue.push([body.owner.key, `${body.owner.id}, which is not migrated`]);
    }
  }
  return { lost, tables };
}
