/** Drafts of indexes and of the constraints that are made of them: built after the data, partitions before their parents. */
import type { ConstraintInfo } from '../../pg/catalog/constraints/constraints.ts';
import type { IndexInfo } from '../../pg/catalog/constraints/indexes.ts';
import type { ObjectKey } from '../../pg/catalog/user-object.ts';
import { ident, qname } from '../../pg/ident.ts';
import { commentsOn, draft, knownOptions, optionsSql, type Draft, type DraftContext } from '../draft.ts';
import { objectId } from '../object-id.ts';
import { attachKey } from './table-ddl.ts';

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
  const accepted = indexes.flatMap((index): OneIndex[] => {
    if (context.tables.has(index.table) && !context.isSelected(index.table)) return [];
    const constraint = constraintOf.get(index.key);
    const id = constraint ? constraintId(constraint, context) : objectId('index', index.schema, index.name);
    const reason = unacceptable(index, constraint, context);
    if (reason === null) return [{ index, id, constraint }];
    context.leaveOut(id, reason, constraint?.key ?? index.key);
    return [];
  });
  return [...Map.groupBy(accepted, ({ index }) => index.table).values()].flatMap((ofTable) =>
    tableDrafts(ofTable, parts),
  );
}

interface OneIndex {
  readonly index: IndexInfo;
  readonly id: string;
  readonly constraint: ConstraintInfo | undefined;
}

/**
 * All indexes of a table are built first, side by side under a lock that they share. A constraint wants the table for itself: it would
 * stand and wait for the builds under way, and keep others from beginning. So constraints come last, one after the other.
 */
function tableDrafts(ofTable: readonly OneIndex[], parts: IndexParts): Draft[] {
  let previous: readonly ObjectKey[] = [];
  return ofTable.flatMap((one) => {
    const { index, id, constraint } = one;
    const isApart = isBuiltApart(one);
    const [after, follows] = [isApart ? [buildKey(index)] : [], constraint ? previous : []];
    if (constraint) previous = [constraint.key];
    return [
      ...(isApart ? [buildDraft(one, parts)] : []),
      indexDraft(one, { ...parts, after, follows }),
      ...markDrafts(index, id, parts),
    ];
  });
}

function buildKey(index: IndexInfo): ObjectKey {
  return `build:${index.key}`;
}

/** PRIMARY KEY and UNIQUE take over an index that stands already; the others, and those of partitioned tables, make their own. */
function isBuiltApart({ index, constraint }: OneIndex): boolean {
  return (
    constraint !== undefined &&
    !index.isPartitioned &&
    constraint.kind !== 'exclusion' &&
    !constraint.temporal
  );
}

function buildDraft({ index, id }: OneIndex, { context }: IndexParts): Draft {
  return draft({
    key: buildKey(index),
    id: `index of ${id}`,
    phase: 'index',
    create: [definitionOf(index, id, context)],
    needs: [index.table],
    attachedTo: index.table,
    creates: { schema: index.schema, name: index.name },
    relkind: 'i',
    weight: context.tables.get(index.table)?.info.bytes ?? 0n,
    isFollowUp: true,
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
  { targetVersion, target }: DraftContext,
): string | null {
  if (!index.valid && !index.isPartitioned)
    return 'it is invalid on the source (a CREATE INDEX CONCURRENTLY that failed)';
  if (constraint?.temporal && targetVersion < 180_000)
    return 'WITHOUT OVERLAPS needs PostgreSQL 18 on the target';
  if (index.nullsNotDistinct && targetVersion < 150_000)
    return 'NULLS NOT DISTINCT needs PostgreSQL 15 on the target';
  if (index.hasClassOptions && targetVersion < 130_000)
    return 'parameters of operator classes need PostgreSQL 13 on the target';
  if (!target.accessMethods.has(index.method)) return `the target has no access method ${index.method}`;
  if (index.hasIncluded && targetVersion < 110_000) return 'INCLUDE needs PostgreSQL 11 on the target';
  if (index.isPartitioned && targetVersion < 110_000)
    return 'indexes of partitioned tables need PostgreSQL 11 on the target; those of the partitions are created';
  if (index.isPartitioned && constraint?.kind === 'exclusion' && targetVersion < 170_000)
    return 'exclusion constraints of partitioned tables need PostgreSQL 17 on the target';
  return null;
}

function indexDraft(
  one: OneIndex,
  {
    context,
    children,
    makers,
    after,
    follows,
  }: IndexParts & { after: readonly ObjectKey[]; follows: readonly ObjectKey[] },
): Draft {
  const { index, id, constraint } = one;
  const isApart = isBuiltApart(one);
  const table = context.relations.get(index.table);
  const on = table ? qname(table) : '';
  const partitions = children.get(index.key) ?? [];
  return draft({
    key: constraint?.key ?? index.key,
    id,
    phase: 'index',
    create: [
      ...(constraint ? constraintSql(one, constraint, { on, context }) : [definitionOf(index, id, context)]),
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
    needs: [
      index.table,
      ...after,
      ...partitions.flatMap((child) => [makers.get(child.key) ?? child.key, attachKey(child.table)]),
    ],
    follows,
    attachedTo: index.table,
    creates: isApart ? null : { schema: index.schema, name: index.name },
    relkind: isApart ? null : 'i',
    waitsForIndexes: isApart,
    weight: index.isPartitioned || isApart ? 0n : (context.tables.get(index.table)?.info.bytes ?? 0n),
  });
}

/** The server's own text, without the options that the target does not know. */
function definitionOf(index: IndexInfo, id: string, context: DraftContext): string {
  const known = knownOptions(index.options, id, context);
  if (known.length === index.options.length) return index.definition;
  const texts = index.optionTexts.filter((_, place) => known.includes(index.options[place] ?? ''));
  const clause = texts.length > 0 ? ` WITH (${texts.join(', ')})` : '';
  return index.definition.replace(` WITH (${index.optionTexts.join(', ')})`, () => clause);
}

/** On a partitioned table the constraint starts empty and takes the partitions' indexes in. */
function constraintSql(
  { index, id }: OneIndex,
  constraint: ConstraintInfo,
  { on, context }: { on: string; context: DraftContext },
): string[] {
  const add = `ALTER TABLE ONLY ${on} ADD CONSTRAINT ${ident(constraint.name)}`;
  if (index.isPartitioned || constraint.kind === 'exclusion' || constraint.temporal) {
    const options = optionsSql(knownOptions(index.options, id, context));
    return [
      `${add} ${constraint.definition}`,
      ...(options.length > 0 ? [`ALTER INDEX ${qname(index)} SET (${options.join(', ')})`] : []),
    ];
  }
  const deferral = constraint.deferrable
    ? ` DEFERRABLE INITIALLY ${constraint.deferred ? 'DEFERRED' : 'IMMEDIATE'}`
    : '';
  const kind = constraint.kind.toUpperCase();
  return [[add, kind, 'USING INDEX', ident(index.name)].join(' ') + deferral];
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
