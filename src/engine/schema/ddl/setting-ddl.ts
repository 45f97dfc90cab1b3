/** Drafts of ALTER DATABASE … SET and ALTER ROLE … SET, which hold for the sessions to come. */
import type { SettingInfo } from '../../pg/catalog/rights/settings.ts';
import type { ObjectKey } from '../../pg/catalog/user-object.ts';
import { ident, literal } from '../../pg/ident.ts';
import { draft, type Draft, type DraftContext } from '../draft.ts';
import type { SchemaModel } from '../model.ts';
import { objectId } from '../object-id.ts';
import { roleNeeds } from './role-ddl.ts';

/** With them the sessions of the migration itself would not begin, or be another's, or read values in another way. */
const HELD_BACK = new Set([
  'role',
  'session_authorization',
  'array_nulls',
  'local_preload_libraries',
  'session_preload_libraries',
]);

/** Parameters whose value the server keeps as a list of quoted names. */
const LISTS = new Set([
  'local_preload_libraries',
  'search_path',
  'session_preload_libraries',
  'shared_preload_libraries',
  'temp_tablespaces',
  'unix_socket_directories',
]);

export function settingDrafts(context: DraftContext): Draft[] {
  const { settings } = context.model.rights;
  return [...Map.groupBy(settings, whose)].flatMap(([id, all]) => {
    const usable = all.filter((setting) => isUsable(setting, id, context));
    const [first] = usable;
    if (!first) return [];
    return [
      draft({
        key: `settings:${id}`,
        id: `settings of ${id}`,
        phase: 'post-data',
        create: usable.map((setting) => settingSql(setting, context.target.rights.database)),
        needs: first.role === null ? [] : roleNeeds([first.role], context),
      }),
    ];
  });
}

function whose({ role, inDatabase }: SettingInfo): string {
  if (role === null) return 'the database';
  return `${objectId('role', role)}${inDatabase ? ' in the database' : ''}`;
}

function isUsable(setting: SettingInfo, id: string, context: DraftContext): boolean {
  const { target } = context;
  const { role, name } = setting;
  const isHeldBack = HELD_BACK.has(name.toLowerCase());
  const isOurs = role === null || role === target.rights.account;
  const sql = settingSql(setting, target.rights.database);
  const reason =
    role !== null && !target.roles.has(role)
      ? 'the target lacks the role'
      : !isHeldBack && !name.includes('.') && !target.settings.has(name.toLowerCase())
        ? 'the target does not know it'
        : isOurs && isHeldBack
          ? `it would hold for the sessions of the migration; once it is over, run ${sql}`
          : target.refused.get(settingKey(setting));
  if (reason === undefined) return true;
  context.remark(null, `setting ${name} of ${id}`, reason);
  return false;
}

function settingKey({ role, inDatabase, name }: SettingInfo): ObjectKey {
  return `setting:${JSON.stringify([role, inDatabase, name])}`;
}

/** The statements by which the server can be asked whether it would take them. */
export function settingProbes(
  { rights }: SchemaModel,
  target: { readonly roles: ReadonlySet<string>; readonly rights: { readonly database: string } },
): (readonly [ObjectKey, string])[] {
  return rights.settings
    .filter(({ role }) => role === null || target.roles.has(role))
    .map((setting) => [settingKey(setting), settingSql(setting, target.rights.database)] as const);
}

function settingSql({ role, inDatabase, name, value }: SettingInfo, database: string): string {
  const of =
    role === null
      ? `DATABASE ${ident(database)}`
      : `ROLE ${ident(role)}${inDatabase ? ` IN DATABASE ${ident(database)}` : ''}`;
  const values = LISTS.has(name.toLowerCase()) ? listed(value) : [value];
  return `ALTER ${of} SET ${ident(name)} TO ${values.map((one) => literal(one).trimStart()).join(', ')}`;
}

/** A statement for an error text: the value of a setting may be a secret of the user's. */
export function withoutSetting(sql: string): string {
  return sql.replace(/^(ALTER (?:DATABASE|ROLE) .*? SET "(?:[^"]|"")*" TO ).*$/s, '$1…');
}

/** `"$user", public` → `$user`, `public`; nothing at all is the empty name. */
function listed(value: string): string[] {
  const names = [...value.matchAll(/"((?:[^"]|"")*)"|([^,\s"]+)/g)].map(
    ([, quoted, bare]) => quoted?.replaceAll('""', '"') ?? bare ?? '',
  );
  return names.length > 0 ? names : [''];
}
