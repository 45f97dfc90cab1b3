/** Drafts of triggers and rules: after the data, which they must not touch. */
import type { FiringMode } from '../../pg/catalog/triggers.ts';
import type { ObjectKey } from '../../pg/catalog/user-object.ts';
import { ident, qname } from '../../pg/ident.ts';
import { commentsOn, draft, type Draft, type DraftContext } from '../draft.ts';
import { objectId } from '../object-id.ts';

const ENABLE: Readonly<Record<FiringMode, string>> = {
  O: 'ENABLE',
  D: 'DISABLE',
  R: 'ENABLE REPLICA',
  A: 'ENABLE ALWAYS',
};

function firing(
  context: DraftContext,
  table: ObjectKey,
  { mode, what }: { mode: FiringMode; what: string },
): string[] {
  const relation = context.relations.get(table);
  return relation ? [`ALTER TABLE ${qname(relation)} ${ENABLE[mode]} ${what}`] : [];
}

export function triggerDrafts(context: DraftContext): Draft[] {
  return context.model.triggers.flatMap((trigger) => {
    const relation = context.relations.get(trigger.table);
    if (!relation) return [];
    const id = objectId('trigger', relation.schema, relation.name, trigger.name);
    const needsVersion = trigger.isBeforeRow ? 13 : trigger.isRow ? 11 : 0;
    const onPartitioned = context.tables.get(trigger.table)?.info.kind === 'p';
    if (onPartitioned && context.targetVersion < needsVersion * 10_000) {
      context.leaveOut(
        id,
        `a trigger of this kind on a partitioned table needs PostgreSQL ${needsVersion} on the target`,
      );
      return [];
    }
    const what = `TRIGGER ${ident(trigger.name)}`;
    return [
      draft({
        key: trigger.key,
        id,
        phase: 'post-data',
        create: [
          // The word FUNCTION is known since PostgreSQL 11.
          context.targetVersion < 110_000
            ? trigger.definition.replace(/ EXECUTE FUNCTION (?=\S+\()/, ' EXECUTE PROCEDURE ')
            : trigger.definition,
          ...(trigger.firing === 'O' ? [] : firing(context, trigger.table, { mode: trigger.firing, what })),
          ...trigger.partitions.flatMap((partition) =>
            firing(context, partition.table, { mode: partition.firing, what }),
          ),
          ...commentsOn(context, trigger.key, `${what} ON ${qname(relation)}`),
        ],
        needs: [trigger.table],
        attachedTo: trigger.table,
      }),
    ];
  });
}

export function ruleDrafts(context: DraftContext): Draft[] {
  return context.model.rules.flatMap((rule) => {
    const relation = context.relations.get(rule.table);
    if (!relation) return [];
    const what = `RULE ${ident(rule.name)}`;
    return [
      draft({
        key: rule.key,
        id: objectId('rule', relation.schema, relation.name, rule.name),
        phase: 'post-data',
        create: [
          rule.definition,
          ...(rule.firing === 'O' ? [] : firing(context, rule.table, { mode: rule.firing, what })),
          ...commentsOn(context, rule.key, `${what} ON ${qname(relation)}`),
        ],
        needs: [rule.table],
        attachedTo: rule.table,
      }),
    ];
  });
}
