/**
 * Drafts of policies and of row-level security. They come after the data: who owns a table and may not pass its policies by would else
 * see, and write, only what they let through. Changes are applied by the table's owner in sessions with row_security = off, for whom they
 * do not count, or are refused with an error and never pass over a row in silence; so FORCE, which makes them count for him, is left to
 * the user unless the account passes them by.
 */
import type { PolicyInfo } from '../../pg/catalog/policies.ts';
import { ident, qname } from '../../pg/ident.ts';
import { commentsOn, draft, type Draft, type DraftContext } from '../draft.ts';
import type { TableModel } from '../model.ts';
import { objectId } from '../object-id.ts';
import { roleNeeds } from './role-ddl.ts';

export function policyDrafts(context: DraftContext): Draft[] {
  const policies = Map.groupBy(context.model.policies, ({ table }) => table);
  return context.model.tables
    .filter(
      ({ key, definition }) =>
        context.isSelected(key) &&
        (definition.rowSecurity || definition.forcedRowSecurity || policies.has(key)),
    )
    .flatMap((table) => {
      const drafts = (policies.get(table.key) ?? []).flatMap((policy) => policyDraft(policy, table, context));
      return [...drafts, ...switchDrafts(table, drafts, context)];
    });
}

/** For the roles that are there: to leave out a restrictive policy altogether would let others see more. */
function policyDraft(policy: PolicyInfo, table: TableModel, context: DraftContext): Draft[] {
  const { key, name } = policy;
  const { info } = table;
  const on = qname(info);
  const id = objectId('policy', info.schema, info.name, name);
  const present = policy.roles.filter((role) => context.target.roles.has(role));
  const absent = policy.roles.filter((role) => !context.target.roles.has(role));
  if (absent.length > 0) {
    const roles = absent.map(ident).join(', ');
    const what = `the target lacks ${absent.length === 1 ? 'role' : 'the roles'} ${roles}`;
    if (present.length === 0) {
      context.leaveOut(id, what, key);
      return [];
    }
    context.leaveOut(`${id} for ${roles}`, what);
  }
  return [
    draft({
      key,
      id,
      phase: 'post-data',
      create: [
        [
          `CREATE POLICY ${ident(name)} ON ${on} AS ${policy.permissive ? 'PERMISSIVE' : 'RESTRICTIVE'} FOR ${policy.command}`,
          `TO ${present.length === 0 ? 'PUBLIC' : present.map(ident).join(', ')}`,
          ...(policy.using === null ? [] : [`USING (${policy.using})`]),
          ...(policy.check === null ? [] : [`WITH CHECK (${policy.check})`]),
        ].join(' '),
        ...commentsOn(context, key, `POLICY ${ident(name)} ON ${on}`),
      ],
      needs: [table.key, ...roleNeeds(present, context)],
      attachedTo: table.key,
    }),
  ];
}

function switchDrafts(
  { key, info, definition }: TableModel,
  policies: readonly Draft[],
  context: DraftContext,
): Draft[] {
  const id = objectId('row-level security of table', info.schema, info.name);
  const on = `ALTER TABLE ${qname(info)}`;
  const isForced = definition.forcedRowSecurity && context.target.bypassesRowSecurity;
  if (definition.forcedRowSecurity && !isForced)
    context.leaveOut(
      `FORCE of ${id}`,
      `the account of the migration would not see the rows of this table any more; once it is over, run ${on} FORCE ROW LEVEL SECURITY`,
    );
  if (!definition.rowSecurity && !isForced) return [];
  return [
    draft({
      key: `row-security:${key}`,
      id,
      phase: 'post-data',
      create: [
        ...(definition.rowSecurity ? [`${on} ENABLE ROW LEVEL SECURITY`] : []),
        ...(isForced ? [`${on} FORCE ROW LEVEL SECURITY`] : []),
      ],
      needs: [key, ...policies.map((policy) => policy.key)],
      attachedTo: key,
      // Without a policy that cannot be there fewer rows are seen, without this all of them.
      isVital: true,
    }),
  ];
}
