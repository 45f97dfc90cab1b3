/** Who may do what: one table from roles to rights, and one function that every operation asks. Pure. */
import type { Access } from '../../contract/api/operation.ts';
import { OPERATIONS, type OperationName } from '../../contract/api/operations.ts';
import type { ConnectionRight, Right, Role } from '../../contract/api/roles.ts';

/**
 * Rights of the roles. Who makes tasks may use every connection of the group for them. Connections are edited by who administers the group, or whom they give that right: a migrator uses them without
 * knowing their passwords. Values of rows are seen by nobody who was not given that right by name.
 */
const RIGHTS: Readonly<Record<Role, readonly Right[]>> = {
  viewer: ['view'],
  operator: ['view', 'connection.use', 'operate'],
  migrator: ['view', 'connection.use', 'operate', 'migrate'],
  switcher: ['view', 'connection.use', 'operate'],
  admin: ['view', 'connection.use', 'connection.edit', 'operate', 'migrate', 'administer'],
};

/** What somebody is, where an operation is to be done. */
export interface Standing {
  readonly isLoggedIn: boolean;
  /** Of the installation: as an admin in every group. */
  readonly isAdministrator: boolean;
  /** In the group of the operation; null outside of it. */
  readonly membership: { readonly role: Role; readonly rights: readonly ConnectionRight[] } | null;
}

/** Whether the operation is allowed. */
export function isAllowed(operation: OperationName, standing: Standing): boolean {
  const access: Access = OPERATIONS[operation].access;
  if (access === 'anyone') return true;
  if (!standing.isLoggedIn || access === 'self') return standing.isLoggedIn;
  return access === 'administrator' ? standing.isAdministrator : rightsOf(standing).has(access);
}

function rightsOf({ isAdministrator, membership }: Standing): ReadonlySet<Right> {
  return new Set([
    ...(isAdministrator ? RIGHTS.admin : []),
    ...(membership ? [...RIGHTS[membership.role], ...membership.rights] : []),
  ]);
}
