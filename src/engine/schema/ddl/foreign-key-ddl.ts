/** Drafts of foreign keys: added without a check of the old rows, then validated under a weaker lock. */
import type { ConstraintInfo } from '../../pg/catalog/constraints/constraints.ts';
import { ident, qname } from '../../pg/ident.ts';
import { commentsOn, draft, type Draft, type DraftContext } from '../draft.ts';
import { objectId } from '../object-id.ts';

export function foreignKeyDrafts(context: DraftContext): Draft[] {
  return context.model.constraints.flatMap((constraint) =>
    // Those of partitions come with the partitioned table's.
    constraint.kind === 'foreign key' && constraint.parent === null && context.isSelected(constraint.table)
      ? foreignKey(constraint, context)
      : [],
  );
}

function foreignKey(constraint: ConstraintInfo, context: DraftContext): Draft[] {
  const { key, name, validated } = constraint;
  const table = context.tables.get(constraint.table);
  const referenced = constraint.references === null ? undefined : context.tables.get(constraint.references);
  if (!table) return [];
  const id = objectId('foreign key', table.info.schema, table.info.name, name);
  const fromPartitioned = table.info.kind === 'p';
  const toPartitioned = referenced?.info.kind === 'p';
  const reason = unacceptable(constraint, { fromPartitioned, toPartitioned, target: context.targetVersion });
  if (reason !== null) {
    context.leaveOut(id, reason, key);
    return [];
  }
  const on = qname(table.info);
  const needs = [constraint.table, ...(constraint.references === null ? [] : [constraint.references])];
  // With a partitioned table at either end there are as many constraints as partitions, which not every version can
  // validate in one go: these are checked as they are added.
  const inTwoSteps = validated && !fromPartitioned && !toPartitioned;
  const shared = {
    phase: 'foreign-key',
    attachedTo: constraint.table,
    weight: table.info.bytes,
  } as const;
  return [
    draft({
      ...shared,
      key,
      id,
      create: [
        [
          fromPartitioned ? 'ALTER TABLE' : 'ALTER TABLE ONLY',
          on,
          'ADD CONSTRAINT',
          ident(name),
          constraint.definition,
          ...(inTwoSteps ? ['NOT VALID'] : []),
        ].join(' '),
        ...commentsOn(context, key, `CONSTRAINT ${ident(name)} ON ${on}`),
      ],
      needs,
    }),
    ...(inTwoSteps
      ? [
          draft({
            ...shared,
            key: `validate:${key}`,
            id: `validation of ${id}`,
            create: [`ALTER TABLE ${on} VALIDATE CONSTRAINT ${ident(name)}`],
            needs: [key],
            isFollowUp: true,
          }),
        ]
      : []),
  ];
}

function unacceptable(
  { definition, enforced, temporal, validated }: ConstraintInfo,
  {
    fromPartitioned,
    toPartitioned,
    target,
  }: { fromPartitioned: boolean; toPartitioned: boolean; target: number },
): string | null {
  if (!enforced && target < 180_000) return 'NOT ENFORCED needs PostgreSQL 18 on the target';
  if (temporal && target < 180_000) return 'PERIOD needs PostgreSQL 18 on the target';
  if (!validated && fromPartitioned && target < 180_000)
    return 'it is NOT VALID on a partitioned table, which needs PostgreSQL 18 on the target';
  if (/ ON DELETE SET (NULL|DEFAULT) \(/.test(definition) && target < 150_000)
    return 'ON DELETE SET … with columns needs PostgreSQL 15 on the target';
  if (fromPartitioned && target < 110_000)
    return 'foreign keys of partitioned tables need PostgreSQL 11 on the target';
  if (toPartitioned && target < 120_000)
    return 'foreign keys to partitioned tables need PostgreSQL 12 on the target';
  return null;
}
