/** All drafts of a model, in the order in which they would run if nothing depended on anything. */
import type { QualifiedName } from '../change/relation.ts';
import type { ObjectKey } from '../pg/catalog/user-object.ts';
import type { Draft, DraftContext } from './draft.ts';
import { extensionDrafts } from './ddl/extension-ddl.ts';
import { foreignKeyDrafts } from './ddl/foreign-key-ddl.ts';
import { indexDrafts } from './ddl/index-ddl.ts';
import type { SchemaModel } from './model.ts';
import { aggregateDrafts, routineDrafts } from './ddl/routine-ddl.ts';
import { castDrafts, operatorDrafts } from './ddl/operator-ddl.ts';
import { operatorClassDrafts } from './ddl/operator-class-ddl.ts';
import { policyDrafts } from './ddl/policy-ddl.ts';
import { rightsDrafts } from './ddl/rights-ddl.ts';
import { roleDrafts, rolesToCreate, withRoles } from './ddl/role-ddl.ts';
import { sequenceDrafts } from './ddl/sequence-ddl.ts';
import { statisticsDrafts } from './ddl/statistics-ddl.ts';
import { tableDrafts } from './ddl/table-ddl.ts';
import { collationDrafts, conversionDrafts } from './ddl/text-ddl.ts';
import { textSearchDrafts } from './ddl/text-search-ddl.ts';
import { ruleDrafts, triggerDrafts } from './ddl/trigger-ddl.ts';
import { schemaDrafts, typeDrafts } from './ddl/type-ddl.ts';
import { refreshDrafts, viewDrafts } from './ddl/view-ddl.ts';
import type { RightsChoice } from './rights/rights-choice.ts';
import { absences } from './since.ts';
import type { TargetFacts } from './target-facts.ts';

export interface Drafts {
  readonly drafts: readonly Draft[];
  /** What the target cannot have, by the id of the object it concerns: why. */
  readonly leftOut: ReadonlyMap<string, string>;
  /** Those of them that are not created at all: their ids by key. */
  readonly missing: ReadonlyMap<ObjectKey, string>;
  /** Tables that the target cannot have, by key: why. */
  readonly blocked: ReadonlyMap<ObjectKey, string>;
  /** What objects that are created do not have; null is the whole database. */
  readonly remarks: readonly Remark[];
}

interface Remark {
  readonly object: ObjectKey | null;
  readonly id: string;
  readonly reason: string;
}

export function draftAll(
  model: SchemaModel,
  facts: TargetFacts,
  {
    selected,
    done,
    rights,
  }: {
    selected: ReadonlySet<ObjectKey>;
    done: ReadonlySet<string>;
    rights: RightsChoice;
  },
): Drafts {
  const createdRoles = rolesToCreate(model, facts, rights);
  const target = withRoles(facts, createdRoles);
  const remarks: Remark[] = [];
  const leftOut = new Map<string, string>();
  const missing = new Map<ObjectKey, string>();
  const blocked = new Map<ObjectKey, string>();
  const context: DraftContext = {
    model,
    target,
    targetVersion: target.version,
    tables: new Map(model.tables.map((table) => [table.key, table])),
    relations: new Map<ObjectKey, QualifiedName>([
      ...model.tables.map(({ key, info }) => [key, info] as const),
      ...model.views.map((view) => [view.key, view] as const),
    ]),
    comments: Map.groupBy(model.comments, (comment) => comment.object),
    rights,
    createdRoles,
    isSelected: (table) => selected.has(table),
    isDone: (id) => done.has(id),
    leaveOut: (id, reason, key) => {
      leftOut.set(id, reason);
      if (key !== undefined) missing.set(key, id);
    },
    lack: (id, key) => missing.set(key, id),
    remark: (object, id, reason) => remarks.push({ object, id, reason }),
    block: (table, reason) => blocked.set(table, reason),
  };
  for (const { object, aspect, id, reason } of model.lostInMerging) {
    const isWanted = { owner: rights.owners === 'keep', grants: rights.grants === 'keep', comment: true };
    if (isWanted[aspect]) context.remark(object, id, reason);
  }
  const objects = [
    schemaDrafts,
    extensionDrafts,
    collationDrafts,
    typeDrafts,
    sequenceDrafts,
    textSearchDrafts,
    // A cast, and what an operator class is for, is used without the catalog of dependencies knowing of it.
    operatorDrafts,
    operatorClassDrafts,
    castDrafts,
    conversionDrafts,
    tableDrafts,
    routineDrafts,
    aggregateDrafts,
    viewDrafts,
    statisticsDrafts,
    indexDrafts,
    foreignKeyDrafts,
    refreshDrafts,
    ruleDrafts,
    triggerDrafts,
    policyDrafts,
  ].flatMap((write) => write(context));
  const drafts = [...roleDrafts(context), ...objects, ...rightsDrafts(context, objects)];
  return { drafts: possible(drafts, context), leftOut, missing, blocked, remarks };
}

/** Without what uses something of the source's server that the target's does not have, or cannot be put into the target's names. */
function possible(drafts: readonly Draft[], context: DraftContext): readonly Draft[] {
  const { unwritable, toLookAt } = context.model;
  const absent = absences(context.model, context.target);
  if (absent === null && unwritable.size + toLookAt.size === 0) return drafts;
  const find = (key: ObjectKey, sql: string | null, isOurs: boolean) =>
    unwritable.get(key) ?? (sql === null ? null : (absent?.(sql, isOurs) ?? null));
  return drafts.flatMap((one) => {
    const isOurs = one.phase === 'pre-data' && one.relkind !== 'v' && one.relkind !== 'm';
    const reason = find(one.key, one.create.join('\n'), isOurs);
    const look = toLookAt.get(one.key);
    if (look !== undefined) context.leaveOut(`${look.part} of ${one.id}`, look.reason);
    if (reason !== null && one.relkind !== 'r' && one.relkind !== 'p') {
      context.leaveOut(one.id, reason, one.key);
      return [];
    }
    if (reason !== null) context.block(one.key, reason);
    const pieces = one.pieces.filter((piece) => {
      const lacks = piece.isBody ? null : find(piece.key, piece.command, false);
      if (lacks !== null) context.leaveOut(piece.id, lacks, piece.key);
      return lacks === null;
    });
    return [pieces.length === one.pieces.length ? one : { ...one, pieces }];
  });
}
