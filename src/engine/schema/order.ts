/**
 * Brings drafts into an order in which each comes after what it needs, and into phases.
 *
 * 1. Cycles are cut by adding pieces (defaults, CHECKs, the query of a view) in steps of their own instead of with their owner.
 * 2. A step's phase is the latest of its own and of those it needs; a piece that would hold its owner back is detached too.
 * 3. A cycle without pieces cannot be cut: its members keep the order in which they were given, and the target says what is missing.
 */
import { NONE } from '../pg/catalog/shared.ts';
import { type ObjectKey } from '../pg/catalog/user-object.ts';
import { PHASES, type Draft, type Piece, type Phase } from './draft.ts';
import type { Graph } from './graph.ts';
import { ManyLists } from './many-lists.ts';

/** A draft with the pieces that stay with it, or a detached piece of it. */
export interface OrderedStep {
  readonly key: ObjectKey;
  readonly draft: Draft;
  readonly pieces: readonly Piece[];
  readonly detached: Piece | null;
  readonly phase: Phase;
  /** Keys of the steps that come before. */
  readonly needs: readonly ObjectKey[];
}

/** One after the other: of each only what becomes of it is kept. */
export function* orderDrafts(graph: Graph, live: ReadonlySet<ObjectKey>): Generator<OrderedStep> {
  const steps = new Steps(graph, live);
  const needs = cutCycles(steps);
  // What is detached on the way changes what later steps need.
  let hasChanged = false;
  const needsOf = (key: ObjectKey) => (hasChanged ? steps.needsOf(key) : (needs.get(key) ?? []));
  const phases = new Map<ObjectKey, number>();
  const latest = (keys: Iterable<ObjectKey>, own: number) => {
    let phase = own;
    for (const key of keys) phase = Math.max(phase, phases.get(steps.stepOf(key)) ?? 0);
    return phase;
  };

  // What a step needs stands before it, so its phase is known; detaching a piece here cannot change an earlier one.
  for (const key of topological(needs)) {
    const part = graph.pieces.get(key);
    const owner = graph.drafts.get(key);
    if (part) {
      const phase = latest([part.owner.key, ...steps.livingNeeds(key)], 0);
      phases.set(key, phase);
      yield pieceStep(key, part, phaseNamed(phase), needsOf(key));
      continue;
    }
    if (!owner) continue;
    const staying = steps.staying(owner);
    let own = latest(steps.livingNeeds(key), PHASES.indexOf(owner.phase));
    for (const piece of staying) if (piece.isBody) own = latest(steps.livingNeeds(piece.key), own);
    phases.set(key, own);
    const late = staying.filter((piece) => !piece.isBody && latest(steps.livingNeeds(piece.key), own) > own);
    for (const piece of late) {
      phases.set(piece.key, latest(steps.livingNeeds(piece.key), own));
      steps.detach(piece);
      hasChanged = true;
    }
    const pieces = late.length === 0 ? staying : steps.staying(owner);
    yield { key, draft: owner, detached: null, phase: phaseNamed(own), pieces, needs: needsOf(key) };
    for (const piece of late)
      yield pieceStep(
        piece.key,
        { piece, owner },
        phaseNamed(phases.get(piece.key) ?? own),
        needsOf(piece.key),
      );
  }
}

function pieceStep(
  key: ObjectKey,
  { piece, owner }: { piece: Piece; owner: Draft },
  phase: Phase,
  needs: readonly ObjectKey[],
): OrderedStep {
  return { key, draft: owner, pieces: [], detached: piece, phase, needs };
}

function phaseNamed(index: number): Phase {
  return PHASES[index] ?? 'post-data';
}

/** The live drafts and pieces, while pieces are detached one after the other. */
class Steps {
  readonly graph: Graph;
  private readonly live: ReadonlySet<ObjectKey>;
  private readonly detached = new Set<ObjectKey>();

  constructor(graph: Graph, live: ReadonlySet<ObjectKey>) {
    this.graph = graph;
    this.live = live;
  }

  detach(piece: Piece): void {
    this.detached.add(piece.key);
  }

  keys(): ObjectKey[] {
    return [...[...this.graph.drafts.keys()].filter((key) => this.live.has(key)), ...this.detached];
  }

  /** The pieces that are created with their owner. */
  staying({ pieces }: Draft): readonly Piece[] {
    const stays = ({ key }: Piece) => this.live.has(key) && !this.detached.has(key);
    return pieces.every(stays) ? pieces : pieces.filter(stays);
  }

  livingNeeds(key: ObjectKey): readonly ObjectKey[] {
    return this.graph.needsOf(key).filter((needed) => this.live.has(needed));
  }

