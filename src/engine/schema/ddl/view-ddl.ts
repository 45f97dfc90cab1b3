/** Drafts of views and materialized views; the latter are filled after the data. */
import type { ViewColumn, ViewInfo } from '../../pg/catalog/views.ts';
import { ident, qname } from '../../pg/ident.ts';
import {
  ALONE,
  commentsOn,
  draft,
  knownOptions,
  optionsSql,
  usingMethod,
  withClause,
  type Draft,
  type DraftContext,
} from '../draft.ts';
import { settingsOf } from './column-ddl.ts';
import { objectId } from '../object-id.ts';

export function viewDrafts(context: DraftContext): Draft[] {
  return context.model.views.map((view) =>
    view.isMaterialized ? materializedDraft(view, context) : viewDraft(view, context),
  );
}

/** Views that need each other, perhaps through functions, have been made by CREATE OR REPLACE, and are so again. */
function viewDraft(view: ViewInfo, context: DraftContext): Draft {
  const id = objectId('view', view.schema, view.name);
  const name = qname(view);
  const options = withClause(optionsSql(view.options.filter((option) => accepts(option, id, context))));
  const body = `VIEW ${name}${options} AS\n${view.query}`;
  const columns = view.columns.map(
    (column) => `NULL::${column.type}${collate(column)} AS ${ident(column.name)}`,
  );
  return draft({
    key: view.key,
    id,
    create: [`CREATE ${body}`],
    stub: [`CREATE VIEW ${name}${options} AS SELECT ${columns.join(', ')}`],
    pieces: [
      {
        key: view.queryKey,
        id: `query of ${id}`,
        on: '',
        onLater: 'CREATE OR REPLACE',
        command: body,
        joins: false,
        after: [],
        isBody: true,
      },
    ],
    after: [
      ...view.defaults.map(
        ({ column, expression }) =>
          `ALTER VIEW ${name} ALTER COLUMN ${ident(column)} SET DEFAULT ${expression}`,
      ),
      ...commentsOn(context, view.key, `VIEW ${name}`, view),
    ],
    creates: { schema: view.schema, name: view.name },
    relkind: 'v',
  });
}

function collate({ collation }: ViewColumn): string {
  return collation === null ? '' : ` COLLATE ${collation}`;
}

function materializedDraft(view: ViewInfo, context: DraftContext): Draft {
  const id = objectId('materialized view', view.schema, view.name);
  const name = qname(view);
  const options = [
    ...optionsSql(knownOptions(view.options, id, context)),
    ...optionsSql(knownOptions(view.toastOptions, id, context), 'toast.'),
  ];
  const settings = view.columns.flatMap((column) => settingsOf(column, id, context));
  return draft({
    key: view.key,
    id,
    create: [
      `CREATE MATERIALIZED VIEW ${name}${usingMethod(view.accessMethod, id, context)}${withClause(options)} AS\n${view.query}\nWITH NO DATA`,
      ...(settings.length > 0 ? [`ALTER MATERIALIZED VIEW ${name} ${settings.join(', ')}`] : []),
    ],
    after: commentsOn(context, view.key, `MATERIALIZED VIEW ${name}`, view),
    creates: { schema: view.schema, name: view.name },
    relkind: 'm',
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
