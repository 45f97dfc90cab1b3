/** What of owners and rights the user wants on the target, and what is done where he has not said. */
import type { GrantMode, OwnerMode } from '../../../contract/task-spec.ts';

export interface RightsChoice {
  readonly owners: OwnerMode;
  readonly grants: GrantMode;
  readonly createRoles: boolean;
}

/** Everything belongs to the account, which alone may use it. */
export const ACCOUNT_OWNS_ALL: RightsChoice = { owners: 'account', grants: 'none', createRoles: false };

/** Between PostgreSQL servers. Between servers of the Greenplum family it will be ACCOUNT_OWNS_ALL (B6). */
const DEFAULT: RightsChoice = { owners: 'keep', grants: 'keep', createRoles: false };

export function rightsChoice(asked: {
  readonly owners?: OwnerMode | undefined;
  readonly grants?: GrantMode | undefined;
  readonly createRoles?: boolean | undefined;
}): RightsChoice {
  return {
    owners: asked.owners ?? DEFAULT.owners,
    grants: asked.grants ?? DEFAULT.grants,
    createRoles: asked.createRoles ?? DEFAULT.createRoles,
  };
}
