/** All drafts of a model, in the order in which they would run if nothing depended on anything. */
import type { QualifiedName } from '../change/relation.ts';
import type { ObjectKey } from '../pg/catalog/user-object.ts';
import type { Draft, DraftContext } from './draft.ts';
import { foreignKeyDrafts } from './ddl/foreign-key-ddl.ts';
import { indexDrafts } from './ddl/index-ddl.ts';
import type { SchemaModel } from './model.ts';
import { aggregateDrafts, routineDrafts } from './ddl/routine-ddl.ts';
import { sequenceDrafts } from './ddl/sequence-ddl.ts';
import { tableDrafts } from './ddl/table-ddl.ts';
import { ruleDrafts, triggerDrafts } from './ddl/trigger-ddl.ts';
import { schemaDrafts, typeDrafts } from './ddl/type-ddl.ts';
import { refreshDrafts, viewDrafts } from './ddl/view-ddl.ts';

export interface Drafts {
  readonly drafts: readonly Draft[];
  /** What the target cannot have, by the id of the object it concerns: why. */
  readonly leftOut: ReadonlyMap<string, string>;
  /** Those of them that are not created at all: their ids by key. */
  readonly missing: ReadonlyMap<ObjectKey, string>;
}

export function draftAll(
  model: SchemaModel,
  targetVersion: number,
  { selected, done }: { selected: ReadonlySet<ObjectKey>; done: ReadonlySet<string> },
): Drafts {
  const leftOut = new Map<string, string>();
  const missing = new Map<ObjectKey, string>();
  const context: DraftContext = {
    model,
    targetVersion,
    tables: new Map(model.tables.map((table) => [table.key, table])),
    relations: new Map<ObjectKey, QualifiedName>([
      ...model.tables.map(({ key, info }) => [key, info] as const),
      ...model.views.map((view) => [view.key, view] as const),
    ]),
    comments: Map.groupBy(model.comments, (comment) => comment.object),
    isSelected: (table) => selected.has(table),
    isDone: (id) => done.has(id),
    leaveOut: (id, reason, key) => {
      leftOut.set(id, reason);
      if (key !== undefined) missing.set(key, id);
    },
  };
  const drafts = [
    schemaDrafts,
    typeDrafts,
    sequenceDrafts,
    tableDrafts,
    routineDrafts,
    aggregateDrafts,
    viewDrafts,
    indexDrafts,
    foreignKeyDrafts,
    refreshDrafts,
    ruleDrafts,
    triggerDrafts,
  ].flatMap((write) => write(context));
  return { drafts, leftOut, missing };
}
