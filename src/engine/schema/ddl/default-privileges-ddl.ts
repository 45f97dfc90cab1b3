/** ALTER DEFAULT PRIVILEGES. Those of one schema come with its rights, the others with the whole database. */
import type { DefaultPrivilegesInfo } from '../../pg/catalog/rights/default-privileges.ts';
import type { ObjectKey } from '../../pg/catalog/user-object.ts';
import { ident } from '../../pg/ident.ts';
import { draft, type Draft, type DraftContext } from '../draft.ts';
import { objectId } from '../object-id.ts';
import { grantedRights, type GrantedRights } from './granted-rights.ts';
import { roleNeeds } from './role-ddl.ts';

export function defaultPrivilegeDrafts(context: DraftContext): Draft[] {
  const everywhere = context.model.rights.defaults.filter(({ schema }) => schema === null);
  return [...Map.groupBy(everywhere, ({ role }) => role)].flatMap(([role, all]) => {
    const parts = all.map((one) => defaultPrivileges(one, context));
    const statements = parts.flatMap((part) => part.statements);
    if (statements.length === 0) return [];
    return [
      draft({
        key: `default-privileges:${role}`,
        id: objectId('default privileges of role', role),
        phase: 'post-data',
        create: statements,
        needs: roleNeeds([role, ...parts.flatMap((part) => [...part.roles])], context),
      }),
    ];
  });
}

/** In the schema of this key. */
export function schemaDefaults(
  schema: { readonly key: ObjectKey; readonly name: string },
  context: DraftContext,
): GrantedRights {
  const own = context.model.rights.defaults.filter((one) => one.schema === schema.key);
  const parts = own.map((one) => defaultPrivileges(one, context, schema.name));
  return {
    statements: parts.flatMap((part) => part.statements),
    roles: new Set(parts.flatMap((part, at) => [...part.roles, own[at]?.role ?? ''])),
  };
}

const LARGE_OBJECTS_SINCE = 180_000;

function defaultPrivileges(
  info: DefaultPrivilegesInfo,
  context: DraftContext,
  schema: string | null = null,
): GrantedRights {
  const { role, kind, entries } = info;
  const where = schema === null ? '' : ` in ${objectId('schema', schema)}`;
  const id = `${objectId('default privileges of role', role)} on ${kind.toLowerCase()}${where}`;
  const reason = obstacle(info, context);
  if (reason !== null) {
    context.remark(info.schema, id, reason);
    return { statements: [], roles: new Set() };
  }
  const inSchema = schema === null ? '' : `IN SCHEMA ${ident(schema)} `;
  return grantedRights(
    [{ column: null, entries }],
    {
      id,
      on: kind,
      before: `ALTER DEFAULT PRIVILEGES FOR ROLE ${ident(role)} ${inSchema}`,
      object: info.schema,
      owner: role,
      isInUse: false,
    },
    context,
  );
}

function obstacle({ role, kind }: DefaultPrivilegesInfo, { target }: DraftContext): string | null {
  if (!target.roles.has(role)) return 'the target lacks the role';
  if (!target.rights.becomes.has(role))
    return `the account of the migration is not a member of role ${ident(role)}`;
  if (kind === 'LARGE OBJECTS' && target.version < LARGE_OBJECTS_SINCE)
    return 'they need PostgreSQL 18 on the target';
  return null;
}
