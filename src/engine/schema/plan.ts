/** Makes the plan of a schema migration from the source's model: every step with its SQL, phase and order. Pure. */
import { displayName, type QualifiedName } from '../change/relation.ts';
import type { Dependency } from '../pg/catalog/dependencies.ts';
import type { NotMigratedInfo } from '../pg/catalog/not-migrated.ts';
import { NONE } from '../pg/catalog/shared.ts';
import { type ObjectKey } from '../pg/catalog/user-object.ts';
import { ident } from '../pg/ident.ts';
import { draftAll } from './drafts.ts';
import { PHASES, type Piece, type Phase } from './draft.ts';
import { buildGraph, type Graph } from './graph.ts';
import { extensionsToCreate } from './missing-extensions.ts';
import type { SchemaModel } from './model.ts';
import { orderDrafts, type OrderedStep } from './order.ts';
import { ACCOUNT_OWNS_ALL, type RightsChoice } from './rights/rights-choice.ts';
import { participants, selectedTables } from './scope.ts';
import type { TargetFacts } from './target-facts.ts';
import { refreshKey } from './ddl/view-ddl.ts';

/** In the order of running; the data are copied between the first and the second. */
export type SchemaPhase = Phase;

/** What the user chose. */
export interface SchemaScope {
  /** Asked for tables; a partition goes with its root. */
  includesTable(name: QualifiedName): boolean;
  /** False: only the included tables, what belongs to them and what they need. */
  readonly wholeDatabase: boolean;
  /** Ids of the steps that have been run: a partition that came later joins a table that has its indexes. */
  readonly done: ReadonlySet<string>;
  /** None: everything belongs to the account of the migration. */
  readonly rights?: RightsChoice;
}

/** One object (or part of one) to create on the target. */
export interface SchemaStep {
  /** Stable identity for people and for the record: `table shop.orders`. Unique in a plan. */
  readonly id: string;
  readonly phase: SchemaPhase;
  /** Run in one transaction together with the record. */
  readonly statements: readonly string[];
  /** The relation it creates: a table, sequence, view, materialized view or index. */
  readonly creates: QualifiedName | null;
  /** 'r', 'p', 'S', 'v', 'm' or 'i' of `creates`. */
  readonly relkind: string | null;
  /** What the step belongs to: an index or constraint to its table. Steps of one owner are not run side by side where they are small. */
  readonly owner: string | null;
  /** Ids of steps of the same phase that come first. */
  readonly dependsOn: readonly string[];
  /** Ids of steps, of any phase, without which it cannot be: not those that only come first. None where it is to be tried in any case. */
  readonly needs: readonly string[];
  /** Bytes of the table where its rows are read, else 0. */
  readonly weight: bigint;
}

export interface SchemaPlan {
  /** In an order in which they can run one after the other. */
  readonly steps: readonly SchemaStep[];
  /** `kind name: reason`. */
  readonly notMigrated: readonly string[];
  /** Tables whose creation will fail: they are not left out in silence. */
  readonly blocked: readonly { readonly table: QualifiedName; readonly reason: string }[];
}

/**
 * The steps that create what `scope` includes on the target, and by name what is not created. Extensions are not part of it: see missing-extensions.ts.
 */
export function planSchema(model: SchemaModel, scope: SchemaScope, target: TargetFacts): SchemaPlan {
  const { graph, live, judgement } = judge(model, scope, target);
  return { ...judgement, steps: stepsOf(orderDrafts(graph, live)) };
}

/** What of a plan can be known without its steps, which are the most of it. */
export type SchemaJudgement = Omit<SchemaPlan, 'steps'>;

/** Only what cannot be created, and what is left out. */
export function judgeSchema(model: SchemaModel, scope: SchemaScope, target: TargetFacts): SchemaJudgement {
  return judge(model, scope, target).judgement;
}

interface Judged {
  readonly graph: Graph;
  readonly live: ReadonlySet<ObjectKey>;
  readonly judgement: SchemaJudgement;
}

