/**
 * What becomes of owners, rights, default privileges and comments where several schemas of the source are one on the target. It has what
 * all of them have: anything more would let somebody reach what was closed to him. The rest is said, with the statement for it. Pure.
 */
import type { AclEntry } from '../../pg/catalog/rights/acl.ts';
import type { DefaultPrivilegesInfo } from '../../pg/catalog/rights/default-privileges.ts';
import type { OwnerInfo } from '../../pg/catalog/rights/owners.ts';
import type { SchemaInfo } from '../../pg/catalog/schemas.ts';
import type { ObjectKey } from '../../pg/catalog/user-object.ts';
import { ident } from '../../pg/ident.ts';
import { grantStatements, type Right } from '../ddl/grant-sql.ts';
import type { LostInMerging, SchemaModel } from '../model.ts';
import { objectId, objectName } from '../object-id.ts';

type Described = Pick<SchemaModel, 'rights' | 'comments'>;

/** Schemas of the source, under their names there, that are one on the target. */
export interface Together {
  /** On the target. */
  readonly name: string;
  /** The first gives the key. */
  readonly schemas: readonly SchemaInfo[];
}

export function mergeSchemas(
  whole: Described,
  groups: readonly Together[],
): Described & { readonly lostInMerging: readonly LostInMerging[] } {
  let { rights, comments } = whole;
  const lostInMerging: LostInMerging[] = [];
  for (const group of groups) {
    const keys = new Set(group.schemas.map(({ key }) => key));
    const others = <T>(all: readonly T[], of: (one: T) => ObjectKey | null) =>
      all.filter((one) => !keys.has(of(one) ?? ''));
    const owner = mergedOwner(whole, group);
    const grants = mergedGrants(whole, group, owner.kept[0]?.owner ?? null);
    const defaults = mergedDefaults(whole, group);
    const comment = mergedComment(whole, group);
    rights = {
      ...rights,
      owners: [...others(rights.owners, ({ object }) => object), ...owner.kept],
      grants: [...others(rights.grants, ({ object }) => object), ...grants.kept],
      defaults: [...others(rights.defaults, ({ schema }) => schema), ...defaults.kept],
    };
    comments = [...others(comments, ({ object }) => object), ...comment.kept];
    lostInMerging.push(...[owner, grants, defaults, comment].flatMap(({ lost }) => lost));
  }
  return { rights, comments, lostInMerging };
}

interface Merged<T> {
  readonly kept: readonly T[];
  readonly lost: readonly LostInMerging[];
}

function keyOf({ schemas }: Together): ObjectKey {
  return schemas[0]?.key ?? '';
}

function shown(schemas: readonly SchemaInfo[]): string {
  return schemas.map(({ name }) => objectName(name)).join(', ');
}

function mergedOwner({ rights }: Described, group: Together): Merged<OwnerInfo> {
  const infos = group.schemas.map(({ key }) => rights.owners.find(({ object }) => object === key));
  const owners = new Set(infos.map((info) => info?.owner));
  const [first] = infos;
  if (owners.size === 1) return { kept: first ? [{ ...first, object: keyOf(group) }] : [], lost: [] };
  const owned = group.schemas.map(({ name }, at) => {
    const owner = infos[at]?.owner;
    return owner === undefined ? objectName(name) : `${objectName(name)} (of ${ident(owner)})`;
  });
  const lost: LostInMerging = {
    object: keyOf(group),
    aspect: 'owner',
    id: `owner of ${objectId('schema', group.name)}`,
    reason: `${owned.join(', ')} are one there; it stays with the account of the migration`,
  };
  return { kept: [], lost: [lost] };
}

/** `owner`: of all of them. */
function mergedGrants({ rights }: Described, group: Together, owner: string | null): Merged<SchemaGrants> {
  const lists = group.schemas.map(({ key }) => {
    const own = rights.owners.find(({ object }) => object === key)?.owner ?? null;
    const entries = rights.grants.flatMap((one) => (one.object === key ? one.entries : []));
    return withOwner(entries, own);
  });
  const { kept, lost } = inAll(lists);
  const lacks = OF_OWNER.filter(
    (privilege) =>
      owner !== null && !kept.some((one) => one.grantee === owner && one.privilege === privilege),
  );
  const entries = [
    ...kept
      .filter((one) => owner === null || one.grantee !== owner)
      .map((one): AclEntry => ({ ...entryOf(one), isOwner: false })),
    ...lacks.map((privilege): AclEntry => {
      return { grantee: owner, isOwner: true, privilege, grantable: false, revoked: true };
    }),
  ];
  return {
    kept: entries.length > 0 ? [{ object: keyOf(group), language: null, attnum: null, entries }] : [],
    lost: lostRights(lost, group, {
      of: (role) => `rights of ${role} on ${objectId('schema', group.name)}`,
      on: `SCHEMA ${ident(group.name)}`,
    }),
  };
}

type SchemaGrants = SchemaModel['rights']['grants'][number];

/** What the owner of a schema may do with it where nobody has taken that away. */
const OF_OWNER = ['CREATE', 'USAGE'];

