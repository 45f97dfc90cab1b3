/** All that a database says of owners and rights: a fixed number of statements. */
import type { Session } from '../../session.ts';
import { sharedTexts } from '../shared.ts';
import { readDefaultPrivileges, type DefaultPrivilegesInfo } from './default-privileges.ts';
import { readGrants, type GrantInfo } from './grants.ts';
import { readOwners, type OwnerInfo } from './owners.ts';
import { MENTIONED_ROLES, readMemberships, readRoles, type MembershipInfo, type RoleInfo } from './roles.ts';
import { readSettings, type SettingInfo } from './settings.ts';

export interface Rights {
  readonly owners: readonly OwnerInfo[];
  readonly grants: readonly GrantInfo[];
  readonly defaults: readonly DefaultPrivilegesInfo[];
  readonly settings: readonly SettingInfo[];
  /** Those that the rest mentions. */
  readonly roles: readonly RoleInfo[];
  readonly memberships: readonly MembershipInfo[];
}

export async function readRights(session: Session, text = sharedTexts()): Promise<Rights> {
  return {
    owners: await readOwners(session, text),
    grants: await readGrants(session),
    defaults: await readDefaultPrivileges(session),
    settings: await readSettings(session, MENTIONED_ROLES),
    roles: await readRoles(session),
    memberships: await readMemberships(session),
  };
}