function judge(whole: SchemaModel, scope: SchemaScope, target: TargetFacts): Judged {
  const model = { ...whole, notMigrated: whole.notMigrated.filter((one) => !isThere(one, target)) };
  const selected = selectedTables(model, (name) => scope.includesTable(name));
  const { done, rights = ACCOUNT_OWNS_ALL } = scope;
  const { drafts, leftOut, missing, blocked, remarks } = draftAll(model, target, { selected, done, rights });
  const extensions = new Set([...target.extensions, ...target.creatable]);
  const others = otherObjects(model, { selected, missing, extensions });
  const graph = orderRefreshes(
    model,
    buildGraph(drafts, [...model.dependencies, ...membersAsParts(model, target)], new Set(others.keys())),
  );
  const { live, lost, incomplete } = participants(graph, others, {
    selected,
    wholeDatabase: scope.wholeDatabase,
  });
  const judgement: SchemaJudgement = {
    blocked: model.tables.flatMap(({ key, info }) => {
      const reason = blocked.get(key) ?? incomplete.get(key);
      return reason === undefined ? [] : [{ table: info, reason }];
    }),
    notMigrated: [
      ...unknownKinds(model, graph, { live, wholeDatabase: scope.wholeDatabase }),
      ...[...leftOut, ...lost].map(([id, reason]) => `${id}: ${reason}`),
      ...remarks
        .filter(({ object }) => (object === null ? scope.wholeDatabase : live.has(object)))
        .map(({ id, reason }) => `${id}: ${reason}`),
    ],
  };
  return { graph, live, judgement };
}

/** What uses a member of an extension that is to be created needs the extension. */
function membersAsParts(model: SchemaModel, target: TargetFacts): Dependency[] {
  const created = new Map(extensionsToCreate(model, target).map(({ name, key }) => [name, key]));
  return model.extensionMembers.flatMap(({ key, extension }) => {
    const on = created.get(extension);
    return on === undefined ? [] : [{ object: key, on, isPart: true }];
  });
}

/** A table is made without it, and an index not at all: their writers say so. */
function isAccessMethod(key: ObjectKey): boolean {
  return key.startsWith('pg_am:');
}

/** What we do not create, but the target has under the same name. */
function isThere({ kind, name }: NotMigratedInfo, { languages, accessMethods }: TargetFacts): boolean {
  const has = (names: ReadonlySet<string>) => [...names].some((one) => one === name || ident(one) === name);
  return (kind === 'language' && has(languages)) || (kind === 'access method' && has(accessMethods));
}

/** Objects that will not be on the target, with the words for them. */
function otherObjects(
  model: SchemaModel,
  {
    selected,
    missing,
    extensions,
  }: {
    selected: ReadonlySet<ObjectKey>;
    missing: ReadonlyMap<ObjectKey, string>;
    extensions: ReadonlySet<string>;
  },
): Map<ObjectKey, string> {
  return new Map([
    ...model.extensionMembers
      .filter(({ key, extension }) => !extensions.has(extension) && !isAccessMethod(key))
      .map(({ key, extension }) => [key, `extension ${extension}, which the target lacks`] as const),
    ...model.tables
      .filter(({ key }) => !selected.has(key))
      .map(({ key, info }) => [key, `table ${displayName(info)}, which is not selected`] as const),
    ...model.notMigrated
      .filter(({ key }) => !isAccessMethod(key))
      .map(({ key, kind, name, isQuiet, reason }) => {
        return [key, `${kind} ${name}, which ${isQuiet ? reason : 'is not migrated'}`] as const;
      }),
    ...[...missing].map(([key, id]) => [key, `${id}, which is not migrated`] as const),
  ]);
}

/** An object of a kind that is not migrated is worth a line when it touches a migrated table, or in a migration of everything when it touches none. */
function unknownKinds(
  model: SchemaModel,
  graph: Graph,
  { live, wholeDatabase }: { live: ReadonlySet<ObjectKey>; wholeDatabase: boolean },
): string[] {
  const tables = new Set(model.tables.map((table) => table.key));
  return model.notMigrated
    .filter(({ key, isQuiet }) => {
      if (isQuiet) return false;
      const touched = graph.needsOf(key).filter((needed) => tables.has(needed));
      return touched.length > 0 ? touched.some((table) => live.has(table)) : wholeDatabase;
    })
    .map(({ kind, name, reason }) => `${kind} ${name}: ${reason}`);
}

