/**
 * Drafts of owners and rights, after everything else: what the account of the migration has made is its own until then. An account that
 * is no superuser gives to roles only which it can use still, because changes are applied afterwards too.
 */
import type { AclEntry } from '../../pg/catalog/rights/acl.ts';
import type { GrantInfo } from '../../pg/catalog/rights/grants.ts';
import type { OwnerInfo } from '../../pg/catalog/rights/owners.ts';
import type { ObjectKey } from '../../pg/catalog/user-object.ts';
import { draft, type Draft, type DraftContext } from '../draft.ts';
import { defaultPrivilegeDrafts, schemaDefaults } from './default-privileges-ddl.ts';
import { grantedRights, type AclPart } from './granted-rights.ts';
import { ownerChange } from './owner-ddl.ts';
import { publicEntries } from './public-schema.ts';
import { subjectGroups, type Subject } from './rights-subjects.ts';
import { roleNeeds } from './role-ddl.ts';
import { serverRightsDrafts } from './server-rights-ddl.ts';
import { settingDrafts } from './setting-ddl.ts';
import { LATE, tableId } from './table-ddl.ts';

const RIGHTS = 'rights of ';

export function rightsDrafts(context: DraftContext, made: readonly Draft[]): Draft[] {
  const { grants } = context.rights;
  const ids = new Map<ObjectKey, string>();
  for (const { key, id } of made) ids.set(key, id);
  const known = lookups(context);
  const objects: Draft[] = [];
  for (const group of subjectGroups(context)) {
    const of = group[0]?.of ?? '';
    const table = context.tables.get(of);
    const id = ids.has(of) && table ? tableId(table) : ids.get(of);
    if (id !== undefined) objects.push(...objectDraft({ of, id, group }, known, context));
  }
  if (grants === 'none') return objects;
  return [
    ...objects,
    ...serverRightsDrafts(context),
    ...settingDrafts(context),
    ...defaultPrivilegeDrafts(context),
  ];
}

/** What is said of an object by its key. */
interface Lookups {
  readonly owners: ReadonlyMap<ObjectKey, OwnerInfo>;
  readonly grants: ReadonlyMap<ObjectKey, readonly GrantInfo[]>;
  readonly schemas: ReadonlyMap<string, ObjectKey>;
}

function lookups({ model }: DraftContext): Lookups {
  return {
    owners: new Map(model.rights.owners.map((one) => [one.object, one])),
    grants: Map.groupBy(model.rights.grants, ({ object }) => object),
    schemas: new Map(model.schemas.map(({ key, name }) => [name, key])),
  };
}

interface Made {
  readonly of: ObjectKey;
  readonly id: string;
  readonly group: readonly Subject[];
}

interface Written {
  readonly statements: readonly string[];
  /** Whom they name. */
  readonly roles: Iterable<string>;
}

const NOTHING: Written = { statements: [], roles: [] };

function objectDraft({ of, id, group }: Made, known: Lookups, context: DraftContext): Draft[] {
  const parts = group.map((one) => subjectRights(one, { id, known, context }));
  const [first] = group;
  if (first?.isSchema && context.rights.grants === 'keep')
    parts.push(schemaDefaults({ key: of, name: first.schema }, context));
  const statements = parts.flatMap((part) => part.statements);
  if (statements.length === 0) return [];
  // Its schema first, and the table before the sequences that it takes along to its owner.
  const before = group.flatMap(({ schema, ownedWith }) => [known.schemas.get(schema), ownedWith]);
  return [
    draft({
      key: `rights:${of}`,
      id: `${RIGHTS}${id}`,
      phase: 'post-data',
      create: statements,
      needs: [
        of,
        ...before.flatMap((key) => (key && key !== of ? [`rights:${key}`] : [])),
        ...roleNeeds(new Set(parts.flatMap((part) => [...part.roles])), context),
      ],
      attachedTo: of,
      isFollowUp: true,
    }),
  ];
}

function subjectRights(
  one: Subject,
  { id, known, context }: { id: string; known: Lookups; context: DraftContext },
): Written {
  const change = ownerChange(one, known.owners.get(one.key), {
    id,
    context,
    mayCreate: (role) => mayCreate(role, one.schema, { known, context }),
  });
  const granted =
    context.rights.grants === 'none' || one.granted === null
      ? NOTHING
      : grantedRights(
          aclParts(one, known, context),
          { id, on: one.granted, object: one.of, owner: change.owner, isInUse: true },
          context,
        );
  const statements = [...change.statements, ...granted.statements];
  const isForeign = one.isSchema && context.target.rights.foreignSchemas.has(one.schema);
  if (!isForeign || statements.length === 0)
    return { statements, roles: [...change.roles, ...granted.roles] };
  context.remark(
    one.of,
    `${RIGHTS}${id}`,
    `it belongs to another role on the target; as its owner run ${statements.join('; ')}`,
  );
  return NOTHING;
}

/** Of the object, then of its columns. */
function aclParts(one: Subject, { grants }: Lookups, context: DraftContext): AclPart[] {
  const found = (grants.get(one.key) ?? []).toSorted((a, b) => (a.attnum ?? 0) - (b.attnum ?? 0));
  if (one.isSchema && one.schema === 'public')
    return [
      {
        column: null,
        entries: publicEntries(
          found.flatMap(({ entries }) => entries),
          context.target,
        ),
      },
    ];
  return found.flatMap(({ attnum, entries }): AclPart[] => {
    if (attnum === null) return [{ column: null, entries }];
    const column = one.columnName?.(attnum);
    return column === undefined ? [] : [{ column, entries }];
  });
}

/** Once the rights of the schema have been set. */
function mayCreate(
  role: string,
  schema: string,
  { known, context }: { known: Lookups; context: DraftContext },
): boolean {
  const key = known.schemas.get(schema) ?? '';
  const { owners, grants } = context.rights;
  if (owners === 'keep' && known.owners.get(key)?.owner === role)
    return context.target.rights.becomes.has(role);
  const entries = (known.grants.get(key) ?? []).flatMap((one) => one.entries);
  const gives = ({ grantee, isOwner, privilege, revoked }: AclEntry) =>
    privilege === 'CREATE' && !revoked && !isOwner && (grantee === null || grantee === role);
  return grants === 'keep' && entries.some(gives);
}

/**
 * The steps without the rights of what is not on the target: it came to the source when the schema had been made already. `done` are the
 * ids of steps that have been run; those of an object that is made among these steps stay.
 */
export function withoutOrphans<S extends { readonly id: string }>(
  steps: readonly S[],
  done: ReadonlySet<string>,
): S[] {
  const ids = new Set(steps.map(({ id }) => id));
  const isMade = (id: string) => ids.has(id) || done.has(id) || done.has(`${id}${LATE}`);
  return steps.filter(({ id }) => {
    const of = ofRights(id);
    return of === null || isMade(of);
  });
}

/** What the step of this id sets the rights of; null for other steps. */
export function ofRights(id: string): string | null {
  return id.startsWith(RIGHTS) ? id.slice(RIGHTS.length) : null;
}
