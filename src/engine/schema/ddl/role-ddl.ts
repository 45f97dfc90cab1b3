/** Drafts of roles that the target lacks: without passwords, each only where something that is migrated names it. */
import type { MembershipInfo, RoleInfo } from '../../pg/catalog/rights/roles.ts';
import type { ObjectKey } from '../../pg/catalog/user-object.ts';
import { ident, literal } from '../../pg/ident.ts';
import { draft, type Draft, type DraftContext } from '../draft.ts';
import type { SchemaModel } from '../model.ts';
import { objectId } from '../object-id.ts';
import type { RightsChoice } from '../rights/rights-choice.ts';
import type { TargetFacts } from '../target-facts.ts';

/** Names of the roles that are to be created. */
export function rolesToCreate(
  { rights }: SchemaModel,
  target: TargetFacts,
  choice: RightsChoice,
): ReadonlySet<string> {
  if (!choice.createRoles || !target.rights.mayCreateRoles) return new Set();
  return new Set(rights.roles.flatMap(({ name }) => (target.roles.has(name) ? [] : [name])));
}

/** The target as it will be with these roles. Whoever creates a role can become it. */
export function withRoles(target: TargetFacts, created: ReadonlySet<string>): TargetFacts {
  if (created.size === 0) return target;
  const { rights } = target;
  return {
    ...target,
    roles: new Set([...target.roles, ...created]),
    rights: { ...rights, becomes: new Set([...rights.becomes, ...created]) },
  };
}

const ROLE = 'role ';

function roleKey(name: string): ObjectKey {
  return `role:${name}`;
}

/** The role that the step of this id creates; null for other steps. */
export function createdBy(id: string): string | null {
  return id.startsWith(ROLE) ? id.slice(ROLE.length) : null;
}

/** What a draft needs that names these roles. */
export function roleNeeds(
  names: Iterable<string>,
  { createdRoles }: Pick<DraftContext, 'createdRoles'>,
): ObjectKey[] {
  return [...names].filter((name) => createdRoles.has(name)).map(roleKey);
}

export function roleDrafts(context: DraftContext): Draft[] {
  const { roles, memberships } = context.model.rights;
  return roles
    .filter(({ name }) => context.createdRoles.has(name))
    .map((role) => {
      const key = roleKey(role.name);
      const id = objectId('role', role.name);
      const joined = memberships.filter((one) => isJoinedWith(role, one, context));
      const isGiven = (one: MembershipInfo) => mayGrant(one, context);
      for (const { group, member } of joined.filter((one) => !isGiven(one)))
        context.remark(
          key,
          `membership of ${ident(member)} in ${ident(group)}`,
          'it takes a superuser on the target',
        );
      if (role.login)
        context.remark(key, `password of ${id}`, 'passwords are not migrated: set one before it is used');
      return draft({
        key,
        id,
        phase: 'post-data',
        create: [
          createRole(role, context),
          ...ownMembership(role, context),
          ...joined.filter(isGiven).map((one) => joinSql(one, context.targetVersion)),
        ],
        needs: roleNeeds(
          joined.map(({ group }) => group).filter((group) => group !== role.name),
          context,
        ),
        // Of no table, and yet not of the whole database: it comes with what needs it.
        attachedTo: 'roles',
      });
    });
}

/** Of two roles that are both created, the member's draft joins them. */
function isJoinedWith(
  { name }: RoleInfo,
  { group, member }: MembershipInfo,
  { target, createdRoles }: DraftContext,
): boolean {
  if (member === name) return target.roles.has(group);
  return group === name && target.roles.has(member) && !createdRoles.has(member);
}

/** Who creates a role may make others its members. */
function mayGrant({ group }: MembershipInfo, { target, createdRoles }: DraftContext): boolean {
  return target.isSuperuser || createdRoles.has(group);
}

/** With the options that the membership has since PostgreSQL 16. */
export function joinSql({ group, member, admin, inherit, set }: MembershipInfo, version: number): string {
  const options = [
    ...(admin ? ['ADMIN OPTION'] : []),
    ...(version >= 160_000 && inherit !== null && set !== null
      ? [`INHERIT ${inherit ? 'TRUE' : 'FALSE'}`, `SET ${set ? 'TRUE' : 'FALSE'}`]
      : []),
  ];
  return `GRANT ${ident(group)} TO ${ident(member)}${options.length > 0 ? ` WITH ${options.join(', ')}` : ''}`;
}

/** What an account that is no superuser gives to another role it must be able to use still. */
function ownMembership({ name }: RoleInfo, { model, target }: DraftContext): string[] {
  const { account } = target.rights;
  const owns =
    model.rights.owners.some(({ owner }) => owner === name) ||
    model.rights.defaults.some(({ role }) => role === name);
  if (target.isSuperuser || account === null || !owns) return [];
  return [membershipSql({ role: name, account, version: target.version })];
}

/** The membership by which an account can give objects to a role, and use them for it afterwards. */
export function membershipSql({
  role,
  account,
  version,
}: {
  role: string;
  account: string;
  version: number;
}): string {
  return `GRANT ${ident(role)} TO ${ident(account)}${version >= 160_000 ? ' WITH INHERIT TRUE, SET TRUE' : ''}`;
}

/** With all that an account without the rights of a superuser may give. */
function createRole(role: RoleInfo, context: DraftContext): string {
  const key = roleKey(role.name);
  const id = objectId('role', role.name);
  const isGreat = context.target.isSuperuser;
  const attributes = ATTRIBUTES.filter(({ of }) => of(role));
  for (const { name, takesSuperuser } of attributes)
    if (takesSuperuser && !isGreat)
      context.remark(key, `${name} of ${id}`, 'it takes a superuser on the target');
  if (role.superuser) context.remark(key, `SUPERUSER of ${id}`, 'it is for you to give');
  const given = attributes.filter(({ takesSuperuser }) => isGreat || !takesSuperuser);
  return roleSql(
    role,
    given.map(({ name }) => name),
  );
}

interface Attribute {
  readonly name: string;
  readonly takesSuperuser: boolean;
  readonly of: (role: RoleInfo) => boolean;
}

const ATTRIBUTES: readonly Attribute[] = [
  { name: 'LOGIN', takesSuperuser: false, of: ({ login }) => login },
  { name: 'NOINHERIT', takesSuperuser: false, of: ({ inherit }) => !inherit },
  { name: 'CREATEDB', takesSuperuser: true, of: ({ createDatabase }) => createDatabase },
  { name: 'CREATEROLE', takesSuperuser: false, of: ({ createRole }) => createRole },
  { name: 'REPLICATION', takesSuperuser: true, of: ({ replication }) => replication },
  { name: 'BYPASSRLS', takesSuperuser: true, of: ({ bypassRowSecurity }) => bypassRowSecurity },
];

/** CREATE ROLE with these attributes, or with all that the role has but the superuser's. */
export function roleSql(
  role: RoleInfo,
  attributes: readonly string[] = ATTRIBUTES.filter(({ of }) => of(role)).map(({ name }) => name),
): string {
  return [
    `CREATE ROLE ${ident(role.name)}`,
    ...attributes,
    ...(role.connectionLimit === -1 ? [] : [`CONNECTION LIMIT ${role.connectionLimit}`]),
    ...(role.validUntil === null ? [] : [`VALID UNTIL ${literal(role.validUntil).trimStart()}`]),
  ].join(' ');
}
