/** From the entries of an access control list of the source to what is to be granted and revoked on the target. */
import type { AclEntry } from '../../pg/catalog/rights/acl.ts';
import type { ObjectKey } from '../../pg/catalog/user-object.ts';
import { ident } from '../../pg/ident.ts';
import type { DraftContext } from '../draft.ts';
import { grantStatements, type Right } from './grant-sql.ts';

/** The list of one object, or of one of its columns. */
export interface AclPart {
  readonly column: string | null;
  readonly entries: readonly AclEntry[];
}

/** An object of the target that the rights are to. */
export interface Holder {
  /** For what is said of it: `table shop.orders`. */
  readonly id: string;
  /** `TABLE "shop"."orders"`; `before` stands in front of each statement. */
  readonly on: string;
  readonly before?: string;
  /** With which it is said; null: with the whole database. */
  readonly object: ObjectKey | null;
  /** Its owner on the target; null where nobody knows. */
  readonly owner: string | null;
  /** The account of the migration works with it, by the rights of its owner. */
  readonly isInUse: boolean;
}

/** A right that came with a version of the server. */
const MAINTAIN_SINCE = 170_000;

export interface GrantedRights {
  readonly statements: readonly string[];
  /** Who is named in them. */
  readonly roles: ReadonlySet<string>;
}

/** What the target cannot have, or its account may not take away from itself, is said. */
export function grantedRights(
  parts: readonly AclPart[],
  holder: Holder,
  context: DraftContext,
): GrantedRights {
  const all = parts.flatMap((part) => rightsOf(part, holder));
  const known = withoutUnknown(all, holder, context);
  const there = withoutMissing(known, holder, context);
  const usable = withoutOwn(there, holder, context);
  return {
    statements: grantStatements(holder.on, usable, holder.before),
    roles: new Set(usable.flatMap(({ grantee }) => (grantee === null ? [] : [grantee]))),
  };
}

/** Those of the owner are of the owner on the target. What is granted to him he has. */
function rightsOf({ column, entries }: AclPart, { owner }: Holder): Right[] {
  return entries.flatMap(({ grantee, isOwner, privilege, grantable, revoked }): Right[] => {
    if (isOwner && owner === null) return [];
    const named = isOwner ? owner : grantee;
    if (!isOwner && named !== null && named === owner && !revoked) return [];
    return [{ grantee: named, privilege, column, grantable, revoked }];
  });
}

function withoutUnknown(rights: readonly Right[], { id, object }: Holder, context: DraftContext): Right[] {
  if (context.targetVersion >= MAINTAIN_SINCE) return [...rights];
  const [unknown, known] = [
    rights.filter(({ privilege }) => privilege === 'MAINTAIN'),
    rights.filter(({ privilege }) => privilege !== 'MAINTAIN'),
  ];
  if (unknown.some(({ revoked }) => !revoked))
    context.remark(object, `MAINTAIN on ${id}`, 'it needs PostgreSQL 17 on the target');
  return known;
}

function withoutMissing(rights: readonly Right[], { id, object }: Holder, context: DraftContext): Right[] {
  const isThere = (role: string | null) => role === null || context.target.roles.has(role);
  const missing = new Set(
    rights.flatMap(({ grantee }) => (grantee === null || isThere(grantee) ? [] : [grantee])),
  );
  if (missing.size > 0)
    context.remark(
      object,
      `rights of ${[...missing].map(ident).join(', ')} on ${id}`,
      `the target lacks ${missing.size === 1 ? 'the role' : 'the roles'}`,
    );
  return rights.filter(({ grantee }) => isThere(grantee));
}

/** A superuser needs no right; another account would lock itself out of what it has to write still. */
function withoutOwn(rights: readonly Right[], holder: Holder, context: DraftContext): Right[] {
  const { id, object, owner, isInUse, on } = holder;
  if (context.target.isSuperuser || !isInUse) return [...rights];
  const isOwn = ({ grantee, revoked }: Right) => revoked && grantee !== null && grantee === owner;
  const own = rights.filter(isOwn);
  if (own.length > 0)
    context.remark(
      object,
      `what the owner of ${id} may not do`,
      `the account of the migration works with his rights; once it is over, run ${grantStatements(on, own).join('; ')}`,
    );
  return rights.filter((right) => !isOwn(right));
}
