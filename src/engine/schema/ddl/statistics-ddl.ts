/** Drafts of extended statistics: before the data, so that the ANALYZE after the copy fills them. */
import { qname } from '../../pg/ident.ts';
import { commentsOn, draft, type Draft, type DraftContext } from '../draft.ts';
import { objectId } from '../object-id.ts';

export function statisticsDrafts(context: DraftContext): Draft[] {
  const { targetVersion } = context;
  return context.model.statistics.flatMap((statistics) => {
    const { key, table, target, definition } = statistics;
    if (context.tables.has(table) && !context.isSelected(table)) return [];
    const id = objectId('statistics', statistics.schema, statistics.name);
    const reason =
      statistics.hasExpressions && targetVersion < 140_000
        ? 'statistics over expressions need PostgreSQL 14 on the target'
        : /^[^"]*\([^()]*\bmcv\b/.test(definition.replaceAll(/"(?:[^"]|"")*"/g, '')) &&
            targetVersion < 120_000
          ? 'statistics of most common values need PostgreSQL 12 on the target'
          : null;
    if (reason !== null) {
      context.leaveOut(id, reason, key);
      return [];
    }
    if (target !== null && targetVersion < 130_000)
      context.leaveOut(`statistics target of ${id}`, 'it needs PostgreSQL 13 on the target');
    return [
      draft({
        key,
        id,
        create: [
          definition,
          ...(target !== null && targetVersion >= 130_000
            ? [`ALTER STATISTICS ${qname(statistics)} SET STATISTICS ${target}`]
            : []),
        ],
        after: commentsOn(context, key, `STATISTICS ${qname(statistics)}`),
        needs: [table],
        attachedTo: table,
      }),
    ];
  });
}