  /** The step in which an object is created: a piece that is not detached is created with its owner. */
  stepOf(key: ObjectKey): ObjectKey {
    const owner = this.graph.pieces.get(key)?.owner;
    return owner && !this.detached.has(key) ? owner.key : key;
  }

  /** The steps that one needs, with its pieces. */
  needsOf(key: ObjectKey): ObjectKey[] {
    const found = new Set<ObjectKey>(this.livingNeeds(key).map((needed) => this.stepOf(needed)));
    const draft = this.graph.drafts.get(key);
    if (draft && draft.pieces.length > 0)
      for (const piece of this.staying(draft))
        for (const needed of this.livingNeeds(piece.key)) found.add(this.stepOf(needed));
    const part = this.graph.pieces.get(key);
    if (part) found.add(part.owner.key);
    found.delete(key);
    return [...found];
  }
}

/** Detaches the pieces through which cycles run, until there are no cycles or no such pieces. What every step needs then. */
function cutCycles(steps: Steps): Map<ObjectKey, ObjectKey[]> {
  for (;;) {
    const needs = new Map(steps.keys().map((key) => [key, steps.needsOf(key)]));
    if (isAcyclic(needs)) return needs;
    const circular = cyclicPart(needs);
    const through = [...circular].flatMap((key) => {
      const draft = steps.graph.drafts.get(key);
      return (draft ? steps.staying(draft) : []).filter((piece) =>
        steps.livingNeeds(piece.key).some((needed) => circular.has(steps.stepOf(needed))),
      );
    });
    if (through.length === 0) return needs;
    // A view is made twice only where nothing else helps.
    const simple = through.filter((piece) => !piece.isBody);
    for (const piece of simple.length > 0 ? simple : through) steps.detach(piece);
  }
}

/** What is left when steps that need nothing more and steps nothing needs are taken away again and again: cycles and what lies between them. */
function cyclicPart(needs: ReadonlyMap<ObjectKey, readonly ObjectKey[]>): Set<ObjectKey> {
  const withoutSources = peel(needs);
  const reversed = new Map<ObjectKey, ObjectKey[]>([...withoutSources].map((key) => [key, []]));
  for (const key of withoutSources)
    for (const needed of needs.get(key) ?? []) reversed.get(needed)?.push(key);
  return peel(reversed);
}

/** Takes away, again and again, what points at nothing that is left. */
function peel(edges: ReadonlyMap<ObjectKey, readonly ObjectKey[]>): Set<ObjectKey> {
  const back = new ManyLists<ObjectKey, ObjectKey>();
  const open = new Map<ObjectKey, number>();
  const free: ObjectKey[] = [];
  for (const [key, targets] of edges) {
    const known = targets.filter((target) => edges.has(target));
    open.set(key, known.length);
    if (known.length === 0) free.push(key);
    for (const target of known) back.add(target, key);
  }
  const left = new Set(edges.keys());
  for (let key = free.pop(); key !== undefined; key = free.pop()) {
    left.delete(key);
    for (const pointing of back.of(key)) {
      const count = (open.get(pointing) ?? 0) - 1;
      open.set(pointing, count);
      if (count === 0) free.push(pointing);
    }
  }
  return left;
}

/** In the order of running, each comes after all that it needs only where nothing needs itself. */
function isAcyclic(needs: ReadonlyMap<ObjectKey, readonly ObjectKey[]>): boolean {
  const before = new Set<ObjectKey>();
  return topological(needs).every((key) => {
    before.add(key);
    return (needs.get(key) ?? NONE).every((needed) => before.has(needed) || !needs.has(needed));
  });
}

/** Depth first in the given order, so that nothing moves without need. Its own stack: chains of views may be deep. */
function topological(needs: ReadonlyMap<ObjectKey, readonly ObjectKey[]>): ObjectKey[] {
  const needsOf = (key: ObjectKey) => needs.get(key) ?? NONE;
  const order: ObjectKey[] = [];
  const seen = new Set<ObjectKey>();
  for (const root of needs.keys()) {
    if (seen.has(root)) continue;
    seen.add(root);
    const path = [{ key: root, left: [...needsOf(root)].toReversed() }];
    for (let top = path.at(-1); top; top = path.at(-1)) {
      const next = top.left.pop();
      if (next === undefined) {
        order.push(top.key);
        path.pop();
      } else if (!seen.has(next)) {
        seen.add(next);
        path.push({ key: next, left: [...needsOf(next)].toReversed() });
      }
    }
  }
  return order;
}