/** A materialized view is filled after those it reads, also through views and functions. */
function orderRefreshes(model: SchemaModel, graph: Graph): Graph {
  const refreshes = new Map(
    model.views
      .filter((view) => view.isMaterialized && graph.drafts.has(refreshKey(view)))
      .map((view) => [view.key, refreshKey(view)]),
  );
  const added = new Map<ObjectKey, readonly ObjectKey[]>();
  for (const [view, refresh] of refreshes) {
    const seen = new Set<ObjectKey>([view]);
    for (const key of seen) {
      // A table reads nothing, and what another one reads stands in its own refresh.
      const draft = graph.drafts.get(key);
      if (draft?.relkind === 'r' || draft?.relkind === 'p' || (key !== view && refreshes.has(key))) continue;
      for (const needed of graph.needsOf(key)) seen.add(needed);
      for (const piece of draft?.pieces ?? []) if (piece.isBody) seen.add(piece.key);
    }
    const before = [...seen].flatMap((key) => (key === view ? [] : (refreshes.get(key) ?? [])));
    added.set(refresh, [...new Set([...graph.needsOf(refresh), ...before])]);
  }
  return { ...graph, needsOf: (key) => added.get(key) ?? graph.needsOf(key) };
}

function stepsOf(ordered: Iterable<OrderedStep>): SchemaStep[] {
  const made = new Map<ObjectKey, SchemaStep>();
  const waiting = new Set<string>();
  for (const step of ordered) {
    made.set(step.key, stepOf(step, made));
    if (step.draft.waitsForIndexes) waiting.add(step.draft.id);
  }
  const steps = [...made.values()];
  return PHASES.flatMap((phase) =>
    withWaits(
      steps.filter((step) => step.phase === phase),
      waiting,
    ),
  );
}

/** `made`: the steps that stand before it. */
function stepOf(step: OrderedStep, made: ReadonlyMap<ObjectKey, SchemaStep>): SchemaStep {
  const { draft, phase, needs } = step;
  const whole = step.detached === null ? draft : null;
  // Only what stands before counts: of a cycle that cannot be cut, one link is missing here.
  const before = (key: ObjectKey) => made.get(key) ?? [];
  const real = draft.isVital ? NONE : needs.filter((key) => !draft.follows.includes(key));
  return {
    id: step.detached?.id ?? draft.id,
    phase,
    statements: statementsOf(step),
    creates: whole?.creates ?? null,
    relkind: whole?.relkind ?? null,
    owner: draft.attachedTo,
    dependsOn: idsOf(needs.flatMap(before).filter((needed) => needed.phase === phase)),
    needs: idsOf(real.flatMap(before)),
    weight: whole?.weight ?? 0n,
  };
}

function idsOf(steps: readonly SchemaStep[]): readonly string[] {
  return steps.length === 0 ? NONE : steps.map(({ id }) => id);
}

/** A constraint that takes an index over wants the table for itself: it is not begun while one is built, and keeps none from beginning. */
function withWaits(steps: readonly SchemaStep[], waiting: ReadonlySet<string>): SchemaStep[] {
  const indexes = Map.groupBy(
    steps.filter(({ relkind }) => relkind === 'i'),
    ({ owner }) => owner,
  );
  const byId = new Map(steps.map((step) => [step.id, step]));
  return steps.map((step) => {
    if (!waiting.has(step.id)) return step;
    const ofTable = (indexes.get(step.owner) ?? []).flatMap(({ id }) =>
      needs(id, step.id, byId) ? [] : [id],
    );
    return { ...step, dependsOn: [...new Set([...step.dependsOn, ...ofTable])] };
  });
}

/** Whether a step needs another, also through others: an index over a function over a view that needs the primary key. */
function needs(id: string, wanted: string, steps: ReadonlyMap<string, SchemaStep>): boolean {
  const seen = new Set([id]);
  for (const one of seen) for (const next of steps.get(one)?.dependsOn ?? []) seen.add(next);
  return seen.has(wanted);
}

/** Kept texts are joined, and not pasted together: a paste holds its parts. */
function statementsOf({ draft, pieces, detached }: OrderedStep): readonly string[] {
  if (detached) return [[detached.onLater, detached.command].join(' '), ...detached.after];
  const isWhole = draft.stub.length === 0 || pieces.some((piece) => piece.isBody);
  const create = isWhole ? draft.create : draft.stub;
  if (pieces.length + draft.after.length === 0) return create;
  return [...create, ...piecesSql(pieces), ...pieces.flatMap((piece) => piece.after), ...draft.after];
}

function piecesSql(all: readonly Piece[]): string[] {
  const pieces = all.filter((piece) => !piece.isBody);
  const joined = [
    ...Map.groupBy(
      pieces.filter((piece) => piece.joins),
      (piece) => piece.on,
    ),
  ].map(([on, group]) => [on, group.map((piece) => piece.command).join(', ')].join(' '));
  const single = pieces.filter((piece) => !piece.joins).map((piece) => [piece.on, piece.command].join(' '));
  return [...joined, ...single];
}
