/** Whether owners and rights can be kept: roles that the target lacks, or that the account cannot give anything to. */
import type { OwnerInfo } from '../../pg/catalog/rights/owners.ts';
import { ident } from '../../pg/ident.ts';
import { createSql } from '../../schema/ddl/owner-ddl.ts';
import { publicDefault } from '../../schema/ddl/public-schema.ts';
import { joinSql, membershipSql, rolesToCreate, roleSql } from '../../schema/ddl/role-ddl.ts';
import { FirstModel } from '../../schema/first-model.ts';
import type { SchemaModel } from '../../schema/model.ts';
import { mapModel } from '../../schema/map/map-model.ts';
import { ACCOUNT_OWNS_ALL, type RightsChoice } from '../../schema/rights/rights-choice.ts';
import { schemasOf } from '../../schema/rights/schemas-of.ts';
import type { TargetFacts } from '../../schema/target-facts.ts';
import { membership } from '../../selection/selection.ts';
import type { Check, CheckContext, Finding } from '../check.ts';
import { counted, finding, listed } from '../finding.ts';

const NAME = 'owners_and_rights';

interface Seen {
  readonly model: SchemaModel;
  readonly facts: TargetFacts;
  readonly choice: RightsChoice;
  /** The owners of what is made. */
  readonly owners: readonly OwnerInfo[];
  /** By the key of an object that is made: the schema that it is in. */
  readonly schemas: ReadonlyMap<string, string>;
}

export const ownersAndRights: Check = {
  name: NAME,
  async run(context) {
    const {
      source,
      target,
      types,
      firstModel = new FirstModel(),
      rights: choice = ACCOUNT_OWNS_ALL,
    } = context;
    const isAsked = choice.owners === 'keep' || choice.grants === 'keep' || choice.createRoles;
    if (!types.has('schema') || !isAsked) return [];
    const model = await mapModel(await firstModel.read(source), context.mapping, source);
    const schemas = schemasOf(model, partOf(context));
    const seen: Seen = {
      model,
      facts: await firstModel.readFacts(source, target, context),
      choice,
      schemas,
      owners: choice.owners === 'keep' ? model.rights.owners.filter(({ object }) => schemas.has(object)) : [],
    };
    const findings = [...roles(seen), ...owners(seen), ...places(seen), ...everybody(seen)];
    return findings.length > 0
      ? findings
      : [finding(NAME, 'passed', { what: 'owners and rights can be as they are on the source' })];
  },
};

/** Null: the whole database. */
function partOf({
  tables,
  wholeDatabase,
}: CheckContext): ((table: { schema: string; name: string }) => boolean) | null {
  return wholeDatabase ? null : membership(tables);
}

/** Roles of owners, rights and settings; of policies too where they are to be created. */
function mentioned({ model, choice, owners: kept, schemas }: Seen): Set<string> {
  const { grants, defaults, settings } = model.rights;
  const isMade = (object: string) => schemas.has(object) || object.startsWith('pg_database:');
  const granted =
    choice.grants === 'none'
      ? []
      : [
          ...grants.filter(({ object }) => isMade(object)).flatMap(({ entries }) => entries),
          ...defaults.flatMap(({ entries }) => entries),
        ].flatMap(({ grantee, isOwner }) => (grantee === null || isOwner ? [] : [grantee]));
  const set =
    choice.grants === 'none'
      ? []
      : [...defaults.map(({ role }) => role), ...settings.flatMap(({ role }) => role ?? [])];
  const named = choice.createRoles
    ? model.policies.filter(({ table }) => schemas.has(table)).flatMap((policy) => policy.roles)
    : [];
  return new Set([...kept.map(({ owner }) => owner), ...granted, ...set, ...named]);
}

