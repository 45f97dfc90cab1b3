/**
 * The schema public is made together with its database: PostgreSQL 14 and older let everybody create there, newer ones do not. What the
 * source lets everybody do there is so on the target too, whatever that would do by itself.
 */
import type { AclEntry } from '../../pg/catalog/rights/acl.ts';
import type { TargetFacts } from '../target-facts.ts';

const CLOSED_SINCE = 150_000;

/** What everybody may do in it by himself. */
export function publicDefault(version: number): readonly string[] {
  return version >= CLOSED_SINCE ? ['USAGE'] : ['USAGE', 'CREATE'];
}

/** The entries that make the source's schema public of the one on the target. */
export function publicEntries(entries: readonly AclEntry[], { version, rights }: TargetFacts): AclEntry[] {
  const initial = rights.hasInitialPublic ? publicDefault(version) : [];
  const others = entries.filter(({ grantee, isOwner }) => grantee !== null || isOwner);
  const has = (privilege: string) =>
    entries.some(
      (one) => one.grantee === null && !one.isOwner && !one.revoked && one.privilege === privilege,
    );
  const ofAll = ['CREATE', 'USAGE'].flatMap((privilege): AclEntry[] => {
    const revoked = initial.includes(privilege);
    if (has(privilege) === revoked) return [];
    return [{ grantee: null, isOwner: false, privilege, grantable: false, revoked }];
  });
  return [...ofAll, ...others];
}
