/** Reads what the plan must know of the target. */
import { readBuiltinNames, type BuiltinNames } from '../pg/catalog/builtin-names.ts';
import { readCreatableExtensions, readExtensions } from '../pg/catalog/extensions/extensions.ts';
import type { ObjectKey } from '../pg/catalog/user-object.ts';
import { PgError } from '../pg/pg-error.ts';
import type { Session } from '../pg/session.ts';
import { collationSql } from './ddl/text-ddl.ts';
import { dictionarySql, needsOthers } from './ddl/text-search-ddl.ts';
import { settingProbes } from './ddl/setting-ddl.ts';
import type { SchemaModel } from './model.ts';
import { everyRight, readRightsFacts } from './rights/rights-facts.ts';
import type { TargetFacts } from './target-facts.ts';

export interface FactWishes {
  readonly createExtensions?: boolean;
}

export async function readTargetFacts(
  target: Session,
  model: SchemaModel,
  { createExtensions = false }: FactWishes = {},
): Promise<TargetFacts> {
  const creatable = createExtensions ? await readCreatableExtensions(target) : new Set<string>();
  const major = (version: number) => Math.trunc(version / 10_000);
  const isSame = major(model.version) === major(target.version);
  const server = await readServer(target, isSame ? model.builtins : await readBuiltinNames(target));
  return { ...server, creatable, refused: await readRefused(target, model, server) };
}

/**
 * For comparing two databases by their plans: a server of the older version, on which everything is allowed and there that either of them
 * has, so that both plans leave out the same.
 */
export async function readCommonFacts(one: Session, other: Session): Promise<TargetFacts> {
  const [a, b] = [
    await readServer(one, await readBuiltinNames(one)),
    await readServer(other, await readBuiltinNames(other)),
  ];
  const both = (names: (facts: Server) => ReadonlySet<string>) => new Set([...names(a), ...names(b)]);
  const roles = both((facts) => facts.roles);
  return {
    version: Math.min(a.version, b.version),
    isSuperuser: true,
    bypassesRowSecurity: true,
    roles,
    rights: everyRight(b.rights.database, roles),
    languages: both(({ languages }) => languages),
    settings: both(({ settings }) => settings),
    accessMethods: both(({ accessMethods }) => accessMethods),
    extensions: both(({ extensions }) => extensions),
    creatable: new Set(),
    hasLz4: true,
    builtins: a.version < b.version ? a.builtins : b.builtins,
    refused: new Map(),
  };
}

type Server = Omit<TargetFacts, 'refused' | 'creatable'>;

async function readServer(target: Session, builtins: BuiltinNames): Promise<Server> {
  const account = await target.one(
    `SELECT r.rolsuper::text AS super, (r.rolsuper OR r.rolbypassrls)::text AS bypasses,
            (SELECT ('lz4' = ANY (s.enumvals))::text FROM pg_catalog.pg_settings s WHERE s.name = 'default_toast_compression') AS lz4
       FROM pg_catalog.pg_roles r WHERE r.rolname = current_user`,
  );
  const names = async (sql: string) => new Set((await target.query(sql)).map(({ name }) => name ?? ''));
  const rights = await readRightsFacts(target);
  return {
    version: target.version,
    isSuperuser: account.super === 'true',
    bypassesRowSecurity: account.bypasses === 'true',
    rights,
    roles: await names('SELECT rolname AS name FROM pg_catalog.pg_roles'),
    languages: await names(
      `SELECT lanname AS name FROM pg_catalog.pg_language WHERE pg_catalog.has_language_privilege(oid, 'USAGE')`,
    ),
    settings: await names('SELECT pg_catalog.lower(name) AS name FROM pg_catalog.pg_settings'),
    accessMethods: await names('SELECT amname AS name FROM pg_catalog.pg_am'),
    extensions: new Set((await readExtensions(target)).map(({ name }) => name)),
    hasLz4: account.lz4 === 'true',
    builtins,
  };
}

/** Asks by making them, in a transaction that is rolled back. Where the account may not, nothing is known. */
async function readRefused(
  target: Session,
  model: SchemaModel,
  server: Server,
): Promise<Map<ObjectKey, string>> {
  const schema = '_opendts_probe';
  const asked: (readonly [ObjectKey, string])[] = [
    ...settingProbes(model, server),
    ...model.collations.map((one) => [one.key, collationSql({ ...one, schema }, target.version)] as const),
    ...model.textSearch.dictionaries
      .filter(({ template }) => template.startsWith('pg_catalog.') && !needsOthers(template))
      .map((one) => [one.key, dictionarySql({ ...one, schema })] as const),
  ];
  const refused = new Map<ObjectKey, string>();
  if (asked.length === 0) return refused;
  try {
    await target.transaction(async () => {
      await target.query(`CREATE SCHEMA ${schema}`);
      for (const [key, sql] of asked) {
        await target.query('SAVEPOINT probe');
        const reason = await refusal(target, sql);
        if (reason !== null) refused.set(key, reason);
        await target.query('ROLLBACK TO SAVEPOINT probe');
      }
      await target.query('ROLLBACK');
    });
  } catch (thrown) {
    if (!(thrown instanceof PgError)) throw thrown;
  }
  return refused;
}

async function refusal(target: Session, sql: string): Promise<string | null> {
  try {
    await target.query(sql);
    return null;
  } catch (thrown) {
    if (thrown instanceof PgError) return thrown.shown;
    throw thrown;
  }
}