/** What a schema's list says, and what its owner may without that. */
function withOwner(entries: readonly AclEntry[], owner: string | null): Right[] {
  const taken = new Set(entries.flatMap((one) => (one.isOwner && one.revoked ? [one.privilege] : [])));
  const given = entries.filter(({ revoked, isOwner }) => !revoked && !(isOwner && owner === null));
  const own = owner === null ? [] : OF_OWNER.filter((privilege) => !taken.has(privilege));
  return [...given.map(rightOf), ...own.map((privilege) => ({ ...RIGHT, grantee: owner, privilege }))];
}

const RIGHT: Right = { grantee: null, privilege: '', column: null, grantable: false, revoked: false };

function rightOf({ grantee, privilege, grantable }: AclEntry): Right {
  return { ...RIGHT, grantee, privilege, grantable };
}

function entryOf({ grantee, privilege, grantable }: Right): Omit<AclEntry, 'isOwner'> {
  return { grantee, privilege, grantable, revoked: false };
}

function mergedDefaults({ rights }: Described, group: Together): Merged<DefaultPrivilegesInfo> {
  const all = group.schemas.flatMap(({ key }) => rights.defaults.filter(({ schema }) => schema === key));
  const kinds = [...Map.groupBy(all, ({ role, kind }) => JSON.stringify([role, kind])).values()];
  const merged = kinds.flatMap((given): Merged<DefaultPrivilegesInfo>[] => {
    const [first] = given;
    if (!first) return [];
    const { role, kind } = first;
    const { kept, lost } = inAll(
      group.schemas.map(({ key }) =>
        given.flatMap(({ schema, entries }) => (schema === key ? entries.map(rightOf) : [])),
      ),
    );
    const entries = kept.map((one): AclEntry => ({ ...entryOf(one), isOwner: one.grantee === role }));
    const where = objectId('schema', group.name);
    return [
      {
        kept: entries.length > 0 ? [{ role, kind, schema: keyOf(group), entries }] : [],
        lost: lostRights(lost, group, {
          of: (grantee) =>
            `${objectId('default privileges of role', role)} on ${kind.toLowerCase()} in ${where} for ${grantee}`,
          on: kind,
          before: `ALTER DEFAULT PRIVILEGES FOR ROLE ${ident(role)} IN SCHEMA ${ident(group.name)} `,
        }),
      },
    ];
  });
  return { kept: merged.flatMap(({ kept }) => kept), lost: merged.flatMap(({ lost }) => lost) };
}

/** What all of the lists give, and what only some do. What is given to PUBLIC everybody has. */
function inAll(lists: readonly (readonly Right[])[]): { kept: Right[]; lost: Right[] } {
  const gives = (list: readonly Right[], { grantee, privilege, grantable }: Right) =>
    list.some(
      (one) =>
        one.privilege === privilege &&
        (one.grantee === grantee || (one.grantee === null && !grantable)) &&
        (one.grantable || !grantable),
    );
  const named = Map.groupBy(lists.flat(), ({ grantee, privilege }) => JSON.stringify([grantee, privilege]));
  const kept: Right[] = [];
  const lost: Right[] = [];
  for (const [one] of named.values()) {
    if (!one) continue;
    const inEach = (grantable: boolean) => lists.every((list) => gives(list, { ...one, grantable }));
    const grantable = lists.some((list) => gives(list, { ...one, grantable: true }));
    if (inEach(false)) kept.push({ ...one, grantable: inEach(true) });
    if (!inEach(grantable)) lost.push({ ...one, grantable });
  }
  return { kept, lost };
}

interface Said {
  readonly of: (role: string) => string;
  readonly on: string;
  readonly before?: string;
}

/** A line for each role. */
function lostRights(lost: readonly Right[], group: Together, { of, on, before }: Said): LostInMerging[] {
  return [...Map.groupBy(lost, ({ grantee }) => grantee)].map(([grantee, rights]) => ({
    object: keyOf(group),
    aspect: 'grants',
    id: of(grantee === null ? 'PUBLIC' : ident(grantee)),
    reason: `${shown(group.schemas)} are one there, and not all of them give it; to give it to all that is in it run ${grantStatements(on, rights, before).join('; ')}`,
  }));
}

/** That of the first that has one. */
function mergedComment({ comments }: Described, group: Together): Merged<SchemaModel['comments'][number]> {
  const described = group.schemas.flatMap((schema) =>
    comments.filter(({ object }) => object === schema.key).map((comment) => ({ schema, comment })),
  );
  const [first, ...others] = described;
  if (!first) return { kept: [], lost: [] };
  return {
    kept: [{ ...first.comment, object: keyOf(group) }],
    lost: others
      .filter(({ comment }) => comment.text !== first.comment.text)
      .map(({ schema }) => ({
        object: keyOf(group),
        aspect: 'comment',
        id: `comment of ${objectId('schema', schema.name)}`,
        reason: `it is one with ${objectName(first.schema.name)} there, whose comment stands`,
      })),
  };
}
