/**
 * Brings drafts into an order in which each comes after what it needs, and into phases.
 *
 * 1. Cycles are cut by adding pieces (defaults, CHECKs) in steps of their own instead of with their owner.
 * 2. A step's phase is the latest of its own and of those it needs; a piece that would hold its owner back is detached too.
 * 3. A cycle without pieces cannot be cut: its members keep the order in which they were given, and the target says what is missing.
 */
import type { ObjectKey } from '../pg/catalog/user-object.ts';
import { PHASES, type Draft, type Piece, type Phase } from './draft.ts';
import type { Graph } from './graph.ts';

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

export function orderDrafts(graph: Graph, live: ReadonlySet<ObjectKey>): OrderedStep[] {
  const detached = new Set<ObjectKey>();
  cutCycles(graph, live, detached);
  const order = topological(stepKeys(graph, live, detached), (key) =>
    needsOfStep(key, graph, live, detached),
  );
  const phases = new Map<ObjectKey, number>();
  const latest = (keys: Iterable<ObjectKey>, own: number) =>
    [...keys].reduce((phase, key) => Math.max(phase, phases.get(stepOf(key, graph, detached)) ?? 0), own);

  // What a step needs stands before it, so its phase is known; detaching a piece here cannot change an earlier one.
  return order.flatMap((key) => {
    const part = graph.pieces.get(key);
    const owner = graph.drafts.get(key);
    if (part) {
      const phase = latest([part.owner.key, ...livingNeeds(key, graph, live)], 0);
      phases.set(key, phase);
      return [pieceStep(key, part, phaseNamed(phase), needsOfStep(key, graph, live, detached))];
    }
    if (!owner) return [];
    const own = latest(livingNeeds(key, graph, live), PHASES.indexOf(owner.phase));
    phases.set(key, own);
    const staying = owner.pieces.filter((piece) => live.has(piece.key) && !detached.has(piece.key));
    const late = staying.filter((piece) => latest(livingNeeds(piece.key, graph, live), own) > own);
    for (const piece of late) {
      phases.set(piece.key, latest(livingNeeds(piece.key, graph, live), own));
      detached.add(piece.key);
    }
    const step: OrderedStep = {
      key,
      draft: owner,
      pieces: staying.filter((piece) => !late.includes(piece)),
      detached: null,
      phase: phaseNamed(own),
      needs: needsOfStep(key, graph, live, detached),
    };
    const following = late.map((piece) =>
      pieceStep(
        piece.key,
        { piece, owner },
        phaseNamed(phases.get(piece.key) ?? own),
        needsOfStep(piece.key, graph, live, detached),
      ),
    );
    return [step, ...following];
  });
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

/** The step in which an object is created: a piece that is not detached is created with its owner. */
function stepOf(key: ObjectKey, graph: Graph, detached: ReadonlySet<ObjectKey>): ObjectKey {
  const owner = graph.pieces.get(key)?.owner;
  return owner && !detached.has(key) ? owner.key : key;
}

function livingNeeds(key: ObjectKey, graph: Graph, live: ReadonlySet<ObjectKey>): ObjectKey[] {
  return [...graph.needsOf(key)].filter((needed) => live.has(needed));
}

function needsOfStep(
  key: ObjectKey,
  graph: Graph,
  live: ReadonlySet<ObjectKey>,
  detached: ReadonlySet<ObjectKey>,
): ObjectKey[] {
  const part = graph.pieces.get(key);
  const staying = (graph.drafts.get(key)?.pieces ?? []).filter(
    (piece) => live.has(piece.key) && !detached.has(piece.key),
  );
  const direct = [key, ...staying.map((piece) => piece.key)].flatMap((one) => livingNeeds(one, graph, live));
  const steps = new Set(
    [...direct, ...(part ? [part.owner.key] : [])].map((one) => stepOf(one, graph, detached)),
  );
  steps.delete(key);
  return [...steps];
}

function stepKeys(graph: Graph, live: ReadonlySet<ObjectKey>, detached: ReadonlySet<ObjectKey>): ObjectKey[] {
  return [...[...graph.drafts.keys()].filter((key) => live.has(key)), ...detached];
}

/** Detaches the pieces through which cycles run, until there are no cycles or no such pieces. */
function cutCycles(graph: Graph, live: ReadonlySet<ObjectKey>, detached: Set<ObjectKey>): void {
  for (;;) {
    const needs = new Map(
      stepKeys(graph, live, detached).map((key) => [key, needsOfStep(key, graph, live, detached)]),
    );
    const circular = cyclicPart(needs);
    const cut = [...circular].flatMap((key) =>
      (graph.drafts.get(key)?.pieces ?? []).filter(
        (piece) =>
          live.has(piece.key) &&
          !detached.has(piece.key) &&
          livingNeeds(piece.key, graph, live).some((needed) => circular.has(stepOf(needed, graph, detached))),
      ),
    );
    if (cut.length === 0) return;
    for (const piece of cut) detached.add(piece.key);
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
  const back = new Map<ObjectKey, ObjectKey[]>();
  const open = new Map<ObjectKey, number>();
  for (const [key, targets] of edges) {
    const known = targets.filter((target) => edges.has(target));
    open.set(key, known.length);
    for (const target of known) {
      const list = back.get(target);
      if (list) list.push(key);
      else back.set(target, [key]);
    }
  }
  const left = new Set(edges.keys());
  const free = [...open].filter(([, count]) => count === 0).map(([key]) => key);
  for (let key = free.pop(); key !== undefined; key = free.pop()) {
    left.delete(key);
    for (const pointing of back.get(key) ?? []) {
      const count = (open.get(pointing) ?? 0) - 1;
      open.set(pointing, count);
      if (count === 0) free.push(pointing);
    }
  }
  return left;
}

/** Depth first in the given order, so that nothing moves without need. Its own stack: chains of views may be deep. */
function topological(
  keys: readonly ObjectKey[],
  needsOf: (key: ObjectKey) => readonly ObjectKey[],
): ObjectKey[] {
  const order: ObjectKey[] = [];
  const seen = new Set<ObjectKey>();
  for (const root of keys) {
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