function roles(seen: Seen): Finding[] {
  const { model, facts, choice } = seen;
  const missing = [...mentioned(seen)].filter((role) => !facts.roles.has(role)).toSorted();
  if (missing.length === 0) return [];
  const created = rolesToCreate(model, facts, choice);
  const known = new Map(model.rights.roles.map((role) => [role.name, role]));
  const isMade = (name: string) => created.has(name);
  const made = missing.filter(isMade);
  const lacking = missing.filter((name) => !isMade(name));
  const line = (name: string) => {
    const role = known.get(name);
    return role ? `${roleSql(role)};` : `-- ${ident(name)} is a role of the source's server itself`;
  };
  const allow =
    choice.createRoles && !facts.rights.mayCreateRoles
      ? [`ALTER ROLE ${ident(facts.rights.account ?? '')} CREATEROLE;   -- or yourself:`]
      : [];
  return [
    ...(made.length === 0
      ? []
      : [
          finding(NAME, 'alert', {
            what: `${counted(made.length, 'role')} will be created on the target, without a password`,
            evidence: listed(made),
          }),
        ]),
    ...(lacking.length === 0
      ? []
      : [
          finding(NAME, 'alert', {
            what: `the target lacks ${counted(lacking.length, 'role')} of owners and rights; these are left out, and what such a role owns belongs to the account`,
            evidence: listed(lacking),
            fix: [...allow, ...lacking.map(line), ...joined(lacking, seen)].join('\n'),
          }),
        ]),
  ];
}

/** Memberships of the missing roles among themselves and with those that are there. */
function joined(missing: readonly string[], { model, facts }: Seen): string[] {
  const names = new Set(missing);
  const willBe = (name: string) => names.has(name) || facts.roles.has(name);
  return model.rights.memberships
    .filter(({ group, member }) => names.has(group) || names.has(member))
    .filter(({ group, member }) => willBe(group) && willBe(member))
    .map((one) => `${joinSql(one, facts.version)};`);
}

/** With which functions run then with other rights than on the source. */
function definers(list: readonly OwnerInfo[]): string {
  const count = list.filter((one) => one.isSecurityDefiner).length;
  return count === 0 ? '' : ` (${counted(count, 'SECURITY DEFINER function')} among them)`;
}

function owners({ facts, owners: kept }: Seen): Finding[] {
  const { rights, version } = facts;
  const lost = kept.filter(({ owner }) => facts.roles.has(owner) && !rights.becomes.has(owner));
  if (lost.length === 0) return [];
  const names = [...new Set(lost.map(({ owner }) => owner))].toSorted();
  return [
    finding(NAME, 'alert', {
      what: `the account cannot give ${counted(lost.length, 'object')}${definers(lost)} to their owners, and keeps them: it is not a member of these roles`,
      evidence: listed(names),
      fix: names
        .map((role) => `${membershipSql({ role, account: rights.account ?? '', version })};`)
        .join('\n'),
    }),
  ];
}

/** Schemas of others, in which an owner must be allowed to create what he is given. */
function places({ facts, owners: kept, schemas }: Seen): Finding[] {
  const { becomes, foreignSchemas } = facts.rights;
  const wanted = kept.flatMap(({ object, owner }) => {
    const schema = object.startsWith('pg_namespace:') ? undefined : schemas.get(object);
    const creators = schema === undefined ? undefined : foreignSchemas.get(schema);
    return schema !== undefined && creators && becomes.has(owner) && !creators.has(owner)
      ? [{ schema, owner }]
      : [];
  });
  const lines = [...new Set(wanted.map(({ schema, owner }) => `${createSql(schema, owner)};`))].toSorted();
  if (lines.length === 0) return [];
  return [
    finding(NAME, 'alert', {
      what: `${counted(wanted.length, 'object')} cannot be given to their owners, who may not create in the schema on the target`,
      evidence: listed([...new Set(wanted.map(({ schema }) => schema))].toSorted()),
      fix: lines.join('\n'),
    }),
  ];
}

/** What everybody may do in the schema public changed with PostgreSQL 15. */
function everybody({ model, facts, choice }: Seen): Finding[] {
  const schema = model.schemas.find(({ name }) => name === 'public');
  if (choice.grants === 'none' || !schema || !facts.rights.hasInitialPublic) return [];
  const may = model.rights.grants.some(
    ({ object, entries }) =>
      object === schema.key &&
      entries.some(
        ({ grantee, isOwner, privilege, revoked }) =>
          grantee === null && !isOwner && !revoked && privilege === 'CREATE',
      ),
  );
  const would = publicDefault(facts.version).includes('CREATE');
  if (may === would) return [];
  return [
    finding(NAME, 'alert', {
      what: may
        ? 'everybody may create in schema public, as on the source; PostgreSQL 15 and newer do not allow that by themselves'
        : 'not everybody may create in schema public, as on the source; this target would allow it by itself',
      fix: may
        ? 'REVOKE CREATE ON SCHEMA "public" FROM PUBLIC;   -- on the target after the migration, if it is not wanted'
        : 'GRANT CREATE ON SCHEMA "public" TO PUBLIC;   -- on the target after the migration, if it is wanted',
    }),
  ];
}
