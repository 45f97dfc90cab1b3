/** Drafts of rights to the database itself and to languages, which are there already. */
import type { GrantInfo } from '../../pg/catalog/rights/grants.ts';
import { ident } from '../../pg/ident.ts';
import { draft, type Draft, type DraftContext } from '../draft.ts';
import { objectId } from '../object-id.ts';
import { grantedRights } from './granted-rights.ts';
import { roleNeeds } from './role-ddl.ts';

export function serverRightsDrafts(context: DraftContext): Draft[] {
  return context.model.rights.grants.flatMap((grant) => {
    if (grant.object.startsWith('pg_database:')) return databaseRights(grant, context);
    return grant.language === null ? [] : languageRights(grant, grant.language, context);
  });
}

function databaseRights(grant: GrantInfo, context: DraftContext): Draft[] {
  const { database, ownsDatabase } = context.target.rights;
  return rightsTo(
    grant,
    { id: 'the database', on: `DATABASE ${ident(database)}`, isAllowed: ownsDatabase },
    context,
  );
}

function languageRights(grant: GrantInfo, name: string, context: DraftContext): Draft[] {
  const { target } = context;
  const id = objectId('language', name);
  if (target.languages.has(name))
    return rightsTo(grant, { id, on: `LANGUAGE ${ident(name)}`, isAllowed: target.isSuperuser }, context);
  context.remark(null, `rights on ${id}`, 'the target does not have it');
  return [];
}

function rightsTo(
  { entries }: GrantInfo,
  { id, on, isAllowed }: { id: string; on: string; isAllowed: boolean },
  context: DraftContext,
): Draft[] {
  const { statements, roles } = grantedRights(
    [{ column: null, entries }],
    { id, on, object: null, owner: null, isInUse: false },
    context,
  );
  if (statements.length === 0) return [];
  if (!isAllowed) {
    const reason = `it belongs to another role on the target; as its owner run ${statements.join('; ')}`;
    context.remark(null, `rights on ${id}`, reason);
    return [];
  }
  return [
    draft({
      key: `rights:${id}`,
      id: `rights on ${id}`,
      phase: 'post-data',
      create: statements,
      needs: roleNeeds(roles, context),
    }),
  ];
}
