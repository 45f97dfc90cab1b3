/** Drafts of views and materialized views; the latter are filled after the data. */
import type { ViewInfo } from '../../pg/catalog/views.ts';
import { ident, qname } from '../../pg/ident.ts';
import { ALONE, commentsOn, draft, optionsSql, withClause, type Draft, type DraftContext } from '../draft.ts';
import { objectId } from '../object-id.ts';

export function viewDrafts(context: DraftContext): Draft[] {
  return context.model.views.map((view) => {
    const kind = view.isMaterialized ? 'materialized view' : 'view';
    const id = objectId(kind, view.schema, view.name);
    const name = qname(view);
    const options = view.options.filter((option) => accepts(option, id, context));
    const method =
      view.accessMethod !== null && context.targetVersion >= 120_000
        ? ` USING ${ident(view.accessMethod)}`
        : '';
    return draft({
      key: view.key,
      id,
      create: [
        `CREATE ${kind.toUpperCase()} ${name}${method}${withClause(optionsSql(options))} AS\n${view.query}${view.isMaterialized ? '\nWITH NO DATA' : ''}`,
      ],
      after: [
        ...view.defaults.map(
          ({ column, expression }) =>
            `ALTER VIEW ${name} ALTER COLUMN ${ident(column)} SET DEFAULT ${expression}`,
        ),
        ...commentsOn(context, view.key, `${kind.toUpperCase()} ${name}`, view),
      ],
      creates: { schema: view.schema, name: view.name },
      relkind: view.isMaterialized ? 'm' : 'v',
    });
  });
}

/** Without security_invoker a view would show more than it does on the source, so that is said. */
function accepts(option: string, id: string, context: DraftContext): boolean {
  if (!option.startsWith('security_invoker=') || context.targetVersion >= 150_000) return true;
  context.leaveOut(
    `${option} of ${id}`,
    'it needs PostgreSQL 15 on the target; there the rights of its owner count',
  );
  return false;
}

/** The key of the draft that fills a materialized view. */
export function refreshKey(view: ViewInfo): string {
  return `refresh:${view.key}`;
}

/** REFRESH of every materialized view that has rows on the source; the order among them is found with the dependencies. */
export function refreshDrafts({ model }: DraftContext): Draft[] {
  return model.views
    .filter((view) => view.isMaterialized && view.populated)
    .map((view) =>
      draft({
        key: refreshKey(view),
        id: objectId('refresh of materialized view', view.schema, view.name),
        phase: 'post-data',
        create: [`REFRESH MATERIALIZED VIEW ${qname(view)}`],
        weight: ALONE,
        needs: [view.key],
        attachedTo: view.key,
        isFollowUp: true,
      }),
    );
}
