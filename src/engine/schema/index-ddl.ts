/** Drafts of indexes and of the constraints that are made of them: built after the data, partitions before their parents. */
import type { ConstraintInfo } from '../pg/catalog/constraints.ts';
import type { IndexInfo } from '../pg/catalog/indexes.ts';
import type { ObjectKey } from '../pg/catalog/user-object.ts';
import { ident, qname } from '../pg/ident.ts';
import { commentsOn, draft, optionsSql, type Draft, type DraftContext } from './draft.ts';
import { objectId } from './object-id.ts';

/** What the drafts of one table's indexes have in common. */
interface IndexParts {
  readonly context: DraftContext;
  /** The draft that makes an index: of its constraint, or of itself. */
  readonly makers: ReadonlyMap<ObjectKey, ObjectKey>;
  readonly children: ReadonlyMap<ObjectKey | null, readonly IndexInfo[]>;
}

export function indexDrafts(context: DraftContext): Draft[] {
  const { indexes, constraints } = context.model;
  const constraintOf = new Map(
    constraints.flatMap((constraint) => (constraint.index === null ? [] : [[constraint.index, constraint]])),
  );
  const parts: IndexParts = {
    context,
    makers: new Map(indexes.map(({ key }) => [key, constraintOf.get(key)?.key ?? key])),
    children: Map.groupBy(indexes, (index) => index.parent),
  };
  // Two constraints of one table at the same time would deadlock: each builds its index under a lock that both may hold,
  // then wants the table for itself. So they form a chain.
  const lastOfTable = new Map<ObjectKey, ObjectKey>();
  return indexes.flatMap((index) => {
    if (context.tables.has(index.table) && !context.isSelected(index.table)) return [];
    const constraint = constraintOf.get(index.key);
    const id = constraint ? constraintId(constraint, context) : objectId('index', index.schema, index.name);
    const reason = unacceptable(index, constraint, context);
    if (reason !== null) {
      context.leaveOut(id, reason, constraint?.key ?? index.key);
      return [];
    }
    const previous = lastOfTable.get(index.table);
    if (constraint) lastOfTable.set(index.table, constraint.key);
    return [
      indexDraft(index, { id, constraint, after: constraint && previous ? [previous] : [], ...parts }),
      ...markDrafts(index, id, parts),
    ];
  });
}

function constraintId({ kind, table, name }: ConstraintInfo, { relations }: DraftContext): string {
  const relation = relations.get(table);
  const word = kind === 'primary key' ? kind : `${kind} constraint`;
  return objectId(word, ...(relation ? [relation.schema, relation.name] : []), name);
}

/** Why the target cannot have this index, or null. */
function unacceptable(
  index: IndexInfo,
  constraint: ConstraintInfo | undefined,
  { targetVersion }: DraftContext,
): string | null {
  if (!index.valid && !index.isPartitioned)
    return 'it is invalid on the source (a CREATE INDEX CONCURRENTLY that failed)';
  if (constraint?.temporal && targetVersion < 180_000)
    return 'WITHOUT OVERLAPS needs PostgreSQL 18 on the target';
  if (index.nullsNotDistinct && targetVersion < 150_000)
    return 'NULLS NOT DISTINCT needs PostgreSQL 15 on the target';
  if (index.hasIncluded && targetVersion < 110_000) return 'INCLUDE needs PostgreSQL 11 on the target';
  if (index.isPartitioned && targetVersion < 110_000)
    return 'indexes of partitioned tables need PostgreSQL 11 on the target; those of the partitions are created';
  if (index.isPartitioned && constraint?.kind === 'exclusion' && targetVersion < 170_000)
    return 'exclusion constraints of partitioned tables need PostgreSQL 17 on the target';
  return null;
}

interface OneIndex extends IndexParts {
  readonly id: string;
  readonly constraint: ConstraintInfo | undefined;
  readonly after: readonly ObjectKey[];
}

function indexDraft(index: IndexInfo, parts: OneIndex): Draft {
  const { context, constraint, children, makers } = parts;
  const table = context.relations.get(index.table);
  const on = table ? qname(table) : '';
  const partitions = children.get(index.key) ?? [];
  return draft({
    key: constraint?.key ?? index.key,
    id: parts.id,
    phase: 'index',
    create: [
      ...(constraint ? constraintSql(index, constraint, on) : [index.definition]),
      ...partitions.map((child) => `ALTER INDEX ${qname(index)} ATTACH PARTITION ${qname(child)}`),
      ...index.statistics.map(
        ({ position, target }) =>
          `ALTER INDEX ${qname(index)} ALTER COLUMN ${position} SET STATISTICS ${target}`,
      ),
      ...commentsOn(context, index.key, `INDEX ${qname(index)}`),
      ...(constraint
        ? commentsOn(context, constraint.key, `CONSTRAINT ${ident(constraint.name)} ON ${on}`)
        : []),
    ],
    needs: [index.table, ...parts.after, ...partitions.map((child) => makers.get(child.key) ?? child.key)],
    attachedTo: index.table,
    creates: { schema: index.schema, name: index.name },
    relkind: 'i',
    weight: index.isPartitioned ? 0n : (context.tables.get(index.table)?.info.bytes ?? 0n),
  });
}

/**
 * PRIMARY KEY and UNIQUE of a table with rows: the index is built under a lock that lets other indexes of the table be built,
 * and only then made a constraint. On a partitioned table the constraint starts empty and takes the partitions' indexes in.
 */
function constraintSql(index: IndexInfo, constraint: ConstraintInfo, on: string): string[] {
  const add = `ALTER TABLE ONLY ${on} ADD CONSTRAINT ${ident(constraint.name)}`;
  if (index.isPartitioned || constraint.kind === 'exclusion' || constraint.temporal) {
    const options = optionsSql(index.options);
    return [
      `${add} ${constraint.definition}`,
      ...(options.length > 0 ? [`ALTER INDEX ${qname(index)} SET (${options.join(', ')})`] : []),
    ];
  }
  const deferral = constraint.deferrable
    ? ` DEFERRABLE INITIALLY ${constraint.deferred ? 'DEFERRED' : 'IMMEDIATE'}`
    : '';
  return [
    index.definition,
    `${add} ${constraint.kind.toUpperCase()} USING INDEX ${ident(index.name)}${deferral}`,
  ];
}

/** CLUSTER and REPLICA IDENTITY marks lock the table against index builds, so they wait until all are done. */
function markDrafts(index: IndexInfo, id: string, { context, makers }: IndexParts): Draft[] {
  const table = context.relations.get(index.table);
  if (!table) return [];
  const marks = [
    ...(index.clustered ? [{ word: 'cluster', sql: `CLUSTER ON ${ident(index.name)}` }] : []),
    ...(index.replicaIdentity
      ? [{ word: 'replica identity', sql: `REPLICA IDENTITY USING INDEX ${ident(index.name)}` }]
      : []),
  ];
  return marks.map(({ word, sql }) =>
    draft({
      key: `${word}:${index.key}`,
      id: `${word} mark of ${id}`,
      phase: 'post-data',
      create: [`ALTER TABLE ${qname(table)} ${sql}`],
      needs: [makers.get(index.key) ?? index.key],
      attachedTo: index.table,
      isFollowUp: true,
    }),
  );
}
